"""The kinds of input: which files of a fixture are changed, and which commands then read them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random

from fuzz.change import change

FEW = ("--labels", "shares", "--model", "linear", "--epochs", "1", "--batch-size", "16")
_STUDY = ("describe", "changed.toml")
_PATCHES = ("patches", "study.toml", "--store", "new.zarr", "--labels", "labels.tif", "--image")
_MAP = ("map", "run", "--image", "image.tif", "--out", "new.tif")
_HOME = ("--to", "drive:f", "--archive", "arch")


@dataclass(frozen=True)
class Way:
    """One way in: what is copied from the fixture, which files are changed (globs; one of them each time), the command, how often (of 100).

    `within`: half of the changes of a JSON file lie below that key; `may_write`: what a refused command may leave or change (globs).
    """

    items: tuple[str, ...]
    changed: tuple[str, ...]
    argv: tuple[str, ...]
    weight: int = 10
    within: tuple[str, ...] = ()
    may_write: tuple[str, ...] = ()


def _train(*labels: str) -> tuple[str, ...]:
    return ("train", "small.zarr", "--run", "new", "--model", "linear", "--epochs", "1", *labels)


_OF_STORE = {
    "items": ("small.zarr",),
    "changed": ("small.zarr/zarr.json", "small.zarr/zarr.json", "small.zarr/*/zarr.json"),
    "within": ("attributes",),
}
_OF_CHUNK = {"changed": ("small.zarr/*/c*", "small.zarr/*/c/*", "small.zarr/*/c/*/*", "small.zarr/*/c/*/*/*")}
_JSONS = tuple(f"run/{name}.json" for name in ("config", "segment", "metrics", "environment", "seen", "stac"))
_RUN = ("small.zarr", "run")
_DRIVE = ("small.toml", "arch", "small.exports.json", "arch-exports")

KINDS: dict[str, tuple[Way, ...]] = {
    "study": (
        Way(("changed.toml", "holdout.geojson", "legend.csv", "sensor.toml"), ("changed.toml",), _STUDY, 90),
        Way(("whole.toml", "holdout.geojson", "legend.csv", "sensor.toml"), ("whole.toml",), ("describe", "whole.toml", "--json"), 90),
        Way(("study.toml", "image.tif", "labels.tif"), ("study.toml",), (*_PATCHES, "image.tif")),
        Way(("small.toml", "arch"), ("small.toml",), ("export", "small.toml", "--to", "out", "--archive", "arch", "--dry-run")),
    ),
    "sensor": (Way(("whole.toml", "holdout.geojson", "legend.csv", "sensor.toml"), ("sensor.toml",), ("describe", "whole.toml")),),
    "store": (
        Way(**_OF_STORE, argv=("describe", "./small.zarr"), weight=40),
        Way(**_OF_STORE, argv=("check", "small.zarr", "--out", "new.svg"), weight=20, may_write=("new.svg",)),
        Way(**_OF_STORE, argv=("train", "small.zarr", "--run", "new", *FEW), weight=20),
        Way(("small.zarr", "other.zarr"), _OF_STORE["changed"], ("train", "other.zarr", "small.zarr", "--run", "new", *FEW), 10, ("attributes",)),
        Way((*_RUN,), _OF_STORE["changed"], ("evaluate", "run"), 10, ("attributes",)),
        Way((*_RUN, "other.zarr"), ("other.zarr/zarr.json",), ("evaluate", "run", "--on", "other.zarr"), 10, ("attributes",)),
        Way((*_RUN,), _OF_STORE["changed"], ("map", "run", "--store", "small.zarr", "--out", "new.tif"), 10, ("attributes",)),
        Way(("small.zarr",), **_OF_CHUNK, argv=("describe", "./small.zarr"), weight=10),
        Way(("small.zarr",), **_OF_CHUNK, argv=("train", "small.zarr", "--run", "new", *FEW), weight=10),
        Way((*_RUN,), **_OF_CHUNK, argv=("evaluate", "run"), weight=10),
        Way((*_RUN,), **_OF_CHUNK, argv=("map", "run", "--store", "small.zarr", "--out", "new.tif"), weight=5),
        Way(("small.zarr",), **_OF_CHUNK, argv=("check", "small.zarr", "--out", "new.svg"), weight=10, may_write=("new.svg",)),
    ),
    "run": (
        Way(_RUN, _JSONS, ("report", "run"), 30),
        Way(_RUN, ("run/config.json", "run/segment.json", "run/seen.json"), ("evaluate", "run"), 20),
        Way((*_RUN, "second"), ("run/config.json", "run/metrics.json"), ("compare", "run", "second", "--out", "new"), 20),
        Way((*_RUN, "image.tif"), ("run/config.json", "run/segment.json", "run/seen.json"), _MAP, 20),
        Way(_RUN, ("run/history.csv", "run/patches.csv"), ("report", "run"), 20),
        Way(_RUN, ("run/config.json", "run/history.csv", "run/environment.json"), ("train", "small.zarr", "--run", "run", *FEW[:-4], "--epochs", "2", "--resume"), 10, may_write=("run/*",)),
        Way(_RUN, ("run/config.json",), ("train", "small.zarr", "--run", "new", *FEW, "--init", "run"), 10),
        Way((*_RUN, "other.zarr"), ("run/on/*/metrics.json", "run/on/*/patches.csv"), ("report", "run"), 10),
    ),
    "tensors": (
        Way(_RUN, ("run/best.safetensors",), ("evaluate", "run"), 10, may_write=("run/segment.json",)),  # fitted anew to other weights
        Way((*_RUN, "image.tif"), ("run/best.safetensors",), _MAP, 10),
        Way(_RUN, ("run/last.safetensors",), ("train", "small.zarr", "--run", "run", *FEW[:-4], "--epochs", "2", "--resume"), 10, may_write=("run/*",)),
        Way(("small.zarr", "run"), ("run/best.safetensors",), ("train", "small.zarr", "--run", "new", *FEW, "--init", "run/best.safetensors"), 10),
    ),
    "geojson": (
        Way(("whole.toml", "holdout.geojson", "legend.csv", "sensor.toml"), ("holdout.geojson",), ("describe", "whole.toml"), 40),
        Way(("map.tif", "regions.geojson"), ("regions.geojson",), ("area", "map.tif", "--regions", "regions.geojson"), 30),
        Way((*_RUN, "image.tif", "regions.geojson"), ("regions.geojson",), (*_MAP, "--region", "regions.geojson"), 5),
        Way(("small.zarr", "areas.geojson"), ("areas.geojson",), _train("--labels", "shares", "--areas", "areas.geojson"), 10),
        Way(("small.zarr", "fields.geojson"), ("fields.geojson",), _train("--labels", "shares", "--fields", "fields.geojson"), 10),
        Way(("map.tif", "points.geojson"), ("points.geojson",), ("evaluate", "map.tif", "--points", "points.geojson"), 20),
    ),
    "csv": (
        Way(("map.tif", "points.csv"), ("points.csv",), ("evaluate", "map.tif", "--points", "points.csv"), 30),
        Way(("map.tif", "points.csv"), ("points.csv",), ("area", "map.tif", "--reference", "points.csv"), 30),
        Way(("whole.toml", "holdout.geojson", "legend.csv", "sensor.toml"), ("legend.csv",), ("describe", "whole.toml"), 30),
        Way(("small.zarr", "points.csv"), ("points.csv",), _train("--labels", "points", "--points", "points.csv"), 10),
        Way(("small.zarr", "coded.geojson", "table.csv"), ("table.csv",), _train("--labels", "shares", "--fields", "coded.geojson", "--label-table", "table.csv"), 10),
        Way(("small.zarr", "keyed.geojson", "areas.csv"), ("areas.csv",), _train("--labels", "shares", "--areas", "keyed.geojson", "--label-table", "areas.csv"), 10),
    ),
    "tiff": (
        Way(("study.toml", "image.tif", "labels.tif"), ("image.tif", "labels.tif"), (*_PATCHES, "image.tif"), 50),
        Way(("map.tif", "points.csv"), ("map.tif",), ("area", "map.tif"), 30),
        Way(("map.tif", "points.csv"), ("map.tif",), ("evaluate", "map.tif", "--points", "points.csv"), 20),
        Way((*_RUN, "image.tif"), ("image.tif",), _MAP, 10),
        Way(("map.tif",), ("map.tif",), ("sample", "map.tif", "--out", "new.csv"), 20),
    ),
    "vrt": (Way(("study.toml", "image.tif", "labels.tif", "image.vrt"), ("image.vrt",), (*_PATCHES, "image.vrt")),),
    "archive": (
        Way(("small.toml", "arch"), ("arch/**/asset.json",), ("export", "small.toml", "--to", "out", "--archive", "arch"), 20, may_write=("out*", "small.exports.json")),
        Way(("small.toml", "arch"), ("arch/**/*.tif",), ("export", "small.toml", "--to", "out", "--archive", "arch"), 10, may_write=("out*", "small.exports.json")),
    ),
    "manifest": (
        Way(_DRIVE, ("small.exports.json",), ("tasks", "small.toml", *_HOME), 20, may_write=("arch-exports*",)),
        Way(_DRIVE, ("small.exports.json",), ("export", "small.toml", *_HOME), 10, may_write=("arch-exports*",)),
        Way(_DRIVE, ("arch-exports/**/*.json",), ("tasks", "small.toml", *_HOME), 10, may_write=("arch-exports*",)),
        Way(_DRIVE, ("small.exports.json", "arch-exports/**/*.json"), ("fetch", "small.toml", "--from", "drive:f", "--to", "out", "--archive", "arch"), 10, may_write=("out*", "arch-exports*")),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One input, made by its number alone."""

    kind: str
    number: int
    way: Way
    file: str
    is_field: bool


def case_of(kind: str, number: int, folder: Path) -> Case:
    """Make input `number` of a kind in a folder that holds a copy of the fixture's items (`way_of`)."""
    random, way = Random(f"{kind} {number}"), way_of(kind, number)  # noqa: S311
    found = [sorted(path for path in folder.glob(pattern) if path.is_file()) for pattern in way.changed]
    path = random.choice(random.choice([files for files in found if files]))
    is_field = change(path, random, is_field=number % 9 < 5, within=way.within)
    return Case(kind, number, way, str(path.relative_to(folder)), is_field)


def way_of(kind: str, number: int) -> Way:
    """The way in of an input."""
    ways = KINDS[kind]
    return Random(f"way {kind} {number}").choices(ways, [way.weight for way in ways])[0]  # noqa: S311
