"""Real Landsat and CDL rasters, where a folder of them is at hand (CROPCAM_DATA); skipped otherwise. Nothing is copied."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import rasterio

from cli import main
from pipeline.grid import CDL_ORIGIN_XY, PixelGrid, Window
from pipeline.sources import open_image, open_labels
from pipeline.store import open_store
from pipeline.study import LANDSAT_BANDS

DATA = Path(os.environ.get("CROPCAM_DATA", Path(__file__).parents[3] / "shared" / "data"))
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no real rasters in {DATA.name}; set CROPCAM_DATA to a folder of them")
ILLINOIS, DAKOTA, KANSAS = DATA / "illinois-2023", DATA / "dakota-2015", DATA / "kansas-cdl-2021"


def grid_of(path: Path) -> PixelGrid:
    with rasterio.open(path) as file:
        return PixelGrid(file.crs.to_string(), tuple(file.transform)[:6], file.width, file.height)


def test_four_cdl_shards_rebuild_the_whole_raster() -> None:
    whole = KANSAS / "2021_30m_cdls.tif"
    grid = grid_of(whole)
    assert [(grid.transform[i] - CDL_ORIGIN_XY[n]) % 30 for n, i in enumerate((2, 5))] == [0, 0]
    parts = [path for path in sorted(KANSAS.glob("*.tif")) if path != whole]
    assert len(parts) == 4
    found = open_labels(parts, grid).read(Window(0, 0, *grid.shape_yx))
    with rasterio.open(whole) as file:
        np.testing.assert_array_equal(found, file.read(1))


def test_illinois_the_whole_way(tmp_path: Path) -> None:
    images = [str(path) for path in sorted(ILLINOIS.glob("LC08*_SR_B?.TIF"))]
    labels, store, run = str(ILLINOIS / "2023_30m_cdls.tif"), tmp_path / "illinois.zarr", tmp_path / "run"
    assert main(["patches", "corn-belt-2016", "--image", *images, "--labels", labels, "--store", str(store)]) == 0
    dataset, info = open_store(store)
    assert len(dataset["row"]) == 337  # complete patches, as counted by the folder's README
    assert info.dropped == {"image_nodata": 7, "unlabelled": 56, "both_together": 0}
    assert main(["train", str(store), "--run", str(run), "--epochs", "2", "--device", "cpu"]) == 0
    assert main(["evaluate", str(run), "--device", "cpu"]) == 0
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["classification"]["majority_accuracy"] > 0.85  # any-pixel labels: guessing already looks good
    assert main(["map", str(run), "--image", *images, "--out", str(tmp_path / "map.tif"), "--device", "cpu"]) == 0
    with rasterio.open(tmp_path / "map.tif") as file, rasterio.open(images[0]) as band:
        assert file.transform == band.transform
        assert ((file.read(1) == 255) >= (band.read(1) == 0)).all()
    assert main(["report", str(run)]) == 0


def test_dakota_reflectance_becomes_dn_and_its_gaps_stay() -> None:
    path = DAKOTA / "landsat8_sr_20150902.tif"
    window = Window(300, 900, 400, 600)
    dn = open_image([path], LANDSAT_BANDS).read(window)
    with rasterio.open(path) as file:
        raw = file.read(window=rasterio.windows.Window(window.col, window.row, window.width, window.height)).astype(np.float64)
    missing = raw == -9999
    assert missing.any()
    expected = np.clip(np.floor((raw * 1e-4 + 0.2) / 0.0000275 + 0.5), 1, 65535)
    np.testing.assert_array_equal(dn, np.where(missing, 0, expected))
