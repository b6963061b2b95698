"""The commands with what they read and write: one table for kills and faults, and the small inputs that they share."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cropcam.pipeline.study.study import load_study, parse_study

SIDE_PX, PATCH_PX = 260, 20
FIXED = "{fixed}"  # in words: the folder of inputs that no command writes to


@dataclass(frozen=True)
class Row:
    """A command, run in a folder of its own.

    `words` name what is written relative to that folder. `copied` are inputs copied there before, because the command writes into or
    beside them. `made` are the files and folders that are compared; what else lies there afterwards is left over, `kept` apart.
    """

    name: str
    words: tuple[str, ...]
    made: tuple[str, ...]
    copied: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    def line(self, fixed: Path) -> list[str]:
        """The command's words."""
        return [word.replace(FIXED, str(fixed)) for word in self.words]


def _row(name: str, words: str, made: str, copied: str = "", kept: str = "") -> Row:
    return Row(name, tuple(words.split()), tuple(made.split()), tuple(copied.split()), tuple(kept.split()))


_TRAIN = f"train {FIXED}/s.zarr --run run --device cpu --resume"
_LAYERS = "--probabilities p.tif --uncertainty u.tif --shift shift.tif --polygons o.parquet"
_LAYER_FILES = "map.tif.aux.xml map.stac.json map.qml p.tif p.qml u.tif u.qml shift.tif shift.qml o.parquet o.qml"
_SHARDS = f"{FIXED}/shards"

ROWS = (
    _row("simulate", f"simulate {FIXED}/study.toml --archive archive", "archive"),
    _row("export", f"export {FIXED}/study.toml --to shards --archive archive", "shards", "archive", "archive archive-exports"),
    _row(
        "fetch", f"fetch {FIXED}/study.toml --from drive:crops --to shards --archive archive", "shards",
        "archive archive-exports", "archive archive-exports",
    ),
    _row("patches", f"patches {FIXED}/study.toml --from {_SHARDS} --store s.zarr", "s.zarr"),
    _row("check", f"check {FIXED}/s.zarr --out splits.png", "splits.png"),
    _row("train", f"{_TRAIN} --model baseline --epochs 3", "run"),
    _row("train-linear", f"{_TRAIN} --model linear --epochs 2", "run"),
    _row("train-trees", f"{_TRAIN} --model trees --labels points", "run"),
    _row("train-pseudo", f"{_TRAIN} --model fcn --labels shares --pseudo-label-weight 1 --epochs 3", "run"),
    _row("evaluate", f"evaluate run --save segmentation.zarr --store {FIXED}/s.zarr --device cpu", "run segmentation.zarr", "run"),
    _row("compare", f"compare {FIXED}/run {FIXED}/trees --out comparison", "comparison"),
    _row("map", f"map {FIXED}/trees --store {FIXED}/s.zarr --out map.tif --device cpu {_LAYERS}", f"map.tif {_LAYER_FILES}"),
    _row("area", f"area {FIXED}/map.tif --reference {FIXED}/points.csv", ""),
    _row("sample", f"sample {FIXED}/map.tif --out points.csv", "points.csv points.gpkg"),
    _row("score-map", f"evaluate {FIXED}/map.tif --points {FIXED}/points.csv --out scores.json", "scores.json"),
    _row("report", f"report trees --map {FIXED}/map.tif --store {FIXED}/s.zarr", "trees", "trees"),
    _row("export-model", f"export-model {FIXED}/run --to model.pt2", "model.pt2"),
    _row("export-onnx", f"export-model {FIXED}/run --to model.onnx", "model.onnx"),
    _row("crossval", f"crossval {FIXED}/s.zarr {FIXED}/s2.zarr --out folds --model linear --epochs 1 --device cpu", "folds"),
)  # fmt: skip
BY_NAME = {row.name: row for row in ROWS}
_MAKING = (
    "simulate study.toml --archive archive",
    "simulate east.toml --archive east-archive",
    "export study.toml --to shards --archive archive",
    "export east.toml --to east-shards --archive east-archive",
    "export study.toml --to drive:crops --archive archive",
    "patches study.toml --from shards --store s.zarr",
    "patches east.toml --from east-shards --store s2.zarr",
    "train s.zarr --run run --model baseline --epochs 1 --device cpu",
    "train s.zarr --run trees --model trees --labels points --device cpu",
    "evaluate run --device cpu",
    "evaluate trees --device cpu",
    "map trees --from shards --out map.tif --device cpu",
    "sample map.tif --out points.csv",
)


def study_text(west_px: int = 0) -> str:
    """A square piece of the demo, `west_px` pixels east of its middle."""
    values = load_study("demo").to_dict()
    degrees = 30.0 / 111_319.490793
    half, middle = SIDE_PX * degrees / 2, -90.0 + west_px * degrees
    values["area"] |= {"bounds": [middle - half, 41.0 - half, middle + half, 41.0 + half]}
    values["patches"] |= {"size_px": PATCH_PX}
    values["splits"] |= {"block_patches": [3, 3]}
    return parse_study(values).to_toml()


def prepare(fixed: Path, run: Callable[[list[str], Path], None]) -> None:
    """Write every input into a folder; `run` runs the words of a command in it."""
    fixed.mkdir(parents=True)
    (fixed / "study.toml").write_text(study_text())
    (fixed / "east.toml").write_text(study_text(SIDE_PX))
    for words in _MAKING:
        run(words.split(), fixed)
    # a reference in which every point is what the map has there
    head, *lines = (fixed / "points.csv").read_text().splitlines()
    names = head.split(",")
    stratum, label = names.index("stratum"), names.index("class")
    rows = [line.split(",") for line in lines]
    labelled = [",".join([*row[:label], row[stratum], *row[label + 1 :]]) for row in rows]
    (fixed / "points.csv").write_text("\n".join([head, *labelled, ""]))


def place(row: Row, fixed: Path, folder: Path) -> None:
    """A folder in which the command can run."""
    folder.mkdir(parents=True)
    for name in row.copied:
        if (fixed / name).is_dir():
            shutil.copytree(fixed / name, folder / name)
        else:
            shutil.copy2(fixed / name, folder / name)
