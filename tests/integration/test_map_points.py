"""The command evaluate MAP --points FILE: from a run's map to figures, on the terminal, as JSON and in a file; and its bad inputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely

from cropcam.cli import main
from cropcam.model.inference.wall_to_wall import map_raster
from support.map_runs import make_config, make_run, random_dn, random_network
from support.memory_source import LEGEND, Memory
from support.points import grid_xy, write_points
from support.vectors import write_vectors

CODES = ("111", "Corn", "5", "63", "37")  # of background (water) and of each class


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A map of a run with a corner of nodata; and points of the map's own classes, every fifth one wrong."""
    folder = tmp_path_factory.mktemp("made")
    source = Memory(random_dn(np.random.default_rng(0), 150, 130, 0.4))
    map_raster(make_run(folder / "run", random_network(), make_config()), source, folder / "map.tif", device="cpu")
    with rasterio.open(folder / "map.tif") as file:
        classes = file.read(1)
    row, col = (places[:200] for places in np.random.default_rng(1).permutation(np.argwhere(classes != 255)).T)
    truth = classes[row, col].astype(int)
    truth[::5] = (truth[::5] + 1) % len(LEGEND)
    x, y = grid_xy(source.grid, row + 0.5, col + 0.5)
    return folder / "map.tif", write_points(folder / "points.csv", x, y, [CODES[index] for index in truth], column="crop")


def words(made: tuple[Path, Path], *more: str) -> list[str]:
    return ["evaluate", str(made[0]), "--points", str(made[1]), "--label-column", "crop", *more]


def test_a_map_of_a_run_is_scored_by_codes_and_names_of_its_legend(
    made: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(path.name for path in made[0].parent.iterdir())
    assert main(words(made)) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{made[0]}: 200 points in 1 cell of 10 km\naccuracy 0.8000  majority guess ")
    assert "user's accuracy" in printed.out
    lines = {line.split()[0]: line for line in printed.out.splitlines() if line}
    assert set(LEGEND.names) <= set(lines)
    assert printed.err.splitlines()[-1].startswith("note: These figures describe the points.")
    assert "note: One cell: no interval can be given; give points that are farther apart." in printed.err.splitlines()
    assert sorted(path.name for path in made[0].parent.iterdir()) == before, "nothing is written"
    assert main(words(made, "--json", "--out", str(tmp_path / "scores.json"))) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((tmp_path / "scores.json").read_text())
    assert {"map", "points", "pixel_accuracy", "pixel_accuracy_ci95", "majority_accuracy", "per_class", "confusion", "intervals"} <= set(
        found
    )
    assert (found["pixel_accuracy"], found["points"]["used"], found["map"]["tags"]["study"]) == (0.8, 200, "made-up")


@pytest.mark.parametrize("suffix", ["gpkg", "parquet", "geojson"])
def test_every_format_gives_the_same_figures(
    made: tuple[Path, Path], tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [line.split(",") for line in made[1].read_text().splitlines()[1:]]
    points = [shapely.Point(float(x), float(y)) for x, y, _ in rows]
    crs = {"gpkg": "EPSG:4326", "parquet": "EPSG:5070"}.get(suffix)
    file = write_vectors(tmp_path / f"p.{suffix}", points, {"crop": [text for *_, text in rows]}, "EPSG:32616", to_crs=crs)
    found: list[dict[str, Any]] = []
    for path in (made[1], Path(file)):
        assert main(words((made[0], path), "--json")) == 0
        found.append(json.loads(capsys.readouterr().out))
    first, other = ({key: value for key, value in each.items() if key != "points"} for each in found)
    assert first == other


def test_bad_input_is_one_line_with_the_next_step(made: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, (file, points) = made[0].parent / "run", made
    (tmp_path / "other.tif").write_text("no raster")
    cases = [
        (["evaluate", str(file)], 2, "is a file, no run folder; score a map against points: cropcam evaluate"),
        (words(made, "--split", "test"), 2, "--split go with a run, not with MAP --points FILE"),
        (words(made, "--save", "s.zarr", "--split", "train"), 2, "--split and --save go with a run, not with MAP --points FILE"),
        (words(made, "--out", str(file)), 3, "map.tif: is an input of this command; choose another name"),
        (["evaluate", str(run), "--out", "x.json"], 2, "--out goes with MAP --points FILE"),
        (["evaluate", str(tmp_path / "other.tif"), "--points", str(points)], 3, "other.tif: cannot be read as a raster"),
        (["evaluate", str(tmp_path / "no.tif"), "--points", str(points)], 3, "no.tif: no such map"),
        (["evaluate", str(file), "--points", str(tmp_path / "no.csv")], 2, "no.csv: No such file"),
        (["evaluate", str(file), "--points", str(points)], 3, "line 1: no column class among x, y, crop"),
    ]
    for line, code, message in cases:
        assert main(line) == code, line
        printed = capsys.readouterr()
        assert printed.out == ""
        assert message in printed.err
        assert len(printed.err.splitlines()) == 1
