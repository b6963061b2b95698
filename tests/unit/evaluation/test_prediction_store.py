"""The prediction store: values and coordinates as xarray reads them, replacement, failures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy.special import expit

from cropcam.model.evaluation.prediction_store import prediction_writer, probability
from cropcam.model.segmentation.predictions import PatchPredictions
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.store.schema import StoreInfo
from support.predictions import predictions_of

PLACES = np.array([[0, 0, 3], [1, 4, 2]], np.int32)
PROVENANCE = {"method": "cam-argmax", "seed": 7}


def batch(info: StoreInfo, count: int, first: int = 0, seed: int = 0) -> PatchPredictions:
    random = np.random.default_rng(seed)
    shape = (count, info.patch_size_px, info.patch_size_px)
    nodata = random.random(shape) < 0.2
    classes = [np.where(nodata, 255, random.integers(0, 5, shape)).astype(np.uint8) for _ in range(2)]
    cams = random.normal(size=(count, 5, *shape[1:])).astype(np.float32)
    logits = random.normal(size=(count, 5)).astype(np.float32)
    of_pixels = {"nodata_BHW": nodata, "truth_BHW": classes[0], "segmentation_BHW": {"cam-argmax": classes[1]}, "default": "cam-argmax"}
    return predictions_of(cams, patches_B=np.arange(first, first + count), logits_BK=logits, **of_pixels)


def write(path: Path, info: StoreInfo, *batches: PatchPredictions) -> None:
    with prediction_writer(path, info, PLACES, PROVENANCE) as writer:
        assert writer is not None
        for part in batches:
            writer.write(part)


def test_values_are_those_of_the_batches(tmp_path: Path, info: StoreInfo) -> None:
    parts = batch(info, 2, 10), batch(info, 1, 12, seed=1)
    write(tmp_path / "out.zarr", info, *parts)
    with xr.open_zarr(tmp_path / "out.zarr") as saved:
        np.testing.assert_array_equal(saved["patch"], [10, 11, 12])
        for name, field in {"truth": "truth_BHW", "segmentation": "segmented_BHW"}.items():
            np.testing.assert_array_equal(saved[name], np.concatenate([getattr(part, field) for part in parts]))
        nodata, cams = (np.concatenate([getattr(part, field) for part in parts]) for field in ("nodata_BHW", "cams_BKHW"))
        np.testing.assert_array_equal(saved["cam"], np.where(nodata[:, None], np.nan, cams))
        np.testing.assert_allclose(saved["probability"], expit(np.concatenate([part.logits_BK for part in parts])), rtol=1e-6)
        assert saved.attrs["provenance"] == PROVENANCE
        assert saved.attrs["method"] == "cam-argmax"
        assert saved["segmentation"].attrs["flag_meanings"].split() == list(info.classes.names)


def test_coordinates_are_the_pixel_centres_of_the_patch_grid(tmp_path: Path, info: StoreInfo) -> None:
    write(tmp_path / "out.zarr", info, batch(info, 3))
    grid = info.patch_grid
    with xr.open_zarr(tmp_path / "out.zarr") as saved:
        np.testing.assert_array_equal(np.stack([saved["row"], saved["col"]]), PLACES)
        for n, (row, col) in enumerate(PLACES.T):
            x, y = grid.pixels.window(grid.window(int(row), int(col))).centres()
            np.testing.assert_allclose(saved["xc"][n], x, rtol=1e-12)
            np.testing.assert_allclose(saved["yc"][n], y, rtol=1e-12)


def test_an_older_store_is_replaced_and_nothing_else_is_left(tmp_path: Path, info: StoreInfo) -> None:
    write(tmp_path / "out.zarr", info, batch(info, 3))
    write(tmp_path / "out.zarr", info, batch(info, 3, seed=2))
    with xr.open_zarr(tmp_path / "out.zarr") as saved:
        np.testing.assert_array_equal(saved["truth"], batch(info, 3, seed=2).truth_BHW)
    assert [path.name for path in tmp_path.iterdir()] == ["out.zarr"]


def test_a_failure_leaves_the_older_store(tmp_path: Path, info: StoreInfo) -> None:
    path = tmp_path / "out.zarr"
    write(path, info, batch(info, 3))
    before = {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()}
    with pytest.raises(RuntimeError, match="stop"), prediction_writer(path, info, PLACES, PROVENANCE):
        raise RuntimeError("stop")
    assert {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()} == before
    assert [found.name for found in tmp_path.iterdir()] == ["out.zarr"]


def test_another_file_is_not_replaced(tmp_path: Path, info: StoreInfo) -> None:
    (tmp_path / "notes.zarr").write_text("mine")
    with pytest.raises(DataError, match=r"--save .*notes\.zarr: is a file; name a folder"):
        write(tmp_path / "notes.zarr", info)
    assert (tmp_path / "notes.zarr").read_text() == "mine"


def test_without_a_path_nothing_is_written(tmp_path: Path, info: StoreInfo) -> None:
    with prediction_writer(None, info, PLACES, PROVENANCE) as writer:
        assert writer is None
    assert list(tmp_path.iterdir()) == []


def test_a_large_logit_is_a_probability_of_one() -> None:
    logits = np.array([-1e4, -30, 0, 2, 1e4], np.float32)
    np.testing.assert_allclose(probability(logits), expit(logits.astype(np.float64)), atol=1e-7)
