"""Masked pixels are missing: mask bands inside and beside a file, of the file and of each band, alpha bands; of images and of labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from rasterio.enums import ColorInterp

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import Window
from cropcam.pipeline.rasters.label_mosaic import open_labels
from cropcam.pipeline.rasters.raster import open_stored, understood
from cropcam.pipeline.rasters.values import Usual, ValueEncoding
from support.rasters import UTM, albers_square, open_image, random_codes, random_dn, write_raster

BANDS = ("SR_B1", "SR_B2")
WHOLE = Window(0, 0, *UTM.shape_yx)
HOLE = np.zeros(UTM.shape_yx, bool)
HOLE[10:40, 20:70] = True


def masked(path: Path, values: npt.NDArray[Any], *, internal: bool, **profile: Any) -> Path:
    """A file whose mask hides `HOLE`."""
    write_raster(path, values, UTM, **profile)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal), rasterio.open(path, "r+") as file:
        file.write_mask(~HOLE)
    return path


@pytest.mark.parametrize("internal", [True, False])
@pytest.mark.parametrize(("dtype", "nodata"), [("uint16", 0), ("int16", -9999), ("float32", -9999), ("uint8", 0)])
def test_masked_pixels_have_the_nodata_value(tmp_path: Path, internal: bool, dtype: str, nodata: float) -> None:
    values = (random_dn((2, *UTM.shape_yx)) // 256).astype(dtype)
    path = masked(tmp_path / "a.tif", values, internal=internal)
    assert (tmp_path / "a.tif.msk").exists() != internal
    source = open_image([path], BANDS, ValueEncoding(scale=0.01, offset=0.0))
    assert source.encoding.nodata == (nodata, nodata)
    np.testing.assert_array_equal(source.read(WHOLE), np.where(HOLE, nodata, values))
    window = Window(5, 60, 30, 20)
    np.testing.assert_array_equal(source.read(window), np.where(HOLE, nodata, values)[:, *window.slices])


def test_each_of_several_files_has_its_own_mask_and_nodata_counts_beside_it(tmp_path: Path) -> None:
    dn = random_dn((2, *UTM.shape_yx))
    dn[1, 50:60] = 9
    paths = [masked(tmp_path / "x_SR_B2.tif", dn[1], internal=False, nodata=9), write_raster(tmp_path / "x_SR_B1.tif", dn[0], UTM)]
    found = open_image(paths, BANDS).read(WHOLE)
    np.testing.assert_array_equal(found[0], dn[0])
    np.testing.assert_array_equal(found[1], np.where(HOLE | (dn[1] == 9), 0, dn[1]))


def test_each_band_may_have_its_own_mask(tmp_path: Path) -> None:
    dn = random_dn((2, *UTM.shape_yx))
    for name, values in (("a", dn[0]), ("b", dn[1]), ("m", np.where(HOLE, 0, 255).astype(np.uint8))):
        write_raster(tmp_path / f"{name}.tif", values, UTM)
    geo = ", ".join(str(value) for value in rasterio.Affine(*UTM.transform).to_gdal())

    def band(name: str, dtype: str, attributes: str, more: str = "") -> str:
        source = f'<SimpleSource><SourceFilename relativeToVRT="1">{name}.tif</SourceFilename><SourceBand>1</SourceBand></SimpleSource>'
        return f'<VRTRasterBand dataType="{dtype}" {attributes}>{source}{more}</VRTRasterBand>'

    mask = f"<MaskBand>{band('m', 'Byte', '')}</MaskBand>"
    head = f'<VRTDataset rasterXSize="{UTM.width}" rasterYSize="{UTM.height}"><SRS>{UTM.crs}</SRS><GeoTransform>{geo}</GeoTransform>'
    bands = band("a", "UInt16", 'band="1"') + band("b", "UInt16", 'band="2"', mask)
    (tmp_path / "both.vrt").write_text(f"{head}{bands}</VRTDataset>")
    found = open_image([tmp_path / "both.vrt"], BANDS).read(WHOLE)
    np.testing.assert_array_equal(found, np.stack([dn[0], np.where(HOLE, 0, dn[1])]))


def with_alpha(path: Path, values: npt.NDArray[Any]) -> Path:
    """A file with an alpha band behind its bands: opaque but for `HOLE`."""
    alpha = np.where(HOLE, 0, np.iinfo(values.dtype).max).astype(values.dtype)
    write_raster(path, np.concatenate([values, alpha[None]]), UTM)
    with rasterio.open(path, "r+") as file:
        file.colorinterp = [*file.colorinterp[:-1], ColorInterp.alpha]
    return path


def test_an_alpha_band_is_no_band_of_the_study(tmp_path: Path) -> None:
    dn = random_dn((2, *UTM.shape_yx))
    source = open_image([with_alpha(tmp_path / "a.tif", dn)], BANDS)
    np.testing.assert_array_equal(source.read(WHOLE), np.where(HOLE, 0, dn))


def test_a_type_without_a_free_value_needs_one(tmp_path: Path) -> None:
    path = masked(tmp_path / "a.tif", np.ones((2, *UTM.shape_yx), np.int32), internal=True)
    assert open_image([path], BANDS, ValueEncoding(1.0, 0.0)).encoding.nodata == (0, 0)
    floats = Usual("Embedding", False, 1.0, 0.0, -9999.0)
    raster = open_stored(masked(tmp_path / "b.tif", np.ones((1, *UTM.shape_yx), np.int8), internal=True))
    with pytest.raises(DataError, match=r"b\.tif: a mask hides pixels, and values of type int8 have no nodata value .*give --nodata N"):
        understood(raster, [(ValueEncoding(1.0, 0.0), floats)])
    asked = understood(raster, [(ValueEncoding(1.0, 0.0, -128.0), floats)])
    assert asked.encoding.nodata == (-128.0,)


@pytest.mark.parametrize("internal", [True, False])
def test_masked_label_pixels_are_unlabelled_on_any_grid(tmp_path: Path, internal: bool) -> None:
    codes = random_codes(UTM.shape_yx)
    under = np.where(HOLE, 250, codes).astype(np.uint8)  # 250 is no code: what lies under a mask is not looked up
    path = masked(tmp_path / "codes.tif", under, internal=internal)
    np.testing.assert_array_equal(open_labels([path], UTM).read(WHOLE), np.where(HOLE, 0, codes))
    other = albers_square(-88.05, 40.39, 0.02)
    plain = write_raster(tmp_path / "plain.tif", np.where(HOLE, 0, codes).astype(np.uint8), UTM)
    everything = Window(0, 0, *other.shape_yx)
    np.testing.assert_array_equal(open_labels([path], other).read(everything), open_labels([plain], other).read(everything))


def test_labels_with_an_alpha_band_are_one_band(tmp_path: Path) -> None:
    codes = random_codes(UTM.shape_yx)
    path = with_alpha(tmp_path / "codes.tif", codes[None])
    np.testing.assert_array_equal(open_labels([path], UTM).read(WHOLE), np.where(HOLE, 0, codes))
