"""The commands sample and area: from a map to points, filled in, to hectares with intervals; and their bad inputs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shapely

from cropcam.cli import main
from support.maps import write_map
from support.memory_source import LEGEND, make_grid
from support.vectors import write_vectors

SHAPE = (400, 300)


@pytest.fixture(scope="module")
def truth() -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    return np.kron(np.random.default_rng(0).choice(3, (40, 30), p=[0.6, 0.3, 0.1]), np.ones((10, 10))).astype(np.uint8)


@pytest.fixture
def made(tmp_path: Path, truth: np.ndarray[tuple[int, int], np.dtype[np.uint8]]) -> Path:
    """A map that takes a third of the corn for background."""
    mapped = np.where((truth == 1) & (np.random.default_rng(1).random(SHAPE) < 1 / 3), 0, truth).astype(np.uint8)
    return write_map(tmp_path / "map.tif", mapped)


def test_a_sample_filled_in_finds_the_true_area(
    made: Path, tmp_path: Path, truth: np.ndarray[tuple[int, int], np.dtype[np.uint8]], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "points.csv"
    sizes = ["--expected-accuracy", "background=0.8", "corn=0.95", "soybean=0.95", "--standard-error", "0.015"]
    assert main(["sample", str(made), "--out", str(out), "--seed", "4", *sizes]) == 0
    assert "Fill in the column class of one of them" in capsys.readouterr().out
    assert main(["area", str(made), "--reference", str(out)]) == 3
    assert "points have no class yet; fill in the column class" in capsys.readouterr().err

    table = pd.read_csv(out)
    grid = make_grid(*SHAPE)
    places = shapely.points(table["lon"], table["lat"])
    layer = write_vectors(tmp_path / "places.gpkg", list(places), {"n": list(range(len(table)))}, "EPSG:4326", grid.crs)
    import geopandas

    xy = geopandas.read_file(layer).geometry
    row, col = grid.index(xy.x, xy.y)
    table["class"] = np.array(LEGEND.names)[truth[row, col]]
    table.to_csv(out, index=False)
    regions = write_vectors(tmp_path / "r.geojson", [shapely.box(*grid.bounds_xyxy)], {"name": ["all"]}, grid.crs, "EPSG:4326")
    assert main(["area", str(made), "--reference", str(out), "--regions", regions, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    corn = found["classes"][1]
    true_hectares = (truth == 1).mean() * found["hectares"]
    low, high = corn["adjusted_hectares_ci95"]
    assert low < true_hectares < high
    assert corn["hectares"] < low  # the count of pixels is biased
    table.rename(columns={"class": "seen"}).to_csv(other := tmp_path / "seen.csv", index=False)
    assert main(["area", str(made), "--reference", str(other), "--label-column", "seen", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["classes"] == found["classes"]
    assert main(["area", str(made), "--label-column", "seen"]) == 2
    assert "--label-column names the column of classes in --reference POINTS" in capsys.readouterr().err
    assert found["regions"][0]["name"] == "all"
    assert main(["area", str(made), "--reference", str(out)]) == 0
    text = capsys.readouterr().out
    assert "deviates: +0.0" in text
    assert "Overall accuracy 0." in text


def test_bad_inputs_get_a_line_and_a_code(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def refused(code: int, *words: object) -> str:
        assert main([str(word) for word in words]) == code
        lines = [line for line in capsys.readouterr().err.splitlines() if line != f"{words[0]:<9} started"]
        assert len(lines) == 1
        return lines[0]

    out = tmp_path / "p.csv"
    assert main(["sample", str(made), "--out", str(out)]) == 0
    table = pd.read_csv(out)
    table["class"] = table["stratum"]
    table.to_csv(out, index=False)
    other = write_map(tmp_path / "other.tif", np.zeros(SHAPE, np.uint8))
    empty = write_map(tmp_path / "empty.tif", np.full(SHAPE, 255, np.uint8))
    away = write_vectors(tmp_path / "away.gpkg", [shapely.box(0, 0, 1, 1)], {}, "EPSG:4326")
    capsys.readouterr()
    assert "drawn from another map" in refused(3, "area", other, "--reference", out)
    assert "pixels are nodata; there is no area to measure" in refused(3, "area", empty)
    assert "pixels are nodata" in refused(3, "sample", empty, "--out", tmp_path / "e.csv")
    assert "none of its 1 regions lies in the map" in refused(3, "area", made, "--regions", away)
    assert "is there already and may be filled in" in refused(3, "sample", made, "--out", out)
    assert "no class of the map, nearest" in refused(2, "sample", made, "--out", tmp_path / "q.csv", "--expected-accuracy", "rye=0.9")
    assert "no such map" in refused(3, "area", tmp_path / "absent.tif")
    one = table.drop(columns="map_sha256")
    one["inclusion_probability"] /= one.groupby("stratum")["stratum"].transform("size")
    one.groupby("stratum").head(1).to_csv(tmp_path / "one.csv", index=False)
    assert "a variance needs 2 points in each stratum" in refused(3, "area", made, "--reference", tmp_path / "one.csv")
