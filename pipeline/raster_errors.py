"""What opening or reading a raster raises where the file is damaged."""

from __future__ import annotations

from rasterio.errors import RasterioError

UNREADABLE = (RasterioError, OSError, UnicodeDecodeError)  # the last: rasterio, where GDAL quotes bytes of the file that are no text


def reason(error: Exception) -> str:
    """The first line of the deepest cause of such an error."""
    if isinstance(error, UnicodeDecodeError):
        return "bytes that are no text where a text should be"
    deepest: BaseException = error
    while deepest.__cause__ is not None:
        deepest = deepest.__cause__
    return str(deepest).splitlines()[0].rstrip(".")
