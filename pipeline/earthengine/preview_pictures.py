"""A layer of the preview as one picture inside the page, put together from map tiles: for an endpoint that ends with the command.

Web Mercator tiles are stretched over the page as they are, so a picture between the edges of tiles lies exactly where they would.
Source: OpenStreetMap wiki, "Slippy map tilenames".
"""

from __future__ import annotations

import base64
import io
import math
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from PIL import Image

from cropcam.pipeline.errors import EarthEngineError

TILE_PX, MOST_TILES, DEEPEST = 256, 36, 18
EQUATOR_M = 2 * math.pi * 6_378_137
_WORKERS, _TIMEOUT_S = 4, 600
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy knows no loopback
Bounds = tuple[float, float, float, float]  # west, south, east, north in degrees


@dataclass(frozen=True)
class Picture:
    """A picture and where it lies.

    Attributes:
        address: a data URI.
        bounds: of its edges in degrees, west, south, east, north.
    """

    address: str
    bounds: Bounds


@dataclass(frozen=True)
class TileRange:
    """The tiles of a zoom that cover an area: columns and rows, first and last."""

    zoom: int
    left: int
    top: int
    right: int
    bottom: int

    @property
    def count(self) -> int:
        """How many tiles there are."""
        return (self.right - self.left + 1) * (self.bottom - self.top + 1)

    @property
    def bounds(self) -> Bounds:
        """Of all of them, in degrees."""
        return _lon(self.left, self.zoom), _lat(self.bottom + 1, self.zoom), _lon(self.right + 1, self.zoom), _lat(self.top, self.zoom)


def tile_range(bounds: Bounds, scale_m: float) -> TileRange:
    """The tiles of an area: no finer than its pixels of `scale_m` need, and at most `MOST_TILES`.

    Args:
        bounds: west, south, east, north in degrees.
        scale_m: side of a pixel in metres.
    """
    west, south, east, north = bounds
    around_m = EQUATOR_M * math.cos(math.radians((south + north) / 2))
    zoom = min(max(math.ceil(math.log2(around_m / (TILE_PX * scale_m))), 0), DEEPEST)
    while True:
        last = 2**zoom - 1
        left, right = (min(max(math.floor(_column(lon, zoom)), 0), last) for lon in (west, east))
        top, bottom = (min(max(math.floor(_row(lat, zoom)), 0), last) for lat in (north, south))
        found = TileRange(zoom, left, top, right, bottom)
        if found.count <= MOST_TILES or not zoom:
            return found
        zoom -= 1


def picture(template: str, tiles: TileRange, name: str, *, exact: bool, fetch: Callable[[str], bytes] | None = None) -> Picture:
    """The tiles of a layer as one picture.

    Args:
        template: their address, with {z}, {x} and {y}.
        tiles: which ones.
        name: of the layer, for messages.
        exact: keep every colour; else a tenth of the bytes.
        fetch: reads an address; by default without a proxy.

    Raises:
        EarthEngineError: the endpoint does not give a tile.
    """
    fetch = fetch or _fetched
    places = [(col, row) for row in range(tiles.top, tiles.bottom + 1) for col in range(tiles.left, tiles.right + 1)]
    whole = Image.new("RGBA", ((tiles.right - tiles.left + 1) * TILE_PX, (tiles.bottom - tiles.top + 1) * TILE_PX))
    try:
        with ThreadPoolExecutor(_WORKERS) as pool:
            contents = pool.map(lambda place: fetch(template.format(z=tiles.zoom, x=place[0], y=place[1])), places)
            for (col, row), content in zip(places, contents, strict=True):
                with Image.open(io.BytesIO(content)) as tile:
                    whole.paste(tile.convert("RGBA"), ((col - tiles.left) * TILE_PX, (row - tiles.top) * TILE_PX))
    except (OSError, urllib.error.URLError) as error:
        raise EarthEngineError(f"the map of the {name}: the endpoint gives no tile ({error}); try again") from None
    buffer = io.BytesIO()
    whole.save(buffer, "WEBP", lossless=exact, quality=85)
    return Picture(f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}", tiles.bounds)


def _fetched(address: str) -> bytes:
    with _DIRECT.open(address, timeout=_TIMEOUT_S) as answer:
        content: bytes = answer.read()
        return content


def _column(lon: float, zoom: int) -> float:
    return (lon + 180) / 360 * float(2**zoom)


def _row(lat: float, zoom: int) -> float:
    return (1 - math.asinh(math.tan(math.radians(min(max(lat, -85.05), 85.05)))) / math.pi) / 2 * float(2**zoom)


def _lon(column: int, zoom: int) -> float:
    return column / float(2**zoom) * 360 - 180


def _lat(row: int, zoom: int) -> float:
    return math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * row / float(2**zoom)))))
