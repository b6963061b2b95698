"""What stored values mean: the user first, then tags, the sensor's table, the type."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cropcam.pipeline.encoding import OFFSET, SCALE, BandEncoding
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.rasters.values import Usual, ValueEncoding, value_encoding

SENTINEL = Usual("Sentinel-2", True, 0.0001, 0.0, 0.0, -0.1)
EMBEDDING = Usual("Embedding", False, 1.0, 0.0, -9999.0)
NEW = Path("S2B_MSIL2A_20230705T165849_N0509_R069_T15TYH_20230705T210000.SAFE/B04.tif")
OLD = Path("S2A_MSIL2A_20180705T165849_N0208_R069_T15TYH_20180705T210000.SAFE/B04.tif")


def meaning(
    path: Path,
    dtype: str,
    usual: Usual | None,
    tags: dict[str, str] | None = None,
    tagged: tuple[float, float, float | None] = (1.0, 0.0, None),
    **said: float,
) -> BandEncoding:
    return value_encoding(path, np.dtype(dtype), ValueEncoding(**said), tagged, usual, tags or {}, is_tagged=tagged[:2] != (1.0, 0.0))


@pytest.mark.parametrize(
    ("found", "scale", "offset", "nodata"),
    [
        (meaning(NEW, "uint16", SENTINEL), 0.0001, -0.1, 0),
        (meaning(OLD, "uint16", SENTINEL), 0.0001, 0.0, 0),
        (meaning(OLD, "int16", SENTINEL), 0.0001, 0.0, 0),
        (meaning(Path("B04.tif"), "uint16", SENTINEL, {"PROCESSING_BASELINE": "04.00"}), 0.0001, -0.1, 0),
        (meaning(Path("B04.tif"), "uint16", SENTINEL, {"PROCESSING_BASELINE": "02.08"}), 0.0001, 0.0, 0),
        (meaning(Path("B04.tif"), "uint16", SENTINEL, {"STUDY_JSON": "{}"}), 0.0001, 0.0, 0),
        (meaning(Path("B04.tif"), "uint16", SENTINEL, offset=-0.1), 0.0001, -0.1, 0),
        (meaning(Path("B04.tif"), "uint16", SENTINEL, tagged=(0.0002, -0.1, 7.0)), 0.0002, -0.1, 0),
        (meaning(NEW, "uint16", SENTINEL, tagged=(0.0001, 0.0, None)), 0.0001, -0.1, 0),
        (meaning(OLD, "uint16", SENTINEL, nodata=7), 0.0001, 0.0, 7),
        (meaning(NEW, "float32", SENTINEL), 1.0, 0.0, -9999),
        (meaning(Path("a.tif"), "float32", EMBEDDING), 1.0, 0.0, -9999),
        (meaning(Path("a.tif"), "int8", EMBEDDING, scale=1 / 127, nodata=-128), 1 / 127, 0.0, -128),
        (meaning(Path("a.tif"), "uint16", None), SCALE, OFFSET, 0),
        (meaning(Path("a.tif"), "int16", None), 0.0001, 0.0, -9999),
        (meaning(Path("a.tif"), "uint8", None, scale=0.5), 0.5, 0.0, None),
    ],
)  # fmt: skip
def test_the_meaning_of_a_band(found: BandEncoding, scale: float, offset: float, nodata: float | None) -> None:
    assert (found.scale, found.offset, found.nodata) == ((scale,), (offset,), (nodata,))


def test_a_baseline_that_is_not_known_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"B04\.tif: .*offset of -0\.1 since processing baseline 04\.00 .*give --offset -0\.1 .*or --offset 0"
    ):
        meaning(Path("T15TYH_B04.tif"), "uint16", SENTINEL)


def test_integers_of_a_sensor_of_floats_need_a_scale() -> None:
    with pytest.raises(DataError, match="type int8 have no agreed meaning for Embedding; give --scale and --offset"):
        meaning(Path("a.tif"), "int8", EMBEDDING)
    with pytest.raises(ConfigError, match=r"--nodata 300: no value of a\.tif, which holds int8"):
        meaning(Path("a.tif"), "int8", EMBEDDING, scale=0.1, nodata=300)


def test_lists_have_one_number_for_each_band() -> None:
    said = ValueEncoding(scale=(0.1, 0.2), nodata=7.0)
    assert said.of_band(1) == ValueEncoding(scale=0.2, nodata=7.0)
    said.check(("red", "nir"))
    with pytest.raises(ConfigError, match=r"--scale: 2 numbers for 3 bands \(a, b, c\); give one number, or one for each band"):
        said.check(("a", "b", "c"))
    with pytest.raises(ConfigError, match=r"--scale 0\.0: physical value"):
        ValueEncoding(scale=(0.1, 0.0))
