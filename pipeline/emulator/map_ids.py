"""Maps and thumbnails by name: what a client asked to be painted, until it comes for the tiles."""

from __future__ import annotations

import threading
from collections import OrderedDict

from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.requests import Json
from cropcam.pipeline.runtime.hashing import json_sha256

_KEPT = 256


class Pictures:
    """The last few hundred requests for maps and thumbnails; the same request has the same name."""

    def __init__(self) -> None:
        self._bodies: OrderedDict[str, Json] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, parent: str, body: Json) -> str:
        """Remember a request under `parent` ("projects/P/maps"); return its name."""
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
            EngineError: it is not remembered.
        """
        with self._lock:
            body = self._bodies.get(name)
        if body is None:
            raise EngineError(f"{name} was not found: ask for it again.", "NOT_FOUND")
        return body


def picture_format(body: Json) -> str:
    """The picture format a request asks for: PNG, JPEG, or the one that fits."""
    asked = str(body.get("fileFormat", "AUTO_JPEG_PNG"))
    return asked if asked in {"PNG", "JPEG"} else "AUTO_JPEG_PNG"
