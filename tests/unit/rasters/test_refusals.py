"""One line with band, share, values found and the options that mend them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cropcam.pipeline.encoding import BandEncoding
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.rasters.plausible import Fault, Meaning
from cropcam.pipeline.rasters.raster import Raster
from cropcam.pipeline.rasters.refusals import number, options, percent, refusal
from cropcam.pipeline.sensor import Range

GRID = PixelGrid("EPSG:32616", (30.0, 0.0, 0.0, 0.0, -30.0, 0.0), 9, 9)
ENCODING = BandEncoding.uniform("int16", 1, 0.0001, 0.0, -9999.0)
RASTER = Raster(Path("a.tif"), GRID, ("x",), ENCODING, (None,))
MEANING = Meaning(("red",), (Range(-0.2, 1.6, -0.05, 1.3),), ((0.0001, 0.0),), "Landsat")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            Fault(0, 0.25, 1.0, 30_000.0),
            "a.tif: 25 % of band red lies outside -0.2 to 1.6, what Landsat can have (values 1 to 30000, read with scale 0.0001 and offset 0); "
            "give --scale 0.0000275 --offset -0.2",
        ),
        (
            Fault(0, 0.021, -3000.0, 5000.0, -3000.0),
            "a.tif: 2.1 % of band red is -3000, outside -0.2 to 1.6, what Landsat can have: fill that no tag names, or saturation; give --nodata -3000, which leaves these pixels out",
        ),
        (
            Fault(0, 0.0, 1.0, 2.0),
            "a.tif: the middle of band red lies outside -0.05 to 1.3, where Landsat has it (values 1 to 2, read with scale 0.0001 and offset 0); "
            "give --scale 0.0000275 --offset -0.2",
        ),
        (
            Fault(0, 0.0, 1.0, 2.0, is_narrow=True),
            "a.tif: all values of band red are almost the same (values 1 to 2, read with scale 0.0001 and offset 0): they were perhaps scaled before; "
            "give --scale 0.0000275 --offset -0.2",
        ),
    ],
)
def test_each_fault_is_one_line(fault: Fault, message: str) -> None:
    assert str(refusal(RASTER, fault, ENCODING, MEANING, pairs=[(0.0000275, -0.2)])) == message


def test_the_next_step_fits_the_file() -> None:
    fault, wide = Fault(0, 0.5, 0.0, 9.0), [(0.0001, 0.0)]
    assert str(refusal(RASTER, fault, ENCODING, MEANING)).endswith(
        "give its --scale and --offset (physical value = value x scale + offset), or files of that product"
    )
    small = replace(RASTER, encoding=replace(ENCODING, dtype="uint8"))
    assert "a picture of 8 bits holds no reflectance" in str(refusal(small, fault, ENCODING, MEANING))
    shard = replace(MEANING, is_export=True)
    assert "cut it as own raster, --image with --scale 0.0001 --offset 0" in str(refusal(RASTER, fault, ENCODING, shard, pairs=wide))
    sentinel = replace(MEANING, baseline_offset=-0.1)
    assert str(refusal(RASTER, fault, ENCODING, sentinel, pairs=wide)).endswith(
        "--offset 0 (--offset -0.1 from processing baseline 04.00 on)"
    )
    second = replace(RASTER, asked_nodata=-1.0)
    assert 'gdal_calc.py -A a.tif --allBands=A --calc="where(A==7,-9999,A)"' in str(
        refusal(second, replace(fault, fill=7.0), ENCODING, MEANING)
    )
    assert " in rows 0 to 50 lies" in str(refusal(RASTER, fault, ENCODING, MEANING, " in rows 0 to 50"))


def test_numbers_are_written_as_options_take_them() -> None:
    assert [number(value) for value in (0.0000275, -0.2, 1.0, -3000.0, 65535.0, 3.4e38, 1 / 3)] == [
        "0.0000275", "-0.2", "1", "-3000", "65535", "3.4e+38", "0.333333",
    ]  # fmt: skip
    assert options([(1.0, 0.0), (0.1, -2.0)]) == "--scale 1,0.1 --offset=0,-2"
    assert [percent(share) for share in (1.0, 0.123, 0.0213, 0.0001)] == ["100 %", "12 %", "2.1 %", "0.01 %"]
