"""A store as lazy xarray datasets: sliced by coordinates it is the GeoTIFF, and its patches lie where they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rioxarray
import xarray as xr

from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.patches.build import from_rasters
from cropcam.pipeline.store.datasets import cube, patches
from cropcam.pipeline.store.patch_store import PatchStore, open_store
from support.builds import GRID, build_study, small_blocks, write_inputs
from support.rasters import random_dn, write_raster


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PatchStore:
    """133 patches in blocks of 4 x 4; its rasters lie beside it."""
    folder = tmp_path_factory.mktemp("built")
    image, labels, _, _ = write_inputs(folder)
    with pytest.MonkeyPatch.context() as patch:
        small_blocks(patch, 4)
        from_rasters(build_study(), image, labels, folder / "s.zarr")
        found = open_store(folder / "s.zarr")
        assert found.info.layout.block_patches == 4  # worked out now, while blocks are small
    return found


def test_the_map_is_the_geotiff_in_physical_units(store: PatchStore) -> None:
    found = cube(store)
    assert (found.image.dtype, found.image.dims, found.label.dtype) == (np.float32, ("band", "y", "x"), np.uint8)
    assert found.image.chunks == ((2,), (40, 40, 30), (40, 40, 40, 10))
    with rioxarray.open_rasterio(store.path.parent / "image.tif") as tiff:
        assert isinstance(tiff, xr.DataArray)
        box: dict[str, Any] = {"x": slice(411_005, 413_000), "y": slice(4_474_800, 4_473_100)}
        dn = tiff.sel(box).to_numpy()
        assert dn.shape == (2, 57, 67)
        np.testing.assert_allclose(found.image.sel(box), np.where(dn == 0, np.nan, dn * 0.0000275 - 0.2), atol=1e-6)
        assert found.rio.crs == tiff.rio.crs
        assert found.rio.transform() == tiff.rio.transform()
        np.testing.assert_array_equal(found.x, tiff.x)
        np.testing.assert_array_equal(found.y, tiff.y)
    with rasterio.open(store.path.parent / "cdl.tif") as file:
        np.testing.assert_array_equal(found.label, file.read(1))
    for name in ("valid", "split", "reason", "share"):
        np.testing.assert_array_equal(found[name], store.table(name))
    assert found["class"].to_numpy().tolist() == list(store.info.classes.names)
    assert found.season.dims == ("band",)


def test_only_the_blocks_that_are_asked_for_are_read(store: PatchStore, monkeypatch: pytest.MonkeyPatch) -> None:
    windows = []
    plain = PatchStore.read
    monkeypatch.setattr(PatchStore, "read", lambda self, window: windows.append(window) or plain(self, window))
    found = cube(store)
    assert windows == []
    found.image[:, 50:60, 5:15].compute()
    assert [tuple(window) for window in windows] == [(40, 0, 40, 40)]


def test_patches_lie_where_they_say(store: PatchStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cropcam.pipeline.store.datasets._CHUNK_PATCHES", 50)
    whole, found = cube(store), patches(store)
    assert found.image.dims == ("patch", "band", "y", "x")
    assert found.image.chunks is not None
    assert found.image.chunks[0] == (50, 50, 33)
    for index in (0, 49, 50, 132):
        one = found.isel(patch=index)
        row, col = int(one.row), int(one.col)
        place = {"y": slice(row * 10, row * 10 + 10), "x": slice(col * 10, col * 10 + 10)}
        np.testing.assert_array_equal(one.image, whole.image.isel(place))
        np.testing.assert_array_equal(one.label, whole.label.isel(place))
        for name in ("valid", "split", "share"):
            np.testing.assert_array_equal(one[name], whole[name][row, col])
        x, y = transform_points("EPSG:4326", GRID.crs, one.lon.to_numpy(), one.lat.to_numpy())
        assert [x, y] == pytest.approx([whole[axis][place[axis]].to_numpy().mean() for axis in "xy"], abs=0.01)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_the_patches_of_one_split(store: PatchStore, split: str) -> None:
    found, index = patches(store, split), store.split_indices(split)
    assert found.sizes["patch"] == len(index)
    np.testing.assert_array_equal(found.image, store.encoding.physical(store.images(index)))
    np.testing.assert_array_equal(found.row, store.row_N[index])
    assert set(found.split.to_numpy()) == {("train", "validation", "test").index(split)}


def test_without_labels_there_are_images_alone(tmp_path: Path) -> None:
    image, _, _, _ = write_inputs(tmp_path)
    from_rasters(build_study(), image, [], tmp_path / "s.zarr")
    store = open_store(tmp_path / "s.zarr")
    for found in (cube(store), patches(store)):
        assert not {"label", "share", "class"} & set(found.variables)
        assert found.image.dtype == np.float32


def test_bands_of_their_own_scale_and_nodata_are_physical_too(tmp_path: Path) -> None:
    values = random_dn((2, *GRID.shape_yx)).astype(np.int16)
    values[0, 50, 60], values[1, 70, 80] = -1, -2
    paths = [write_raster(tmp_path / f"{i}.tif", values[i], GRID, nodata=-1 - i) for i in range(2)]
    for scale, path in zip((0.5, 0.25), paths, strict=True):
        with rasterio.open(path, "r+") as file:
            file.scales = (scale,)
    from_rasters(build_study(image={"bands": ["first", "second"]}, patches={"valid_min_share": 0.5}), paths, [], tmp_path / "s.zarr")
    store = open_store(tmp_path / "s.zarr")
    expected = values * np.array([0.5, 0.25]).reshape(2, 1, 1)
    expected[0, 50, 60] = expected[1, 70, 80] = np.nan
    np.testing.assert_array_equal(cube(store).image, expected)
    np.testing.assert_array_equal(patches(store).image[0], expected[:, :10, :10])


def test_damage_is_one_line_from_dask_too(tmp_path: Path) -> None:
    image, labels, _, _ = write_inputs(tmp_path)
    from_rasters(build_study(), image, labels, tmp_path / "s.zarr")
    (tmp_path / "s.zarr" / "image" / "c" / "0" / "0" / "0").unlink()
    with pytest.raises(DataError, match="image/c/0/0/0: is missing"):
        cube(open_store(tmp_path / "s.zarr")).image.compute()
