"""Tiles of the web map: a layer's pixels by rio-tiler, coloured, as PNG.

Classes are the nearest pixel of the file or of the overview that fits the zoom; pictures are interpolated. Axis suffixes: C bands, Y/X rows and columns.
"""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from PIL import Image
from rio_tiler.errors import RioTilerError, TileOutsideBounds
from rio_tiler.io import Reader

from cropcam.pipeline.crs import crs_text, transform_bounds
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.maps.view.layers import MERCATOR_M, MOST_ZOOM, Layer
from cropcam.pipeline.maps.view.palettes import DIFFERENT, EQUAL
from cropcam.pipeline.maps.windows import NODATA_CLASS
from cropcam.pipeline.raster_errors import UNREADABLE

TILE_PX = 256
CACHE_BYTES = 64 * 2**20
_TOLERANCE = 1.01  # an overview is a little coarser than its factor
Bytes = npt.NDArray[np.uint8]


class Tiles:
    """Tiles of layers, the latest kept in memory; thread-safe: every tile opens its files itself."""

    def __init__(self, cache_bytes: int = CACHE_BYTES) -> None:
        self._cache: OrderedDict[tuple[str, int, int, int], bytes] = OrderedDict()
        self._held, self._most = 0, cache_bytes
        self._lock = threading.Lock()

    def png(self, layer: Layer, zoom: int, col: int, row: int) -> bytes:
        """A tile of 256 x 256 px; transparent beyond the layer.

        Args:
            layer: the layer.
            zoom: of the tile.
            col: of the tile, from the west.
            row: of the tile, from the north.

        Raises:
            DataError: the file is damaged or gone.
        """
        key = layer.id, zoom, col, row
        with self._lock:
            if (found := self._cache.get(key)) is not None:
                self._cache.move_to_end(key)
                return found
        tile = render(layer, zoom, col, row)
        with self._lock:
            if key not in self._cache:
                self._cache[key] = tile
                self._held += len(tile)
            while self._held > self._most:
                self._held -= len(self._cache.popitem(last=False)[1])
        return tile


def exists(zoom: int, col: int, row: int) -> bool:
    """Whether the web map has such a tile."""
    return 0 <= zoom <= MOST_ZOOM and 0 <= col < 2**zoom and 0 <= row < 2**zoom


def render(layer: Layer, zoom: int, col: int, row: int) -> bytes:
    """The tile, made anew; arguments and errors as of `Tiles.png`."""
    place = zoom, col, row
    if layer.palette is None:
        return _picture(_read(layer.raster, layer.bands, place, 0, "bilinear"))
    values_YX = _read(layer.raster, layer.bands, place, NODATA_CLASS, "nearest")[0]
    if layer.minus is not None:
        values_YX = differences(values_YX, _read(layer.minus, (1,), place, NODATA_CLASS, "nearest")[0])
    return _colored(values_YX, layer)


def differences(one_YX: Bytes, other_YX: Bytes) -> Bytes:
    """Whether class indices (Y, X) are equal or different; 255 where either is nodata.

    >>> differences(np.array([[1, 1, 255]], np.uint8), np.array([[1, 2, 2]], np.uint8)).tolist()
    [[0, 1, 255]]
    """
    known_YX = (one_YX != NODATA_CLASS) & (other_YX != NODATA_CLASS)
    return np.where(known_YX, np.where(one_YX == other_YX, EQUAL, DIFFERENT), NODATA_CLASS).astype(np.uint8)


def _read(path: Path, bands: tuple[int, ...], place: tuple[int, int, int], nodata: int, resampling: str) -> Bytes:
    """Values (C, Y, X) of a tile; `nodata` where a pixel has none, and beyond the file."""
    zoom, col, row = place
    try:
        level = overview_level(*_scales(path, path.stat().st_mtime_ns), zoom)
        options = {} if level is None else {"overview_level": level}
        with rasterio.open(path, **options) as file, Reader(None, dataset=file) as reader:
            method = {"resampling_method": resampling, "reproject_method": resampling}
            found = reader.tile(col, row, zoom, tilesize=TILE_PX, indexes=bands, **method).array
    except TileOutsideBounds:
        return np.full((len(bands), TILE_PX, TILE_PX), nodata, np.uint8)
    except (*UNREADABLE, RioTilerError) as error:
        raise unreadable(path) from error
    return np.asarray(found.filled(nodata), np.uint8)


def unreadable(path: Path) -> DataError:
    """One line about a file that was there when the page was opened, without its place on the disk."""
    return DataError(f"{path.name}: cannot be read any more; start cropcam view again")


def overview_level(pixel_m: float, factors: tuple[int, ...], zoom: int) -> int | None:
    """The index of the coarsest overview that is not coarser than the tile's pixels; None for the file's own pixels.

    rio-tiler warps a file at its own resolution: of a tile that covers much of a large file that takes minutes.

    >>> overview_level(30.0, (2, 4, 8), 12), overview_level(30.0, (2, 4, 8), 10), overview_level(30.0, (2, 4, 8), 0)
    (None, 1, 2)
    """
    ratio = MERCATOR_M / 2**zoom / pixel_m * _TOLERANCE
    return next((index for index, factor in reversed(list(enumerate(factors))) if factor <= ratio), None)


@lru_cache(maxsize=64)
def _scales(path: Path, _changed_ns: int) -> tuple[float, tuple[int, ...]]:
    """The width of a file's pixel on the web map, and the factors of its overviews."""
    with rasterio.open(path) as file:
        west, _, east, _ = transform_bounds(crs_text(file.crs), "EPSG:3857", tuple(file.bounds))
        return (east - west) / file.width, tuple(file.overviews(1))


def _colored(values_YX: Bytes, layer: Layer) -> bytes:
    assert layer.palette is not None  # noqa: S101 - for the type checker
    image = Image.fromarray(values_YX)
    image.putpalette(layer.palette[:, :3].tobytes())
    return _encoded(image, transparency=layer.palette[:, 3].tobytes())


def _picture(grey_CYX: Bytes) -> bytes:
    """Red, green and blue; grey where there are fewer bands. Transparent where a band is 0."""
    rgb_CYX = grey_CYX if len(grey_CYX) == 3 else np.broadcast_to(grey_CYX[:1], (3, *grey_CYX.shape[1:]))
    alpha_1YX = np.where((grey_CYX == 0).any(axis=0), 0, 255).astype(np.uint8)[None]
    return _encoded(Image.fromarray(np.ascontiguousarray(np.moveaxis(np.concatenate([rgb_CYX, alpha_1YX]), 0, -1))))


def _encoded(image: Image.Image, transparency: bytes | None = None) -> bytes:
    out = io.BytesIO()
    options = {} if transparency is None else {"transparency": transparency}
    image.save(out, "PNG", compress_level=1, **options)
    return out.getvalue()
