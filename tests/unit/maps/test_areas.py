"""Areas of classes and regions: sums of pixels, whole from parts, whatever the blocks."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.maps import areas, class_map
from cropcam.pipeline.maps.areas import measure
from cropcam.pipeline.maps.class_map import FinishedMap, open_map
from cropcam.pipeline.maps.pixel_areas import pixel_hectares
from cropcam.pipeline.maps.regions import Regions, read_regions
from support.maps import retag, write_map
from support.memory_source import make_grid
from support.vectors import write_vectors

GRIDS = [make_grid(90, 70), PixelGrid("EPSG:4326", (0.003, 0.0, -96.0, 0.0, -0.003, 44.0), 70, 90)]
CLASSES = np.random.default_rng(0).integers(0, 4, (90, 70)).astype(np.uint8)
CLASSES[:30, :20] = 255


@pytest.fixture(scope="module", params=[0, 1], ids=["UTM", "degrees"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FinishedMap:
    return open_map(write_map(tmp_path_factory.mktemp("map") / "map.tif", CLASSES, grid=GRIDS[request.param]))


def test_progress_counts_the_blocks(made: FinishedMap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_map, "BLOCK_PX", 32)
    monkeypatch.setattr(areas, "BLOCK_PX", 32)
    calls: list[tuple[int, int]] = []
    measure(made, progress=lambda done, total, _: calls.append((done, total)))
    assert calls == [(done, 9) for done in range(1, 10)]


def test_hectares_are_sums_of_pixels_whatever_the_blocks(made: FinishedMap, monkeypatch: pytest.MonkeyPatch) -> None:
    hectares = np.broadcast_to(pixel_hectares(made.grid, Window(0, 0, 90, 70)), (90, 70))
    whole = measure(made).whole
    assert whole.pixels_K.tolist() == [float((k == CLASSES).sum()) for k in range(5)]
    np.testing.assert_allclose(whole.hectares_K, [hectares[k == CLASSES].sum() for k in range(5)], rtol=1e-9)
    assert (whole.nodata_pixels, whole.nodata_hectares) == (600, pytest.approx(hectares[:30, :20].sum()))
    monkeypatch.setattr(class_map, "BLOCK_PX", 32)
    np.testing.assert_allclose(measure(made).whole.hectares_K, whole.hectares_K, rtol=3e-7)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.lists(st.floats(0.01, 0.99), min_size=1, max_size=4, unique=True))
def test_regions_that_part_the_map_sum_to_the_whole(made: FinishedMap, cut: list[float]) -> None:
    west, south, east, north = made.grid.bounds_xyxy
    edges = [west, *(west + (east - west) * each for each in sorted(cut)), east]
    shapes = np.array([shapely.box(left, south, right, north) for left, right in itertools.pairwise(edges)])
    found = measure(made, Regions(tuple("abcde"[: len(shapes)]), shapes, (1.0,) * len(shapes)))
    np.testing.assert_allclose(sum(part.hectares_K for part in found.regions), found.whole.hectares_K, rtol=1e-6)
    assert sum(part.nodata_hectares for part in found.regions) == pytest.approx(found.whole.nodata_hectares, rel=1e-6)


def test_a_region_of_degrees_on_a_map_in_metres(tmp_path: Path) -> None:
    opened = open_map(write_map(tmp_path / "map.tif", CLASSES))
    box = shapely.box(*opened.grid.bounds_xyxy)
    path = write_vectors(tmp_path / "r.gpkg", [shapely.segmentize(box, 10)], {}, opened.grid.crs)
    import geopandas

    geopandas.read_file(path).to_crs("EPSG:4326").to_file(tmp_path / "d.gpkg")
    found = measure(opened, read_regions(tmp_path / "d.gpkg", opened.grid))
    np.testing.assert_allclose(found.regions[0].hectares_K, found.whole.hectares_K, rtol=1e-5)


def test_the_digest_is_of_grid_and_pixels_alone(tmp_path: Path) -> None:
    path = write_map(tmp_path / "map.tif", CLASSES)
    digest = measure(open_map(path)).digest
    assert measure(open_map(retag(path, seed="4"))).digest == digest
    other = CLASSES.copy()
    other[50, 50] = (other[50, 50] + 1) % 4
    assert measure(open_map(write_map(tmp_path / "other.tif", other))).digest != digest
    assert measure(open_map(write_map(tmp_path / "moved.tif", CLASSES, grid=GRIDS[1]))).digest != digest


def test_a_map_of_nodata_has_no_area(tmp_path: Path) -> None:
    path = write_map(tmp_path / "map.tif", np.full((9, 9), 255, np.uint8))
    with pytest.raises(DataError, match=r"map\.tif: all of its 81 pixels are nodata; there is no area to measure"):
        measure(open_map(path))


def test_the_range_of_pixel_areas_is_of_pixels_with_a_class(tmp_path: Path) -> None:
    """In degrees a row farther north has smaller pixels: the first and the last rows are nodata."""
    classes = np.full((90, 70), 2, np.uint8)
    classes[:10], classes[80:] = 255, 255
    found = measure(open_map(write_map(tmp_path / "map.tif", classes, grid=GRIDS[1]))).pixel_hectares
    hectares = pixel_hectares(GRIDS[1], Window(0, 0, 90, 70))
    assert found == (pytest.approx(float(hectares[10, 0])), pytest.approx(float(hectares[79, 0])))
    assert float(hectares[0, 0]) < found[0] < found[1] < float(hectares[89, 0])
