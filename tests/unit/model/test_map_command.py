"""The command map: what its options become."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cropcam.cli import main
from cropcam.model.inference import wall_to_wall
from cropcam.model.inference.summary import MapSummary
from cropcam.model.inference.wall_to_wall import Outputs
from cropcam.model.map_command import SMOOTHNESS
from cropcam.pipeline.store.patch_store import PatchStore
from support.map_runs import info_of, make_config, make_run, random_network, with_attrs
from support.memory_source import make_grid
from support.rasters import write_raster
from support.stores import make_store, make_study

BANDS = 7


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Arguments of the calls of `map_raster`, which maps nothing."""
    recorded: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def instead(*args: Any, **options: Any) -> MapSummary:
        recorded.append((args, options))
        return MapSummary(args[2], {"background": 3, "corn": 1}, 2, {"background": 0.27, "corn": 0.09}, files=(args[2],))

    monkeypatch.setattr(wall_to_wall, "map_raster", instead)
    return recorded


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run", random_network(), with_attrs(make_config(), info_of(make_study(16), 16)))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write_raster(tmp_path / "image.tif", np.full((BANDS, 8, 9), 9000, np.uint16), make_grid(8, 9))


def called(words: list[Any], calls: list[Any]) -> dict[str, Any]:
    assert main(["map", *map(str, words)]) == 0
    [(args, options)] = calls
    return {"run": args[0], "source": args[1], "out": args[2], **options}


def test_nothing_more_than_a_map(run: Path, image: Path, calls: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    found = called([run, "--image", image, "--out", "map.tif"], calls)
    assert (found["run"], found["out"], found["outputs"], found["known"]) == (run, Path("map.tif"), Outputs(), None)
    assert (found["sieve_ha"], found["smoothness"]) == (0.0, 0.0)
    assert [found[name] for name in ("method", "region", "scheduler", "device")] == [None, None, None, "auto"]
    assert found["source"].paths == (image.absolute(),)
    mapped = "map.tif: 4 pixels mapped: background 0 ha (75.0%), corn 0 ha (25.0%); 2 nodata\n"
    assert capsys.readouterr().out == f"{mapped}results: map.tif\nnext: cropcam area map.tif\n"


def test_every_option(run: Path, image: Path, calls: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    files = {name: Path(f"{name}.tif") for name in ("probabilities", "uncertainty", "shift")}
    words = [word for name, path in files.items() for word in (f"--{name}", path)]
    words += ["--polygons", "o.gpkg", "--simplify", "20", "--region", "r.geojson", "--method", "spectral", "--class-prior", "1,1,0,2,0"]
    words += ["--sieve", "0.5", "--smooth", "--scheduler", "tcp://h:1", "--device", "cpu", "--json"]
    found = called([run, "--image", image, "--out", "map.tif", *words], calls)
    assert found["outputs"] == Outputs(**files, polygons=Path("o.gpkg"), simplify_m=20.0)
    assert found["known"].share_K == (0.25, 0.25, 0.0, 0.5, 0.0)
    assert (found["sieve_ha"], found["smoothness"]) == (0.5, SMOOTHNESS)
    assert (found["region"], found["method"], found["scheduler"], found["device"]) == (Path("r.geojson"), "spectral", "tcp://h:1", "cpu")
    assert json.loads(capsys.readouterr().out)["class_pixels"] == {"background": 3, "corn": 1}


def test_a_number_for_smoothing(run: Path, image: Path, calls: list[Any]) -> None:
    assert called([run, "--image", image, "--out", "map.tif", "--smooth", "20"], calls)["smoothness"] == 20


def test_a_store(run: Path, tmp_path: Path, calls: list[Any]) -> None:
    make_store(tmp_path / "s.zarr", count=4, size_px=16)
    assert isinstance(called([run, "--store", tmp_path / "s.zarr", "--out", "map.tif"], calls)["source"], PatchStore)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--simplify", "20"], "--simplify 20 goes with --polygons FILE"),
        (["--class-prior", "1,1"], "--class-prior has 2 shares, the run has 5 classes: background, corn, soybean, forest, grassland"),
        (["--class-prior", "1,1,1,1,0,0"], "--class-prior has 6 shares, the run has 5 classes"),
        (["--class-prior", "2,-1,0,0,0"], "--class-prior 2,-1,0,0,0: give areas or shares of 0 or more, not all 0"),
    ],
)
def test_options_that_are_not_possible(
    run: Path, image: Path, calls: list[Any], words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["map", str(run), "--image", str(image), "--out", "map.tif", *words]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"cropcam: {message}")
    assert calls == []


@pytest.mark.parametrize(
    "words",
    [
        ["--simplify", "-1"],
        ["--sieve", "0"],
        ["--sieve", "few"],
        ["--smooth", "nan"],
        ["--smooth", "inf"],
        ["--class-prior", "1;2"],
        ["--class-prior", "1,1,1,1,1", "--areas", "a.geojson"],
    ],
)
def test_words_that_the_parser_refuses(run: Path, image: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["map", str(run), "--image", str(image), "--out", "map.tif", *words])
    assert words[0] in capsys.readouterr().err


@pytest.mark.parametrize(("option", "kind"), [("--from", "shards of an export have their"), ("--store", "a store has its")])
def test_values_go_with_own_files(run: Path, tmp_path: Path, option: str, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["map", str(run), option, str(tmp_path), "--out", "map.tif", "--scale", "2"]) == 2
    assert capsys.readouterr().err == f"cropcam: --scale, --offset and --nodata go with --image; {kind} own values\n"
