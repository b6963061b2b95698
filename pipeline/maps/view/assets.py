"""The files of the page, by the name in its address: its own, and Leaflet's from `xstatic-leaflet`. No other file can be named."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from pathlib import Path

from xstatic.pkg import leaflet  # type: ignore[import-untyped]

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_OWN = ("page.html", "view.css", "main.js", "state.js", "map.js", "panel.js", "key.js", "pixel.js", "icon.svg")
_LEAFLET = ("leaflet.js", "leaflet.css")
PAGE = ""  # the name of the page itself


def assets() -> dict[str, Callable[[], tuple[bytes, str]]]:
    """Every file's name, and a function that gives its content and its media type."""
    own = resources.files("cropcam.pipeline.maps.view") / "page"
    found = {name: _reader((own / name).read_bytes, name) for name in _OWN}
    found |= {name: _reader((Path(leaflet.BASE_DIR) / name).read_bytes, name) for name in _LEAFLET}
    found[PAGE] = found.pop("page.html")
    return found


def _reader(read: Callable[[], bytes], name: str) -> Callable[[], tuple[bytes, str]]:
    media_type = _TYPES[Path(name).suffix]
    charset = "" if media_type.startswith("image") else "; charset=utf-8"
    return lambda: (read(), f"{media_type}{charset}")
