"""The composite's numpy twin against plain loops over a hand-made archive."""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer

from pipeline.errors import DataError
from pipeline.grid import PixelGrid
from pipeline.reference import compose, find_scenes, masked, median
from pipeline.study import Study, load_study, parse_study
from rasters import write_raster

FLAG_BITS = {"fill": 1, "dilated_cloud": 2, "cirrus": 4, "cloud": 8, "shadow": 16, "snow": 32}
EAST = PixelGrid("EPSG:32616", (30.0, 0.0, 246_015.0, 0.0, -30.0, 4_544_985.0), 130, 170)
WEST = PixelGrid("EPSG:32615", (30.0, 0.0, 751_005.0, 0.0, -30.0, 4_543_995.0), 130, 140)
CDL = PixelGrid("EPSG:5070", (30.0, 0.0, 497_925.0, 0.0, -30.0, 2_042_985.0), 260, 260)


def small(**image: Any) -> Study:
    """A study of about 90 x 80 px across -90 degrees, with two bands and one summer."""
    values = load_study("demo").to_dict()
    values["area"] |= {"bounds": [-90.012, 41.0, -89.988, 41.0216]}
    values["image"] |= {"bands": ["SR_B4", "SR_B5"], "seasons": [["2016-05-01", "2016-10-01"]], **image}
    return parse_study(values)


def write_scene(archive: Path, name: str, day: str, grid: PixelGrid, seed: int, cloud_cover: float = 10.0) -> dict[str, np.ndarray]:
    """One random scene: every QA flag, saturation and zero DN occur."""
    rng = np.random.default_rng(seed)
    folder = archive / "LANDSAT/LC08/C02/T1_L2" / name
    bands = {
        band: rng.integers(0, 65535, grid.shape_yx).astype(np.uint16) * (rng.random(grid.shape_yx) > 0.1) for band in ("SR_B4", "SR_B5")
    }
    bands["QA_PIXEL"] = rng.choice(np.array([64, 64, 64, 1, 2, 4, 8, 16, 32, 24], np.uint16), grid.shape_yx)
    bands["QA_RADSAT"] = rng.choice(np.array([0, 0, 0, 1 << 3, 1 << 4, 1 << 6], np.uint16), grid.shape_yx)
    bands = {band: values.astype(np.uint16) for band, values in bands.items()}
    for band, values in bands.items():
        write_raster(folder / f"{band}.tif", values, grid)
    stamp = int(np.datetime64(day, "ms").astype(int))
    properties = {"system:time_start": stamp, "system:index": name, "CLOUD_COVER": cloud_cover}
    (folder / "asset.json").write_text(json.dumps({"bands": list(bands), "properties": properties}))
    return bands


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[PixelGrid, dict[str, np.ndarray]]], np.ndarray]:
    """Five scenes inside the summer, two just outside it, and a CDL."""
    folder = tmp_path_factory.mktemp("archive")
    summer = [
        ("LC08_A", "2016-05-01", EAST),
        ("LC08_B", "2016-06-10", WEST),
        ("LC08_C", "2016-07-01", EAST),
        ("LC08_D", "2016-09-30T23:59:59", WEST),
        ("LC08_E", "2016-08-01", EAST),
    ]
    scenes = [(grid, write_scene(folder, name, day, grid, seed)) for seed, (name, day, grid) in enumerate(summer)]
    write_scene(folder, "LC08_EARLY", "2016-04-30T23:59:59", EAST, 90)
    write_scene(folder, "LC08_LATE", "2016-10-01", EAST, 91)
    codes = np.random.default_rng(9).choice(np.array([0, 1, 5, 141, 176], np.uint8), CDL.shape_yx)
    write_raster(folder / "USDA/NASS/CDL/2016/cropland.tif", codes, CDL)
    return folder, scenes, codes


def at(grid: PixelGrid, lon: float, lat: float) -> tuple[int, int] | None:
    """Row and column of the pixel of `grid` that holds a point, by hand."""
    x, y = Transformer.from_crs("EPSG:4326", grid.crs, always_xy=True).transform(lon, lat)
    col, row = math.floor((x - grid.transform[2]) / 30), math.floor((grid.transform[5] - y) / 30)
    return (row, col) if 0 <= row < grid.height and 0 <= col < grid.width else None


