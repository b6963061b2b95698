"""Values of label rasters as codes: every integer type, nodata, and values that a legend lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.code_table import Code, CodeTable
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.legend_sources import cdl, packaged
from cropcam.pipeline.rasters.label_codes import label_band, to_codes

WIDE = CodeTable("", (Code(7, "a"), Code(40_000, "b")))
PATH = Path("a.tif")


@given(st.lists(st.sampled_from([-1, 0, 1, 5, 141, 176, 254]), min_size=1, max_size=30), st.sampled_from([np.int16, np.int32]))
def test_codes_of_any_integer_type_are_taken_with_nodata_as_0(values: list[int], dtype: type[np.integer[Any]]) -> None:
    found = to_codes(np.array([values], dtype), -1, PATH, cdl())
    assert found.dtype == np.uint8
    assert found.tolist() == [[max(value, 0) for value in values]]


@given(st.lists(st.sampled_from([0, 7, 100, 255, 40_000]), min_size=1, max_size=9), st.sampled_from([None, 100.0, -9999.0]))
def test_nodata_of_the_file_and_of_the_study_become_the_fill(values: list[int], nodata: float | None) -> None:
    wide = to_codes(np.array(values, np.uint16), nodata, PATH, WIDE.without([100, 255]))
    assert wide.dtype == np.uint16
    assert wide.tolist() == [value if value in (7, 40_000) else 0 for value in values]


def test_where_0_is_a_class_nodata_is_another_code() -> None:
    cereal = packaged("worldcereal")
    assert to_codes(np.array([0, 100, 255], np.uint8), None, PATH, cereal).tolist() == [0, 100, 255]
    assert to_codes(np.array([0, 100, -1], np.int8), -1, PATH, cereal).tolist() == [0, 100, 255]
    assert to_codes(np.array([0, 100], np.uint8), 0, PATH, cereal).tolist() == [255, 100]  # the file's own word counts


@pytest.mark.parametrize(
    ("value", "dtype", "table", "message"),
    [
        (300, np.int16, cdl(), r"^a\.tif: holds label 300, which the legend 'cdl' does not have: give a raster of that legend, name the"),
        (
            99,
            np.int16,
            cdl(),
            r"holds label 99, which the legend 'cdl' does not have: .* under \[labels\] legend, or, .* nodata = \[99\] under \[labels\]$",
        ),
        (99, np.uint8, cdl(), "holds label 99, which the legend 'cdl' does not have"),
        (-1, np.int16, cdl(), "holds label -1, which"),
        (15, np.uint8, packaged("worldcover"), "holds label 15, which the legend 'worldcover' does not have"),
        (8, np.uint16, WIDE, "holds label 8, which the study's legend does not have"),
        (70_000, np.int32, WIDE, "holds label 70000, which the study's legend does not have"),
    ],
)
def test_values_that_are_no_codes_are_named(value: int, dtype: type[np.integer[Any]], table: CodeTable, message: str) -> None:
    with pytest.raises(DataError, match=message):
        to_codes(np.array([[0, value, 0]], dtype), None, PATH, table)


def test_a_value_named_as_no_label_is_none() -> None:
    assert to_codes(np.array([[1, 255, 0]], np.uint8), None, PATH, cdl().without((255,))).tolist() == [[1, 0, 0]]


def test_the_band_of_the_labels_by_number_or_name() -> None:
    uint8 = np.dtype(np.uint8)
    assert label_band(PATH, uint8, [None], "") == 0
    assert label_band(PATH, uint8, [None], "Map") == 0
    assert label_band(PATH, uint8, ["a", "Map"], "MAP") == 1
    assert label_band(PATH, uint8, ["a", None], 2) == 1


@pytest.mark.parametrize(
    ("dtype", "names", "band", "message"),
    [
        ("float32", [None], "", "labels are float32; label codes are integers"),
        ("uint8", [None, None], "", r"2 bands; labels are one band of codes: name it under \[labels\] band"),
        ("uint8", [None], 2, r"has no band 2, which \[labels\] band names; its bands are 1$"),
        ("uint8", ["a", "b"], "c", "has no band 'c', .*; its bands are 1 a, 2 b$"),
        ("uint8", ["confidence"], "map", "has no band 'map', .*; its bands are 1 confidence$"),
    ],
)
def test_bands_that_are_not_there(dtype: str, names: list[str | None], band: int | str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        label_band(PATH, np.dtype(dtype), names, band)
