"""Pictures of the preview: which tiles, where they lie, how they are put together."""

from __future__ import annotations

import base64
import io
import re

import morecantile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cropcam.pipeline.earthengine.preview_pictures import MOST_TILES, TileRange, picture, tile_range
from cropcam.pipeline.errors import EarthEngineError

DEGREES = st.floats(0.001, 20)


@given(st.floats(-170, 150), st.floats(-70, 60), DEGREES, DEGREES, st.sampled_from([10.0, 30.0, 250.0]))
def test_few_tiles_cover_an_area(west: float, south: float, wide: float, high: float, scale_m: float) -> None:
    found = tile_range((west, south, west + wide, south + high), scale_m)
    left, bottom, right, top = found.bounds
    assert found.count <= MOST_TILES
    assert left <= west + 1e-9
    assert bottom <= south + 1e-9
    assert right >= west + wide - 1e-9
    assert top >= south + high - 1e-9


def test_known_tiles() -> None:
    tiles = morecantile.tms.get("WebMercatorQuad")
    first, last = tiles.tile(-90.18, 41.18, 12), tiles.tile(-89.84, 40.84, 12)
    assert tile_range((-90.18, 40.84, -89.84, 41.18), 30) == TileRange(12, first.x, first.y, last.x, last.y)
    assert tile_range((-94.0, 37.0, -86.0, 41.5), 30).zoom == 8  # 36 tiles at most
    left, bottom, right, top = TileRange(0, 0, 0, 0, 0).bounds
    assert (left, right) == (-180, 180)
    assert (bottom, top) == (pytest.approx(-85.0511288), pytest.approx(85.0511288))


def _tile(address: str) -> bytes:
    """A tile of one colour, of its column and row; the first one is transparent."""
    column, row = (int(text) for text in re.findall(r"/(\d+)", address)[-2:])
    buffer = io.BytesIO()
    Image.new("RGBA", (256, 256), (column, row, 9, 0 if (column, row) == (5, 7) else 255)).save(buffer, "PNG")
    return buffer.getvalue()


def test_tiles_stand_where_they_belong_with_their_very_colours() -> None:
    tiles = TileRange(4, 5, 7, 6, 9)
    found = picture("http://here/{z}/{x}/{y}", tiles, "labels", exact=True, fetch=_tile)
    assert found.bounds == tiles.bounds
    content = base64.b64decode(found.address.removeprefix("data:image/webp;base64,"))
    rgba = np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"))
    assert rgba.shape == (3 * 256, 2 * 256, 4)
    assert rgba[100, 100, 3] == 0
    assert [rgba[y, x].tolist() for y, x in ((100, 300), (300, 100), (767, 511))] == [[6, 7, 9, 255], [5, 8, 9, 255], [6, 9, 9, 255]]


def test_an_endpoint_that_gives_no_tile_is_named() -> None:
    def refuses(address: str) -> bytes:
        raise OSError(f"no {address}")

    with pytest.raises(EarthEngineError, match=r"^the map of the labels: the endpoint gives no tile \(no http://here/0/0/0\); try again$"):
        picture("http://here/{z}/{x}/{y}", TileRange(0, 0, 0, 0, 0), "labels", exact=True, fetch=refuses)
    with pytest.raises(EarthEngineError, match="gives no tile"):
        picture("http://here/{z}/{x}/{y}", TileRange(0, 0, 0, 0, 0), "labels", exact=True, fetch=lambda _: b"<html>")
