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


def test_a_folder_is_no_raster(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_header(tmp_path)
