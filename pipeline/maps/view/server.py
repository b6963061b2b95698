"""The page's server on loopback. Layers are named by their ids, files by their names in the page: no part of an address reaches the disk."""

from __future__ import annotations

import json
import logging
import math
import re
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

from cropcam.pipeline import __version__
from cropcam.pipeline.errors import CropcamError
from cropcam.pipeline.maps.view.access import METHODS, check, new_token
from cropcam.pipeline.maps.view.assets import assets
from cropcam.pipeline.maps.view.files import Files
from cropcam.pipeline.maps.view.hectares import Hectares
from cropcam.pipeline.maps.view.layers import CLASSES, TRUTH, Scene
from cropcam.pipeline.maps.view.pixels import pixel
from cropcam.pipeline.maps.view.tiles import Tiles, exists
from cropcam.pipeline.runtime.loopback import LoopbackServer, listen
from cropcam.pipeline.runtime.loopback_requests import SECURITY_HEADERS, LoopbackHandler, Refused
from cropcam.pipeline.runtime.machine import signals_as_interrupt

_LOG = logging.getLogger(__name__)
_TILE = re.compile(r"tiles/([a-z0-9-]{1,64})/([0-9]{1,2})/([0-9]{1,8})/([0-9]{1,8})\.png")
Answer = tuple[bytes, str]  # content, media type


class View:
    """A scene, served from its creation to `stop`; a context manager.

    Raises:
        ConfigError: the port is taken, or none.
        DataError: the scene lies outside the reach of a web map.

    Example: `with View(scene) as view: print(view.url)`
    """

    def __init__(self, scene: Scene, port: int = 0, *, token: str = "") -> None:
        self.scene, self.token = scene, token or new_token()
        self._described, self._min_zoom = _as_json(scene.to_json()), scene.min_zoom
        self._tiles, self._assets = Tiles(), assets()
        self._hectares = Hectares({name: found for name, found in ((CLASSES, scene.classes), (TRUTH, scene.truth)) if found})
        self._files = Files(scene)
        self._http = listen(_Server, _Handler, port)
        self._http.view = self
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, name="view", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        """The page's address, with its token."""
        return f"{self._http.url}/{self.token}/"

    def answer(self, rest: str) -> Answer:
        """Content and media type of an address behind the token.

        Raises:
            Refused: 404 for an address that is not known, 400 for a pixel without a place.
            CropcamError: a file cannot be read, or was written again since the page was opened.
        """
        path, _, query = rest.partition("?")
        if (read := self._assets.get(path)) is not None:
            return read()
        if path == "scene.json":
            return self._described, "application/json"
        if path == "pixel.json":
            place = _place(query)
            self._files.check()
            return _as_json(pixel(self.scene, *place)), "application/json"
        if (match := re.fullmatch(r"areas/([a-z]{1,16})\.json", path)) and (found := self._hectares.found(match[1])):
            return _as_json(found), "application/json"
        if (match := _TILE.fullmatch(path)) and (layer := self.scene.layer(match[1])):
            zoom, col, row = (int(match[number]) for number in (2, 3, 4))
            if zoom >= self._min_zoom and exists(zoom, col, row):
                self._files.check(layer.raster, *([layer.minus] if layer.minus else []))
                return self._tiles.png(layer, zoom, col, row), "image/png"
        raise Refused(404, "no such address")

    def wait(self) -> None:
        """Serve until interrupted."""
        while self._thread.is_alive():
            self._thread.join(0.5)

    def stop(self) -> None:
        """End every connection."""
        self._http.shutdown()
        self._thread.join()
        self._http.hang_up()
        self._http.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def show(scene: Scene, port: int = 0, *, opened: Callable[[str], object] = print) -> None:
    """Serve the page until Ctrl-C or SIGTERM; `opened` is called with its address once it answers.

    Raises:
        ConfigError: the port is taken, or none.
        DataError: the scene lies outside the reach of a web map.
    """
    with signals_as_interrupt(), View(scene, port) as view:
        try:
            opened(view.url)
            view.wait()
        except KeyboardInterrupt:
            return


class _Server(LoopbackServer):
    view: View


class _Handler(LoopbackHandler):
    """One connection: request after request."""

    server_version = f"cropcam/{__version__}"
    server: _Server

    def refuse(self, status: int, reason: str) -> None:
        """A request that is no HTTP."""
        self._send(status, *_line(reason))

    def serve(self) -> None:
        """One request."""
        view = self.server.view
        status = 200
        try:
            rest = check(self.command, self.path, self.plain_headers(), port=view.port, token=view.token)
            content, media_type = view.answer(rest)
        except Refused as refused:
            status, (content, media_type) = refused.status, _line(refused.reason)
        except CropcamError as error:
            status, (content, media_type) = 500, _line(str(error))
        except Exception:  # noqa: BLE001 - one bad request ends no server
            _LOG.exception("%s", self.command)
            status, (content, media_type) = 500, _line("this is a bug; run cropcam view --debug and report its lines")
        if self.headers.get("Content-Length") or self.headers.get("Transfer-Encoding"):
            self.close_connection = True  # a body is not read
        self._send(status, content, media_type)

    def _send(self, status: int, content: bytes, media_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")  # a map may be made again
        for name, value in SECURITY_HEADERS.items():
            self.send_header(name, value)
        if status == 405:
            self.send_header("Allow", ", ".join(METHODS))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _line(text: str) -> Answer:
    return f"{text}\n".encode(), "text/plain; charset=utf-8"


def _as_json(values: dict[str, Any]) -> bytes:
    return json.dumps(values, allow_nan=False).encode()


def _place(query: str) -> tuple[float, float]:
    values = parse_qs(query)
    try:
        lon, lat = (float(values[name][0]) for name in ("lon", "lat"))
    except (KeyError, ValueError):
        raise Refused(400, "a pixel needs lon and lat in degrees") from None
    if not (math.isfinite(lon) and -180 <= lon <= 180 and math.isfinite(lat) and -90 <= lat <= 90):
        raise Refused(400, "a pixel needs lon and lat in degrees")
    return lon, lat
