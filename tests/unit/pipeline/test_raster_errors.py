"""Errors of reading a damaged raster, as one reason."""

from __future__ import annotations

import pytest
from rasterio.errors import RasterioIOError

from cropcam.pipeline.raster_errors import UNREADABLE, reason


def test_the_reason_is_the_first_line_of_the_deepest_cause() -> None:
    outer = RasterioIOError("Read failed. See previous exception for details.")
    outer.__cause__ = OSError("TIFFReadEncodedTile() failed.\nmore")
    assert reason(outer) == "TIFFReadEncodedTile() failed"
    assert reason(RasterioIOError("no such file.")) == "no such file"


def test_bytes_that_are_no_text_are_named_so() -> None:
    with pytest.raises(UNREADABLE, match="invalid start byte") as error:
        b"\xfc".decode()
    assert reason(error.value) == "bytes that are no text where a text should be"
