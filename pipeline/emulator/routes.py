"""The REST surface: paths and the handlers they lead to.

Source: Earth Engine REST reference; the paths are those of the discovery document.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import parse_qs, unquote, urlsplit

from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.fault_injection import NO_REQUESTS
from cropcam.pipeline.emulator.file_routes import FILE_ROUTES, MEDIA_ROUTES
from cropcam.pipeline.emulator.routing import Route, make_route
from cropcam.pipeline.emulator.service import Service
from cropcam.pipeline.errors import ConfigError

_ASSET = r"(?P<name>projects/[^/]+/assets/.+)"
_OPERATION = r"(?P<name>projects/[^/]+/operations/[A-Za-z0-9_-]+)"
ROUTES = (
    make_route("algorithms", "GET", "PROJECT/algorithms", Service.algorithms),
    make_route("config", "GET", "PROJECT/config", Service.config),
    make_route("value:compute", "POST", "PROJECT/value:compute", Service.compute_value, computes=True),
    make_route("image:computePixels", "POST", "PROJECT/image:computePixels", Service.compute_pixels, computes=True),
    make_route("getPixels", "POST", f"{_ASSET}:getPixels", Service.get_pixels, computes=True),
    make_route("listAssets", "GET", r"(?P<name>projects/[^/:]+(?:/assets/.*?)?):(?P<verb>listAssets|listImages)", Service.list_assets),
    make_route("asset", "GET", _ASSET, Service.asset),
    make_route("assets:create", "POST", "PROJECT/assets", Service.create_asset),
    make_route("assets:delete", "DELETE", _ASSET, Service.delete_asset),
    make_route("assets:patch", "PATCH", _ASSET, Service.patch_asset),
    make_route("image:export", "POST", "PROJECT/image:export", Service.export),
    make_route("operations", "GET", "PROJECT/operations", Service.list_operations),
    make_route("operation", "GET", _OPERATION, Service.operation),
    make_route("cancel", "POST", f"{_OPERATION}:cancel", Service.cancel),
    make_route("wait", "POST", f"{_OPERATION}:wait", Service.wait),
    make_route("maps", "POST", "PROJECT/(?P<kind>maps|thumbnails)", Service.create_picture),
    make_route(
        "tiles",
        "GET",
        r"(?P<name>projects/[^/]+/maps/[^/]+)/tiles/(?P<z>\d+)/(?P<x>\d+)/(?P<y>\d+)",
        Service.tile,
        computes=True,
        scopes=(),
    ),
    make_route("thumbnail", "GET", "(?P<name>projects/[^/]+/thumbnails/[^/:]+):getPixels", Service.thumbnail, computes=True, scopes=()),
    make_route("unknown", "POST", "PROJECT/(?P<verb>.+)", Service.unknown),
)
DISCOVERY = Route("discovery", "GET", re.compile(r"\$discovery/rest"), Service.discovery, is_counted=False, scopes=())
_VERSION = re.compile(r"/v1(?:alpha|beta)?/")


def check_fault_routes(names: Iterable[str]) -> None:
    """Refuse a fault that could never strike.

    Raises:
        ConfigError: a name is neither a route's nor an event's.
    """
    known = {route.name for route in (*ROUTES, *FILE_ROUTES, *MEDIA_ROUTES, DISCOVERY)} | NO_REQUESTS | {"*"}
    for name in names:
        if name not in known:
            raise ConfigError(f"a fault of route {name!r} never strikes; choose one of {', '.join(sorted(known))}")


def find(method: str, target: str) -> tuple[Route, dict[str, str], dict[str, str]]:
    """The route of a request line, the groups of its pattern, and the query.

    Raises:
        EngineError: no such route.
    """
    parts = urlsplit(target)
    path = unquote(parts.path)
    query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    if DISCOVERY.method == method and DISCOVERY.pattern.fullmatch(path.lstrip("/")):
        return DISCOVERY, {}, query
    version = _VERSION.match(path)
    for route in ROUTES if version else ():
        if route.method == method and version and (match := route.pattern.fullmatch(path, version.end())):
            return route, match.groupdict(), query
    for route in MEDIA_ROUTES if query.get("alt") == "media" else FILE_ROUTES:
        if route.method == method and (match := route.pattern.fullmatch(path)):
            return route, match.groupdict(), query
    raise EngineError(f"The embedded engine does not answer {method} {path}.", "NOT_FOUND")
