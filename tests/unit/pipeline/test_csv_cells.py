"""Cells of CSV files: text without spaces, lines with their numbers."""

from __future__ import annotations

import pytest

from cropcam.pipeline.csv_cells import read_cells
from cropcam.pipeline.errors import DataError


def test_lines_keep_their_numbers() -> None:
    rows = read_cells("t.csv", b"\xef\xbb\xbfa, b\n1, x\n\n2,\n", "")
    assert (rows.columns.tolist(), rows.index.tolist(), rows.to_numpy().tolist()) == (["a", "b"], [2, 4], [["1", "x"], ["2", ""]])


def test_an_empty_file_is_named_with_the_columns_that_are_needed() -> None:
    with pytest.raises(DataError, match=r"t\.csv: no CSV table: .*; it needs a and b"):
        read_cells("t.csv", b"", "it needs a and b")