@pytest.mark.parametrize("flags", [("fill", "dilated_cloud", "cirrus", "cloud", "shadow"), ("cloud", "snow", "saturated"), ()])
def test_the_composite_is_the_median_of_what_qa_lets_through(archive: Any, tmp_path: Path, flags: tuple[str, ...]) -> None:
    folder, scenes, codes = archive
    study = small(mask=list(flags))
    image_path, labels_path = compose(study, folder, tmp_path)
    with rasterio.open(image_path) as file:
        image = file.read()
        assert (file.dtypes[0], file.nodata, file.descriptions) == ("uint16", 0, ("SR_B4", "SR_B5"))
        assert tuple(file.transform)[:6] == study.grid.transform
    with rasterio.open(labels_path) as file:
        labels = file.read(1)
    bits = sum(FLAG_BITS.get(flag, 0) for flag in flags)
    x, y = study.grid.centres()
    rng = np.random.default_rng(1)
    counts = []
    for row, col in zip(rng.integers(0, study.grid.height, 150), rng.integers(0, study.grid.width, 150), strict=True):
        for number, band in enumerate(("SR_B4", "SR_B5")):
            values = []
            for grid, bands in scenes:
                place = at(grid, x[col], y[row])
                if place is None or bands["QA_PIXEL"][place] & bits or bands[band][place] == 0:
                    continue
                if "saturated" in flags and bands["QA_RADSAT"][place] & 0b11000:
                    continue
                values.append(int(bands[band][place]))
            counts.append(len(values))
            assert image[number, row, col] == (math.floor(statistics.median(values) + 0.5) if values else 0)
        place = at(CDL, x[col], y[row])
        assert labels[row, col] == (codes[place] if place else 0)
    assert {0, 1, 2, 3} <= set(counts) or flags == ()


@given(st.lists(st.tuples(st.integers(0, 65535), st.booleans()), min_size=1, max_size=12))
def test_median_against_the_standard_library(pairs: list[tuple[int, bool]]) -> None:
    values, valid = np.array([v for v, _ in pairs], np.uint16), np.array([ok for _, ok in pairs])
    kept = [v for v, ok in pairs if ok]
    assert median(values, valid) == (math.floor(statistics.median(kept) + 0.5) if kept else 0)


@given(st.integers(0, 65535), st.sets(st.sampled_from(sorted(FLAG_BITS))))
def test_masked_reads_the_bits_of_the_usgs_table(code: int, flags: set[str]) -> None:
    found = masked(np.array([code], np.uint16), np.zeros(1, np.uint16), sorted(flags), ())
    assert found[0] == any(code & FLAG_BITS[flag] for flag in flags)


def test_seasons_are_half_open_and_cloudy_scenes_can_be_left_out(archive: Any, tmp_path: Path) -> None:
    folder, _, _ = archive
    assert [scene.name for scene in find_scenes(small(), folder, ("2016-05-01", "2016-10-01"))] == [
        "LC08_A",
        "LC08_B",
        "LC08_C",
        "LC08_D",
        "LC08_E",
    ]
    with pytest.raises(DataError, match="no scene of LANDSAT/LC08/C02/T1_L2 in 2015-05-01 to 2015-06-01 meets the area"):
        find_scenes(small(), folder, ("2015-05-01", "2015-06-01"))
    with pytest.raises(DataError, match="no scene of"):
        find_scenes(small(cloud_cover_max_pct=5.0), folder, ("2016-05-01", "2016-10-01"))
    with pytest.raises(DataError, match="the archive has no LANDSAT/LC08/C02/T1_L2; make it with 'cropcam simulate demo"):
        find_scenes(small(), tmp_path, ("2016-05-01", "2016-10-01"))


def test_seasons_stack_and_shards_there_already_stay(archive: Any, tmp_path: Path) -> None:
    folder, _, _ = archive
    study = small(seasons=[["2016-05-01", "2016-07-01"], ["2016-07-01", "2016-10-01"]])
    image, _ = compose(study, folder, tmp_path)
    with rasterio.open(image) as file:
        assert file.descriptions == ("1_SR_B4", "1_SR_B5", "2_SR_B4", "2_SR_B5")
    stamp = image.stat().st_mtime_ns
    compose(study, folder, tmp_path)
    assert image.stat().st_mtime_ns == stamp
    with pytest.raises(DataError, match=r"image\.tif: a shard of another study"):
        compose(small(), folder, tmp_path)
