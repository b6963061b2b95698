"""The user's own image of a study: the sensor's values, one scale for each band, derived bands equal to numpy's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.rasters.own_image import DerivedImage, open_own_image
from cropcam.pipeline.rasters.values import ValueEncoding
from cropcam.pipeline.study.image import Image
from support.rasters import write_raster

GRID = PixelGrid("EPSG:32615", (10.0, 0.0, 500_000.0, 0.0, -10.0, 4_500_000.0), 40, 30)
WHOLE = Window(0, 0, 30, 40)
SEASONS = (("2018-05-01", "2018-08-01"), ("2018-08-01", "2018-10-01"))
NDVI = {"ndvi": "(nir - red) / (nir + red)", "ratio": "nir / red"}


def image(seasons: int = 1, **more: Any) -> Image:
    return Image(sensor="sentinel-2", bands=("red", "nir"), seasons=SEASONS[:seasons], **more)


def stored(bands: int, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).integers(0, 6000, (bands, 30, 40)).astype(np.uint16)
    values[:, :3, :3] = 0
    values[0, 5, 5] = 0
    return values


def product(folder: Path, baseline: str) -> Path:
    made = folder / f"S2A_MSIL2A_20180705T165849_N{baseline}_R069_T15TYH_20180705T210000.SAFE"
    made.mkdir(parents=True)
    return made


@pytest.mark.parametrize(("baseline", "offset"), [("0208", 0.0), ("0510", -0.1)])
def test_sentinel_2_by_its_baseline(tmp_path: Path, baseline: str, offset: float) -> None:
    values, folder = stored(2), product(tmp_path, baseline)
    for band, name in zip(values, ("B04_red", "B08_nir"), strict=True):
        write_raster(folder / f"{name}.tif", band[None], GRID)
    source = open_own_image([folder / "B08_nir.tif", folder / "B04_red.tif"], image())
    physical = source.encoding.physical(source.read(WHOLE))
    np.testing.assert_allclose(physical, np.where(values == 0, np.nan, values * 0.0001 + offset), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("seasons", [1, 2])
def test_derived_bands_are_numpys_to_the_digit(tmp_path: Path, seasons: int) -> None:
    values = stored(2 * seasons)
    write_raster(tmp_path / "image.tif", values, GRID)
    source = open_own_image([tmp_path / "image.tif"], image(seasons, derived=NDVI), ValueEncoding(offset=-0.1))
    assert isinstance(source, DerivedImage)
    assert source.bands == image(seasons, derived=NDVI).layers
    found, window = source.read(WHOLE), Window(2, 3, 20, 25)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(source.read(window), found[:, window.slices[0], window.slices[1]])
    for season in range(seasons):
        red, nir = (np.where(band == 0, np.nan, band.astype(np.float64) * 0.0001 + -0.1) for band in values[2 * season : 2 * season + 2])
        with np.errstate(all="ignore"):
            expected = np.stack(
                [red, nir, np.where(nir + red == 0, np.nan, (nir - red) / (nir + red)), np.where(red == 0, np.nan, nir / red)]
            )
        expected = np.where(np.isfinite(expected), expected, -9999.0).astype(np.float32)
        np.testing.assert_array_equal(found[4 * season : 4 * season + 4], expected)


def test_files_with_the_derived_bands_are_taken_as_they_are(tmp_path: Path) -> None:
    values = np.random.default_rng(1).random((4, 30, 40)).astype(np.float32)
    write_raster(tmp_path / "image.tif", values, GRID)
    source = open_own_image([tmp_path / "image.tif"], image(derived=NDVI))
    np.testing.assert_array_equal(source.read(WHOLE), values)


def test_integers_with_the_derived_bands_need_a_scale(tmp_path: Path) -> None:
    write_raster(tmp_path / "image.tif", stored(4), GRID)
    with pytest.raises(DataError, match="type uint16 have no agreed meaning for Sentinel-2"):
        open_own_image([tmp_path / "image.tif"], image(derived=NDVI))
    (tmp_path / "bad.tif").write_bytes(b"no raster")
    with pytest.raises(DataError, match=r"bad\.tif: no readable raster"):
        open_own_image([tmp_path / "bad.tif"], image(derived=NDVI))


def test_one_scale_for_each_band(tmp_path: Path) -> None:
    values = stored(2)
    for band, name in zip(values, ("red", "nir"), strict=True):
        write_raster(tmp_path / f"{name}.tif", band[None], GRID)
    paths = [tmp_path / "nir.tif", tmp_path / "red.tif"]  # given in another order than the study's
    source = open_own_image(paths, image(), ValueEncoding(scale=(0.0001, 0.0002), offset=(0.0, 0.1), nodata=(0.0, 5.0)))
    assert (source.encoding.scale, source.encoding.offset, source.encoding.nodata) == ((0.0001, 0.0002), (0.0, 0.1), (0.0, 5.0))
    with pytest.raises(ConfigError, match="--scale: 3 numbers for 2 bands"):
        open_own_image(paths, image(), ValueEncoding(scale=(0.1, 10.0, 1.0), offset=0.0))
