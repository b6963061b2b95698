"""Maps and thumbnails by name: requests of a client, kept until it requests the tiles."""

from __future__ import annotations

import threading
from collections import OrderedDict

from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.requests import Json
from cropcam.pipeline.runtime.hashing import json_sha256

_KEPT = 256


class MapIds:
    """The last few hundred requests for maps and thumbnails; the same request has the same name."""

    def __init__(self) -> None:
        self._bodies: OrderedDict[str, Json] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, parent: str, body: Json) -> str:
        """Keep a request under `parent` ("projects/P/maps"); return its name."""
        digest = json_sha256(body)
        name = f"{parent}/{digest[:32]}-{digest[32:]}"
        with self._lock:
            self._bodies[name] = body
            self._bodies.move_to_end(name)
            while len(self._bodies) > _KEPT:
                self._bodies.popitem(last=False)
        return name

    def find(self, name: str) -> Json:
        """The request of that name.

        Raises:
            EngineError: the name is unknown.
        """
        with self._lock:
            body = self._bodies.get(name)
        if body is None:
            raise EngineError(f"{name} was not found: ask for it again.", "NOT_FOUND")
        return body


def picture_format(body: Json) -> str:
    """The picture format of a request: PNG, JPEG, or automatic."""
    requested = str(body.get("fileFormat", "AUTO_JPEG_PNG"))
    return requested if requested in {"PNG", "JPEG"} else "AUTO_JPEG_PNG"
