"""The composite's numpy twin against plain loops over a hand-made archive."""

from __future__ import annotations

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

from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.study.study import Study
from oracles.composite import compose, find_scenes, masked, median
from support import scenes

FLAG_BITS = {"fill": 1, "dilated_cloud": 2, "cirrus": 4, "cloud": 8, "shadow": 16, "snow": 32}
SCENE_BANDS = ("SR_B4", "SR_B5", "QA_PIXEL", "QA_RADSAT")


def small(**image: Any) -> Study:
    """The hand-made archive's study, with another image section."""
    return scenes.study(image=image)


def values_of(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read(1)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[PixelGrid, dict[str, np.ndarray]]], np.ndarray]:
    """The hand-made archive, its scenes inside the summer, and its CDL."""
    folder = scenes.write_archive(tmp_path_factory.mktemp("archive"))
    summer = [
        (grid, {band: values_of(folder / scenes.LANDSAT / name / f"{band}.tif") for band in SCENE_BANDS}) for name, _, grid in scenes.SUMMER
    ]
    return folder, summer, values_of(folder / scenes.LABELS / "cropland.tif")


def at(grid: PixelGrid, lon: float, lat: float) -> tuple[int, int] | None:
    """Row and column of the pixel of `grid` that holds a point, by hand."""
    x, y = Transformer.from_crs("EPSG:4326", grid.crs, always_xy=True).transform(lon, lat)
    col, row = math.floor((x - grid.transform[2]) / 30), math.floor((grid.transform[5] - y) / 30)
    return (row, col) if 0 <= row < grid.height and 0 <= col < grid.width else None


@pytest.mark.parametrize("flags", [("fill", "dilated_cloud", "cirrus", "cloud", "shadow"), ("cloud", "snow", "saturated"), ()])
def test_the_composite_is_the_median_of_what_qa_lets_through(archive: Any, tmp_path: Path, flags: tuple[str, ...]) -> None:
    folder, summer, codes = archive
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
            for grid, bands in summer:
                place = at(grid, x[col], y[row])
                if place is None or bands["QA_PIXEL"][place] & bits or bands[band][place] == 0:
                    continue
                if "saturated" in flags and bands["QA_RADSAT"][place] & 0b11000:
                    continue
                values.append(int(bands[band][place]))
            counts.append(len(values))
            assert image[number, row, col] == (math.floor(statistics.median(values) + 0.5) if values else 0)
        place = at(scenes.CDL, x[col], y[row])
        assert labels[row, col] == (codes[place] if place else 0)
    assert set(np.unique(labels)) == {0, 1, 5, 141, 176}
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
        find_scenes(small(cloud_cover_max_pct=5.0), folder, ("2016-06-01", "2016-10-01"))
    with pytest.raises(DataError, match="the archive has no LANDSAT/LC08/C02/T1_L2; make it with 'cropcam simulate demo"):
        find_scenes(small(), tmp_path, ("2016-05-01", "2016-10-01"))


def test_what_the_twin_does_not_know_it_refuses(archive: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"the twin knows no area\.region, image\.count or labels\.confidence_min_pct"):
        compose(small(count=True), archive[0], tmp_path)


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
