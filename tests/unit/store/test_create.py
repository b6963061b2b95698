"""The store's format: layout, metadata, and what other readers than ours make of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401 - .rio
import tensorstore
import xarray as xr
import zarr

from cropcam.pipeline.patches.build import from_rasters
from cropcam.pipeline.store.create import create_arrays
from cropcam.pipeline.store.patch_store import open_store
from support.builds import GRID, build_study, small_blocks
from support.rasters import random_codes, write_raster


def test_one_patch_is_one_zarr_chunk_and_a_block_one_zarr_shard(good: Path) -> None:
    group = zarr.open_group(good, mode="r")
    arrays: dict[str, Any] = dict(group.arrays())
    assert {name: (array.chunks, array.shards, str(array.dtype)) for name, array in arrays.items() if array.ndim > 1} == {
        "image": ((7, 16, 16), (7, 512, 512), "uint16"),
        "label": ((16, 16), (512, 512), "uint8"),
        "valid": ((32, 32), None, "float32"),
        "share": ((32, 32, 5), None, "float32"),
        "split": ((32, 32), None, "uint8"),
        "reason": ((32, 32), None, "uint8"),
    }
    assert arrays["split"].attrs["flag_meanings"] == "train validation test not_used"
    assert arrays["reason"].attrs["flag_values"] == [0, 1, 2, 3, 255]


NAN = float("nan")


@pytest.mark.parametrize(
    ("dtype", "scales", "nodata"),
    [
        ("uint8", (0.5, 0.5), (0, 0)),
        ("uint16", None, (None, None)),
        ("int16", (0.1, 0.1), (-1, -1)),
        ("int16", (0.1, 0.2), (None, -7)),
        ("int32", (2.0, 2.0), (5, 5)),
        ("float32", None, (NAN, NAN)),
        ("float32", (0.5, 0.5), (None, None)),
        ("float64", (2.0, 3.0), (NAN, -9999.0)),
    ],
)
def test_every_reader_sees_the_geotiff(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, scales: tuple[float, float] | None, nodata: tuple[Any, Any]
) -> None:
    small_blocks(monkeypatch, 3)
    values = np.random.default_rng(0).integers(1, 99, (2, *GRID.shape_yx)).astype(dtype)
    values[:, 3:9, 4:50] = 5 if nodata[0] is None else nodata[0]
    paths = [write_raster(tmp_path / f"{i}.tif", values[i], GRID, nodata=nodata[i]) for i in range(2)]
    for path, scale in zip(paths, scales or (), strict=False):
        with rasterio.open(path, "r+") as file:
            file.scales = (scale,)
    labels = write_raster(tmp_path / "cdl.tif", random_codes(GRID.shape_yx), GRID)
    store, study = (
        tmp_path / "s.zarr",
        build_study(image={"bands": ["first", "second"]}, splits={"block_patches": [2, 3]}, patches={"valid_min_share": 0.5}),
    )  # names of their own: any value may be one
    from_rasters(study, paths, [labels], store)
    encoding = open_store(store).encoding
    arrays: dict[str, Any] = {name: zarr.open_array(store / name, mode="r")[:] for name in ("image", "label")}
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(store / "image")}}
    np.testing.assert_array_equal(tensorstore.open(spec).result().read().result(), arrays["image"])
    with rasterio.open(labels) as file:
        np.testing.assert_array_equal(arrays["label"], file.read(1))
    rows, cols = slice(17, 61), slice(28, 95)
    x, y = GRID.centres()
    box = {"x": slice(x[28] - 1, x[94] + 1), "y": slice(y[17] + 1, y[60] - 1)}
    with xr.open_zarr(store, mask_and_scale=False) as stored, xr.open_zarr(store) as decoded:
        for dataset in (stored, decoded):
            assert dataset.image.rio.crs.to_epsg() == 32616
            assert tuple(dataset.rio.transform())[:6] == pytest.approx(GRID.transform)
            assert dataset.image.dims == ("band", "y", "x")
            assert dataset.band.to_numpy().tolist() == ["first", "second"]
            assert dataset.season.to_numpy().tolist() == ["2016-05-01/2016-10-01"] * 2 or len(set(dataset.season.to_numpy())) == 1
            assert dataset.label.dtype == np.uint8
        assert stored.image.dtype == dtype
        for band, path in enumerate(paths):
            with rasterio.open(path) as file:
                inside = file.read(1)
                there = file.read_masks(1)[rows, cols] > 0
            np.testing.assert_array_equal(stored.image.sel(**box).to_numpy()[band], inside[rows, cols])
            np.testing.assert_array_equal(stored.image.sel(x=x[40], y=y[70]).to_numpy()[band], inside[70, 40])
            if encoding.is_uniform:
                expected = np.where(there, inside[rows, cols] * encoding.scale[band] + encoding.offset[band], np.nan)
                np.testing.assert_allclose(decoded.image.sel(**box).to_numpy()[band], expected, rtol=1e-5)
            else:
                assert "scale_factor" not in stored.image.attrs
                assert [float(stored[name][band]) for name in ("scale", "offset")] == [encoding.scale[band], encoding.offset[band]]
                assert float(stored["nodata"][band]) == pytest.approx(encoding.nodata[band], nan_ok=True)


def test_the_root_carries_the_metadata_of_every_array_as_zarr_consolidates_it(good: Path) -> None:
    root = json.loads((good / "zarr.json").read_text())
    for name, metadata in root["consolidated_metadata"]["metadata"].items():
        assert metadata == json.loads((good / name / "zarr.json").read_text())
    group = zarr.open_group(good, mode="r", use_consolidated=True)
    assert sorted(name for name, _ in group.arrays()) == sorted(path.name for path in good.iterdir() if path.is_dir())


def test_without_a_root_there_is_nothing_to_open(good: Path, tmp_path: Path) -> None:
    info = open_store(good).info
    create_arrays(tmp_path / "s.zarr", info)
    with pytest.raises((FileNotFoundError, zarr.errors.GroupNotFoundError), match=r"s.zarr|[Nn]o group|not found|No such"):
        xr.open_zarr(tmp_path / "s.zarr")
