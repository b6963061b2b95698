"""Own images are checked before the first patch; the options that a message names then work and give the right values."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.rasters.own_image import open_own_image
from cropcam.pipeline.rasters.values import ValueEncoding
from cropcam.pipeline.study.image import Image
from support.rasters import UTM, random_dn, write_raster

SEASON = (("2023-05-01", "2023-08-01"),)
STUDY = Image(sensor="landsat", bands=("SR_B4", "SR_B5"), seasons=SEASON)
WHOLE = Window(0, 0, *UTM.shape_yx)
DN = random_dn((2, *UTM.shape_yx))
SR = DN * 0.0000275 - 0.2


def asked(message: str) -> ValueEncoding:
    """The options that a message names."""
    found = {name: float(text) for name, text in re.findall(r"--(scale|offset|nodata) (-?[\d.]+)", message)}
    return ValueEncoding(**found)


@pytest.mark.parametrize(
    ("values", "tags", "options"),
    [
        (DN.astype(np.float32), None, "--scale 0.0000275 --offset -0.2"),
        (DN.astype(np.float64), None, "--scale 0.0000275 --offset -0.2"),
        ((SR * 100).astype(np.float32), None, "--scale 0.01 --offset 0"),
        ((SR * 10_000).astype(np.float32), None, "--scale 0.0001 --offset 0"),
        ((SR * 10_000).round().astype(np.uint16), None, "--scale 0.0001 --offset 0"),
        (SR.astype(np.float32), (0.0000275, -0.2), "--scale 1 --offset 0"),
        (SR.astype(np.float32), (0.0001, 0.0), "--scale 1 --offset 0"),
        (DN, (0.0001, 0.0), "--scale 0.0000275 --offset -0.2"),
    ],
)
def test_the_options_that_the_message_names_give_the_right_values(
    tmp_path: Path, values: npt.NDArray[Any], tags: tuple[float, float] | None, options: str
) -> None:
    path = write_raster(tmp_path / "a.tif", values, UTM)
    if tags:
        with rasterio.open(path, "r+") as file:
            file.scales, file.offsets = [tags[0]] * 2, [tags[1]] * 2
    with pytest.raises(DataError, match=rf"a\.tif: .*band SR_B[45].*; give {re.escape(options)}") as caught:
        open_own_image([path], STUDY)
    assert "\n" not in str(caught.value)
    source = open_own_image([path], STUDY, asked(str(caught.value)))
    stored = source.read(WHOLE)
    np.testing.assert_array_equal(stored, values)
    np.testing.assert_allclose(source.encoding.physical(stored), SR, atol=6e-5)


def with_fill(values: npt.NDArray[Any], fill: float) -> npt.NDArray[Any]:
    values = values.copy()
    values[:, 30:60, 40:80] = fill
    return values


INT16 = (SR * 10_000).round().astype(np.int16)


@pytest.mark.parametrize("nodata", [None, -9999])
def test_fill_that_no_tag_names_is_refused_until_it_is_named(tmp_path: Path, nodata: float | None) -> None:
    values = with_fill(INT16, -3000)
    values[:, :3] = -9999 if nodata else values[:, :3]
    path = write_raster(tmp_path / "a.tif", values, UTM, nodata=nodata)
    with pytest.raises(
        DataError, match=r"a\.tif: \d+ % of band SR_B4 is -3000, outside .*fill that no tag names, or saturation; give --nodata -3000"
    ) as caught:
        open_own_image([path], STUDY)
    source = open_own_image([path], STUDY, asked(str(caught.value)))
    assert source.encoding.nodata == (-3000, -3000)
    found = source.read(WHOLE)
    np.testing.assert_array_equal(found, np.where(values == -9999, -3000, values))  # the tag's value counts beside the option


@pytest.mark.parametrize("fill", [-2000, -9999])
def test_the_sensors_own_fill_is_missing(tmp_path: Path, fill: int) -> None:
    source = open_own_image([write_raster(tmp_path / "a.tif", with_fill(INT16, fill), UTM)], STUDY)
    np.testing.assert_array_equal(source.read(WHOLE), with_fill(INT16, -9999))


@pytest.mark.parametrize("fill", [-0.2, -9999.0, np.nan, np.inf, -np.inf])
def test_fill_of_floats_is_missing(tmp_path: Path, fill: float) -> None:
    source = open_own_image([write_raster(tmp_path / "a.tif", with_fill(SR.astype(np.float32), fill), UTM)], STUDY)
    np.testing.assert_array_equal(source.read(WHOLE), with_fill(SR.astype(np.float32), -9999))


def test_fill_of_dn_that_are_floats_is_missing_with_their_scale(tmp_path: Path) -> None:
    values = with_fill(DN.astype(np.float32), 0)
    path = write_raster(tmp_path / "a.tif", values, UTM)
    for image in (STUDY, Image(sensor="landsat-4-9", bands=("red", "nir"), seasons=SEASON)):
        source = open_own_image([path], image, ValueEncoding(0.0000275, -0.2))
        assert np.isnan(source.encoding.physical(source.read(WHOLE))).sum() == 2 * 30 * 40


def test_two_fills_are_made_one(tmp_path: Path) -> None:
    values = with_fill(INT16, -3000)
    values[:, :20, :30] = 32767
    path = write_raster(tmp_path / "a.tif", values, UTM)
    with pytest.raises(DataError, match=r"fill beside --nodata 32767; make them one value.*A==-3000,32767,A"):
        open_own_image([path], STUDY, ValueEncoding(nodata=32767))


def test_what_the_sample_misses_is_found_when_it_is_read(tmp_path: Path) -> None:
    grid = PixelGrid(UTM.crs, UTM.transform, 1500, 1500)
    values = np.random.default_rng(0).integers(200, 5000, (2, 1500, 1500)).astype(np.int16)
    values[1, 700:760, 200:260] = -3000  # 0.16 % of the band
    source = open_own_image([write_raster(tmp_path / "a.tif", values, grid)], STUDY)
    with pytest.raises(DataError, match=r"a\.tif: .*of band SR_B5 in rows 0 to 1500 is -3000, .*give --nodata -3000"):
        source.read(Window(0, 0, 1500, 1500))
    source.read(Window(800, 0, 700, 1500))


def test_what_has_no_range_is_not_checked(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(0, 50, (3, *UTM.shape_yx)).astype(np.float32)
    path = write_raster(tmp_path / "a.tif", values, UTM)
    own = Image(sensor="landsat", bands=("VV", "VH", "slope"), seasons=SEASON)
    np.testing.assert_array_equal(open_own_image([path], own).read(WHOLE), values)
    table = {"title": "Radar", "dtype": "float32", "nodata": -9999, "bands": {"VV": {}, "VH": {}, "slope": {"valid_range": [0, 90]}}}
    table["collections"] = [{"id": "x", "bands": {"VV": "VV", "VH": "VH", "slope": "slope"}}]
    with pytest.raises(DataError, match=r"of band slope lies outside 0 to 90, what Radar can have"):
        open_own_image([path], Image(sensor=table, bands=("VV", "VH", "slope"), collections=("x",), seasons=SEASON))
    derived = Image(sensor="landsat", bands=("SR_B4", "SR_B5"), seasons=SEASON, derived={"sum": "100 * (SR_B4 + SR_B5)"})
    three = np.concatenate([SR, 100 * SR.sum(axis=0, keepdims=True)]).astype(np.float32)
    np.testing.assert_array_equal(open_own_image([write_raster(tmp_path / "d.tif", three, UTM)], derived).read(WHOLE), three)


def test_pictures_have_no_reflectance(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", (DN // 256).astype(np.uint8), UTM)
    with pytest.raises(DataError, match="values of type uint8 have no agreed meaning"):
        open_own_image([path], STUDY)
    with pytest.raises(DataError, match="a picture of 8 bits holds no reflectance: give the product's own files"):
        open_own_image([path], STUDY, ValueEncoding(1.0, 0.0))


def test_an_index_is_no_reflectance(tmp_path: Path) -> None:
    ndvi = np.random.default_rng(0).uniform(-1, 1, (2, *UTM.shape_yx)).astype(np.float32)
    with pytest.raises(DataError, match=r"a\.tif: \d+ % of band SR_B4 lies outside -0\.19999 to 1\.61"):
        open_own_image([write_raster(tmp_path / "a.tif", ndvi, UTM)], STUDY)
