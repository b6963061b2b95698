"""The header of a raster: what a file tells of itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rasterio.enums import ColorInterp, MaskFlags

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.rasters.header import read_header
from support.rasters import UTM, random_dn, write_raster


def test_place_types_and_descriptions(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", random_dn((2, *UTM.shape_yx)), UTM, names=("red", "nir"), nodata=0)
    found = read_header(path)
    assert (found.grid, found.dtype, found.descriptions) == (UTM, np.dtype("uint16"), ("red", "nir"))
    assert (found.scales, found.offsets, found.nodata) == ((1.0, 1.0), (0.0, 0.0), (0.0, 0.0))
    assert found.mask_flags == ((MaskFlags.nodata,),) * 2
    assert found.color_interpretations == (ColorInterp.gray, ColorInterp.undefined)


def test_bands_of_several_types_get_one_that_holds_all(tmp_path: Path) -> None:
    one, two = (write_raster(tmp_path / f"{kind}.tif", random_dn((1, 4, 4)).astype(kind), UTM) for kind in ("uint16", "float32"))
    sources = "".join(
        f'<VRTRasterBand dataType="{kind}" band="{number}"><SimpleSource><SourceFilename>{path}</SourceFilename></SimpleSource></VRTRasterBand>'
        for number, kind, path in ((1, "UInt16", one), (2, "Float32", two))
    )
    (tmp_path / "a.vrt").write_text(f'<VRTDataset rasterXSize="4" rasterYSize="4">{sources}</VRTDataset>')
    with pytest.raises(
        DataError, match=r"of different types \(float32, uint16\); give them one: gdal_translate -ot Float32 a\.vrt one-type\.tif"
    ):
        read_header(tmp_path / "a.vrt")


@pytest.mark.filterwarnings("ignore:Exception ignored in. 'rasterio._env.log_error'")  # the command line does not print it
def test_a_message_of_gdal_that_quotes_no_text_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.vrt"
    path.write_bytes(b'<VRTDataset rasterXSize="9" rasterYSize="9"><VRTRasterBand dataType="Byt\xfc" band="1"/></VRTDataset>')
    with pytest.raises(DataError, match=r"a\.vrt: "):
        read_header(path)


def test_a_crs_that_is_no_text_is_refused(tmp_path: Path) -> None:
    vrt = b'<VRTDataset rasterXSize=\'2\' rasterYSize=\'2\'><SRS>PROJCS["\x91",GEOGCS["WGS 84",DATUM["W",SPHEROID["W",6378137,298.25]],PRIMEM["G",0],UNIT["degree",0.017]],PROJECTION["Transverse_Mercator"],UNIT["metre",1]]</SRS><GeoTransform>0,1,0,0,0,-1</GeoTransform><VRTRasterBand dataType=\'Byte\' band=\'1\'/></VRTDataset>'
    (tmp_path / "a.vrt").write_bytes(vrt)
    with pytest.raises(DataError, match=r"a\.vrt: [^\n]*bytes that are no text"):
        read_header(tmp_path / "a.vrt")


def test_a_stack_of_files_without_descriptions_has_the_files_names(tmp_path: Path) -> None:
    files = [write_raster(tmp_path / f"scene_SR_B{number}.tif", random_dn((1, *UTM.shape_yx)), UTM) for number in (7, 4)]
    shape = f'rasterXSize="{UTM.width}" rasterYSize="{UTM.height}"'
    a, b, c, d, e, f = UTM.transform
    place = f"<SRS>{UTM.crs}</SRS><GeoTransform>{c}, {a}, {b}, {f}, {d}, {e}</GeoTransform>"
    bands = "".join(
        f'<VRTRasterBand dataType="UInt16" band="{number}"><SimpleSource><SourceFilename relativeToVRT="1">{file.name}</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        for number, file in enumerate(files, 1)
    )
    (tmp_path / "stack.vrt").write_text(f"<VRTDataset {shape}>{place}{bands}</VRTDataset>")
    assert read_header(tmp_path / "stack.vrt").descriptions == ("scene_SR_B7", "scene_SR_B4")
