"""Areas as JSON values and as text."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shapely

from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.maps.area_report import as_text, map_areas
from cropcam.pipeline.maps.class_map import open_map
from cropcam.pipeline.maps.sample_files import write_sample
from support.maps import write_map
from support.memory_source import LEGEND
from support.vectors import write_vectors

CLASSES = np.random.default_rng(0).integers(0, 3, (90, 70)).astype(np.uint8)
CLASSES[:10, :10] = 255
STEP = 30 / 111_319.490793


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_map(tmp_path / "map.tif", CLASSES, grid=PixelGrid("EPSG:4326", (STEP, 0.0, -96.0, 0.0, -STEP, 44.0), 70, 90))


def fill_in(path: Path, folder: Path, wrong: int) -> Path:
    """A sample of which every so many points differ from the map."""
    out = write_sample(path, folder / "p.csv").csv
    table = pd.read_csv(out)
    table["class"] = np.where(np.arange(len(table)) % wrong == 0, "corn", table["stratum"])
    table.to_csv(out, index=False)
    return out


def test_pixels_nominal_and_geodesic_hectares_stand_beside_each_other(path: Path) -> None:
    found = map_areas(path)
    low, high = found["map"]["nominal_deviation"]
    assert found["map"]["nominal_pixel_hectares"] == pytest.approx(0.09)
    assert (low, high) == (pytest.approx(np.cos(np.radians(44)) - 1, abs=0.003), pytest.approx(low, abs=0.001))
    corn = found["classes"][1]
    assert corn["nominal_hectares"] == pytest.approx(0.09 * corn["pixels"])
    assert sum(row["hectares"] for row in found["classes"]) == pytest.approx(found["hectares"])
    assert "adjusted_hectares" not in corn
    text = as_text(found)
    assert "its nominal area, 0.09 ha, deviates: -28." in text
    assert f"{corn['hectares']:,.1f}" in text
    json.dumps(found)


def test_adjusted_areas_have_intervals_and_regions_their_own(path: Path, tmp_path: Path) -> None:
    reference = fill_in(path, tmp_path, 4)
    west, south, east, north = open_map(path).grid.bounds_xyxy
    middle = (west + east) / 2
    halves = [shapely.box(west, south, middle, north), shapely.box(middle, south, east + 1, north)]
    regions = Path(write_vectors(tmp_path / "r.gpkg", halves, {"name": ["west", "east"]}, "EPSG:4326"))
    found = map_areas(path, regions, reference)
    assert found["reference"]["strata_kind"] == "map classes"
    assert [row["points"] for row in found["reference"]["strata"]] == [
        row["points"] for row in found["reference"]["strata"] if row["points"]
    ]
    adjusted = [row["adjusted_hectares"] for row in found["classes"]]
    assert sum(adjusted) == pytest.approx(found["hectares"])
    corn = found["classes"][1]
    assert corn["adjusted_hectares"] > corn["hectares"]
    assert corn["adjusted_hectares_ci95"][0] < corn["adjusted_hectares"] < corn["adjusted_hectares_ci95"][1]
    assert corn["users_accuracy_ci95"] == [1, 1]
    assert any(note.startswith("no point on corn shows an error") for note in found["reference"]["notes"])
    for region in found["regions"]:
        assert sum(row["adjusted_hectares"] for row in region["classes"]) == pytest.approx(region["hectares"])
    assert sum(region["hectares"] for region in found["regions"]) == pytest.approx(found["hectares"], rel=1e-6)
    assert sum(region["points"] for region in found["regions"]) == found["points"]
    assert found["regions"][1]["inside_map"] < 0.1
    text = as_text(found)
    assert "Region east, " in text
    assert "Overall accuracy 0." in text
    assert "Mapped hectares count pixels, errors included." in text


def test_points_without_a_design_have_no_interval(path: Path, tmp_path: Path) -> None:
    reference = fill_in(path, tmp_path, 4)
    pd.read_csv(reference).drop(columns=["inclusion_probability", "map_sha256"]).to_csv(reference, index=False)
    found = map_areas(path, None, reference)
    assert found["overall_accuracy"] is not None
    assert found["overall_accuracy_ci95"] is None
    assert found["reference"]["notes"][0].startswith("100 of 100 points have no stratum and inclusion_probability")
    assert "+-" not in as_text(found)


def test_a_region_with_few_points_says_so(path: Path, tmp_path: Path) -> None:
    reference = fill_in(path, tmp_path, 4)
    west, _, _, north = open_map(path).grid.bounds_xyxy
    corner = shapely.box(west + 10 * STEP, north - 12 * STEP, west + 14 * STEP, north - 8 * STEP)
    found = map_areas(path, Path(write_vectors(tmp_path / "r.gpkg", [corner], {}, "EPSG:4326")), reference)
    region = found["regions"][0]
    assert region["points"] < 10
    assert region["note"] == f"{region['points']} reference points: too few for the figures to mean much"
    assert LEGEND.names[0] == region["classes"][0]["name"]
