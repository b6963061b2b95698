"""Products of another level or collection are refused by what names and tags tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.rasters.own_image import open_own_image
from cropcam.pipeline.rasters.products import landsat_collection, level_1
from cropcam.pipeline.rasters.values import ValueEncoding
from cropcam.pipeline.study.image import Image
from support.rasters import UTM, random_dn, write_raster

SCENE = "023032_20180831_20200831"
SEASON = (("2018-05-01", "2018-10-01"),)
STUDY = Image(sensor="landsat", bands=("SR_B4",), seasons=SEASON)


@pytest.mark.parametrize(
    ("path", "tags", "is_level_1"),
    [
        (f"LC08_L1TP_{SCENE}_02_T1_B4.TIF", {}, True),
        (f"LE07_L1GT_{SCENE}_02_T2_B4.TIF", {}, True),
        (f"LC08_L2SP_{SCENE}_02_T1_SR_B4.TIF", {}, False),
        (f"LC08_L1TP_{SCENE}_01_T1_sr_band4.tif", {}, False),
        (f"LC08_L1TP_{SCENE}_01_T1_B4.TIF", {}, True),
        ("S2A_MSIL1C_20180705T165849_N0206_R069_T15TYH_20180705T210000.SAFE/B04.jp2", {}, True),
        ("S2A_MSIL2A_20180705T165849_N0208_R069_T15TYH_20180705T210000.SAFE/B04.jp2", {}, False),
        ("a.tif", {"PROCESSING_LEVEL": "Level-1C"}, True),
        ("a.tif", {"PROCESSING_LEVEL": "L1TP"}, True),
        ("a.tif", {"PROCESSING_LEVEL": "L2SP"}, False),
        ("LC08_TOA_2018.tif", {}, True),
        ("illinois_toa.tif", {}, True),
        ("toast.tif", {}, False),
        ("L1/composite.tif", {}, False),
    ],
)
def test_levels(path: str, tags: dict[str, str], is_level_1: bool) -> None:
    assert (level_1(Path(path), tags) is not None) == is_level_1


def test_a_level_1_product_is_refused_where_the_sensor_has_reflectance_of_the_surface(tmp_path: Path) -> None:
    name = f"LC08_L1TP_{SCENE}_02_T1"
    path = write_raster(tmp_path / f"{name}_B4.TIF", random_dn((1, *UTM.shape_yx)), UTM)
    with pytest.raises(
        DataError, match=rf"is of a Level-1 product \({name}\), the study's values are Landsat .*: take the scene's Level-2"
    ):
        open_own_image([path], STUDY)
    tagged = write_raster(tmp_path / "a.tif", random_dn((1, *UTM.shape_yx)), UTM)
    with rasterio.open(tagged, "r+") as file:
        file.update_tags(PROCESSING_LEVEL="Level-1C")
    sentinel = Image(sensor="sentinel-2", bands=("red",), seasons=SEASON)
    with pytest.raises(DataError, match=r"PROCESSING_LEVEL Level-1C.*take the scene's Level-2A product"):
        open_own_image([tagged], sentinel, ValueEncoding(offset=0.0))
    table = {"title": "Counts", "dtype": "uint16", "nodata": 0, "bands": {"red": {}}, "collections": [{"id": "x", "bands": {"red": "B4"}}]}
    open_own_image([path], Image(sensor=table, bands=("red",), collections=("x",), seasons=SEASON))


def test_collection_1_as_unsigned_integers_needs_its_scale(tmp_path: Path) -> None:
    assert landsat_collection(Path(f"LC08_L2SP_{SCENE}_02_T1_SR_B4.TIF")) == 2
    values = np.random.default_rng(0).integers(300, 9000, (1, *UTM.shape_yx)).astype(np.uint16)
    path = write_raster(tmp_path / f"LC08_L1TP_{SCENE}_01_T1_sr_band4.tif", values, UTM)
    with pytest.raises(DataError, match=r"is of Landsat Collection 1, .*give --scale 0\.0001 --offset 0"):
        open_own_image([path], STUDY)
    source = open_own_image([path], STUDY, ValueEncoding(0.0001, 0.0))
    assert source.encoding.scale == (0.0001,)


def test_files_of_which_some_have_a_scale_are_refused(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(300, 5000, (2, *UTM.shape_yx)).astype(np.int16)
    paths = [write_raster(tmp_path / f"x_SR_B{band}.tif", values[band - 4], UTM) for band in (4, 5)]
    with rasterio.open(paths[0], "r+") as file:
        file.scales, file.offsets = (0.00005,), (0.0,)
    image = Image(sensor="landsat", bands=("SR_B4", "SR_B5"), seasons=SEASON)
    with pytest.raises(DataError, match=r"x_SR_B5\.tif: has no scale, x_SR_B4\.tif has 0\.00005; give --scale and --offset"):
        open_own_image(paths, image)
    assert open_own_image(paths, image, ValueEncoding(0.0001, 0.0)).encoding.scale == (0.0001, 0.0001)
