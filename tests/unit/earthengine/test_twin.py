"""The optional graphs - count, confidence, region - evaluated by the embedded engine, against plain numpy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio

from cropcam.pipeline.earthengine.graphs import graph
from cropcam.pipeline.grid import PixelGrid, nearest_index
from oracles.composite import find_scenes, masked
from support import scenes

SEASONS = [["2016-05-01", "2016-07-01"], ["2016-07-01", "2016-10-01"]]
BOX = (-90.006, 41.004, -89.996, 41.016)  # west, south, east, north


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scenes.write_archive(tmp_path_factory.mktemp("archive"))


@pytest.fixture
def client(archive: Path) -> Iterator[scenes.Client]:
    with scenes.client(archive) as one:
        yield one


def nearest(path: Path, target: PixelGrid) -> tuple[np.ndarray, np.ndarray]:
    """Values of a raster on the target grid, and where it has any."""
    with rasterio.open(path) as file:
        grid = PixelGrid(file.crs.to_string(), tuple(file.transform)[:6], file.width, file.height)
        row, col = nearest_index(grid, target)
        return np.where(row >= 0, file.read(1)[row, col], 0), row >= 0


def test_counts_are_the_observations_valid_in_every_band(client: scenes.Client, archive: Path) -> None:
    study = scenes.study(image={"count": True, "seasons": SEASONS, "mask": ["cloud", "saturated"]})
    found = client.pixels(graph(study, "count"), study.grid)
    assert found.dtype == np.uint16
    for number, season in enumerate(study.image.seasons):
        wanted = np.zeros(study.grid.shape_yx, int)
        for scene in find_scenes(study, archive, season):
            folder = scene.rasters["SR_B4"].path.parent
            read = {band: nearest(folder / f"{band}.tif", study.grid) for band in ("SR_B4", "SR_B5", "QA_PIXEL", "QA_RADSAT")}
            bad = masked(read["QA_PIXEL"][0], read["QA_RADSAT"][0], study.image.mask, study.image.bands)
            wanted += (read["SR_B4"][0] != 0) & (read["SR_B5"][0] != 0) & ~bad & read["QA_PIXEL"][1]
        assert np.array_equal(found[number], wanted)
        assert wanted.max() > 1


def test_labels_below_the_confidence_are_no_labels(client: scenes.Client, archive: Path) -> None:
    study = scenes.study(labels={"confidence_min_pct": 55})
    codes, _ = nearest(archive / scenes.LABELS / "cropland.tif", study.grid)
    confidence, _ = nearest(archive / scenes.LABELS / "confidence.tif", study.grid)
    found = client.pixels(graph(study, "labels"), study.grid)
    assert np.array_equal(found[0], np.where(confidence >= 55, codes, 0))
    assert found.dtype == np.uint8


@pytest.mark.parametrize("layer", ["image", "labels", "count"])
def test_outside_the_region_is_nodata(client: scenes.Client, layer: str) -> None:
    west, south, east, north = BOX
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    text = f'{{"type": "Polygon", "coordinates": [{ring}]}}'
    inside, everywhere = scenes.study(area={"region": text}, image={"count": True}), scenes.study(image={"count": True})
    x, y = everywhere.grid.centres()
    kept = ((x > west) & (x < east))[None, :] & ((y > south) & (y < north))[:, None]
    found = client.pixels(graph(inside, layer), inside.grid).filled(0)
    whole = client.pixels(graph(everywhere, layer), everywhere.grid).filled(0)
    assert np.array_equal(found, np.where(kept, whole, 0))
    assert 0 < kept.sum() < kept.size
