"""What the server answers, without a socket where none is needed; tests/integration/test_view.py asks it over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from cropcam.pipeline.maps.view.layers import Scene
from cropcam.pipeline.maps.view.server import View
from cropcam.pipeline.runtime.loopback_requests import Refused
from support.views import centre


@pytest.fixture(scope="module")
def view(scene: Scene) -> Iterator[View]:
    with View(scene) as found:
        yield found


def test_the_address_has_the_token_and_the_port(view: View) -> None:
    assert view.url == f"http://127.0.0.1:{view.port}/{view.token}/"


def test_every_kind_of_answer(view: View, scene: Scene) -> None:
    assert view.answer("")[1] == "text/html; charset=utf-8"
    assert view.answer("leaflet.js")[1] == "text/javascript; charset=utf-8"
    assert json.loads(view.answer("scene.json")[0])["title"] == "map.tif"
    lon, lat = centre(scene.grid, 100, 200)
    assert json.loads(view.answer(f"pixel.json?lon={lon}&lat={lat}")[0])["row"] == 100
    assert json.loads(view.answer("areas/classes.json")[0])["state"] in ("measuring", "measured")
    for layer in scene.layers:
        content, media_type = view.answer(f"tiles/{layer.id}/{scene.min_zoom}/0/0.png")
        assert (content[:4], media_type) == (b"\x89PNG", "image/png")


@pytest.mark.parametrize(
    "rest",
    [
        "page.html",
        "server.py",
        "../server.py",
        "%2e%2e/server.py",
        "/etc/passwd",
        "tiles/nothing/9/0/0.png",
        "tiles/../classes/9/0/0.png",
        "tiles/classes/9/0/512.png",
        "tiles/classes/0/0/0.png",
        "tiles/classes/23/0/0.png",
        "tiles/classes/-9/0/0.png",
        "tiles/classes/9/0/0",
        "tiles/classes/\u0669/0/0.png",
        "areas/errors.json",
        "areas/../classes.json",
        "scene.json/",
        "map.tif",
    ],
)
def test_anything_else_is_not_there(view: View, rest: str) -> None:
    with pytest.raises(Refused, match="no such address") as refused:
        view.answer(rest)
    assert refused.value.status == 404


@pytest.mark.parametrize("query", ["", "lon=1", "lon=a&lat=b", "lon=nan&lat=0", "lon=1&lat=91", "lon=181&lat=0", "lon=inf&lat=0"])
def test_a_pixel_needs_a_place(view: View, query: str) -> None:
    with pytest.raises(Refused, match="a pixel needs lon and lat in degrees") as refused:
        view.answer(f"pixel.json?{query}")
    assert refused.value.status == 400
