"""The header of a remote GeoTIFF: its grid, bands and type, from a few small ranges, before the file is fetched."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rasterio

from cropcam.pipeline.crs import crs_text
from cropcam.pipeline.earthengine.error_messages import Backoff, ServiceError
from cropcam.pipeline.earthengine.layers import Layer
from cropcam.pipeline.encoding import BandEncoding
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.fetch.media import ChangedError, read_range
from cropcam.pipeline.fetch.remote import Remote, RemoteFile
from cropcam.pipeline.fetch.service_errors import explain
from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.raster_errors import UNREADABLE
from cropcam.pipeline.rasters.export_shards import place_on
from cropcam.pipeline.rasters.raster import Raster

_BLOCK_BYTES = 2**16


@dataclass(frozen=True)
class Header:
    """The grid of a shard, and the bands and type that decide which layer it may be; `reason` is why there is no grid."""

    grid: PixelGrid | None
    bands: int = 0
    dtype: str = ""
    reason: str = ""


def read_header(remote: Remote, file: RemoteFile, backoff: Backoff) -> Header:
    """The header of a file; GDAL reads it through ranges of 64 KiB.

    Raises:
        EarthEngineError: the place refuses.
        ChangedError: the file was replaced since it was listed.
    """
    raised: list[BaseException] = []

    name = f"{file.name}.remote"

    def opened(path: str, _mode: str = "rb", **_: object) -> _Ranges:
        if Path(path).name != name:  # GDAL looks for files beside it
            raise FileNotFoundError(path)
        return _Ranges(remote, file, backoff, raised)

    try:
        with rasterio.open(name, opener=opened) as found:
            if found.crs is None or found.transform.b or found.transform.d or not found.count:
                return Header(None, reason="it has no north-up grid")
            grid = PixelGrid(crs_text(found.crs), tuple(found.transform)[:6], found.width, found.height)
            return Header(grid, found.count, "/".join(sorted(set(found.dtypes))))
    except UNREADABLE:
        if raised:  # GDAL made an error of its own of it
            if isinstance(raised[0], ServiceError) and raised[0].kind in ("absent", "changed"):
                raise ChangedError(file.name) from None
            raise raised[0] from None
        return Header(None, reason="it is no readable GeoTIFF")


def place_of(header: Header, file: RemoteFile, grid: PixelGrid, layer: Layer) -> Window:
    """Where a shard of a layer lies on the study's grid.

    Raises:
        DataError: it lies on another grid, or has other bands or another type.
    """
    if header.grid is None:
        raise DataError(f"{file.name}: {header.reason}")
    if (header.bands, header.dtype) != (len(layer.bands), layer.dtype):
        raise DataError(
            f"{file.name}: {header.bands} bands of {header.dtype}, the study's {layer.name} has {len(layer.bands)} of {layer.dtype}"
        )
    unread = BandEncoding.uniform(layer.dtype, header.bands, 1.0, 0.0, None)
    return place_on(grid, Raster(Path(file.name), header.grid, layer.bands, unread, (None,) * header.bands))


class _Ranges(io.RawIOBase):
    """A remote file as Python reads files, kept block by block. What goes wrong is put into `raised`, for GDAL swallows it."""

    def __init__(self, remote: Remote, file: RemoteFile, backoff: Backoff, raised: list[BaseException]) -> None:
        self._remote, self._file, self._backoff, self._raised = remote, file, backoff, raised
        self._blocks: dict[int, bytes] = {}
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._file.size)[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self._file.size if size < 0 else min(self._at + size, self._file.size)
        parts = []
        while self._at < end:
            number, inside = divmod(self._at, _BLOCK_BYTES)
            part = self._block(number)[inside : inside + end - self._at]
            if not part:
                break
            parts.append(part)
            self._at += len(part)
        return b"".join(parts)

    def _block(self, number: int) -> bytes:
        if number not in self._blocks and not self._raised:
            try:
                self._blocks[number] = self._backoff.call(
                    lambda: self._fetched(number), self._file.name, lambda error: explain(error, self._remote.service)
                )
            except BaseException as error:  # noqa: BLE001 - raised again by `read_header`
                self._raised.append(error)
        return self._blocks.get(number, b"")

    def _fetched(self, number: int) -> bytes:
        content = bytearray()
        start = number * _BLOCK_BYTES

        def write(part: bytes, _offset: int) -> Any:  # noqa: ANN401
            content.extend(part)

        read_range(self._remote, self._file, start, min(start + _BLOCK_BYTES, self._file.size), write)
        return bytes(content)
