"""Hectares of the classes, measured in the background once the page asks for them: a large map takes a while."""

from __future__ import annotations

import logging
import threading
from typing import Any

from cropcam.pipeline.errors import CropcamError
from cropcam.pipeline.maps.areas import measure
from cropcam.pipeline.maps.class_map import FinishedMap

_LOG = logging.getLogger(__name__)


class Hectares:
    """The geodesic areas of finished maps; thread-safe. Each is measured once."""

    def __init__(self, maps: dict[str, FinishedMap]) -> None:
        self._maps, self._found = maps, dict[str, dict[str, Any]]()
        self._lock = threading.Lock()

    def found(self, name: str) -> dict[str, Any] | None:
        """The areas of a map by its name, or how far they are; None for an unknown name.

        Returns:
            {"state": "measuring"}, {"state": "failed", "error"} or {"state": "measured", "classes": [{"name", "hectares", "share"}],
            "hectares", "nodata_hectares"}; the shares are of the classes' sum.
        """
        if name not in self._maps:
            return None
        with self._lock:
            if name not in self._found:
                self._found[name] = {"state": "measuring"}
                threading.Thread(target=self._measure, args=(name,), name=f"hectares of {name}", daemon=True).start()
            return self._found[name]

    def _measure(self, name: str) -> None:
        opened = self._maps[name]
        try:
            whole = measure(opened).whole
            total = float(whole.hectares_K.sum())
            classes = [
                {"name": label, "hectares": float(hectares), "share": float(hectares) / total}
                for label, hectares in zip(opened.legend.names, whole.hectares_K, strict=True)
            ]
            found = {"state": "measured", "classes": classes, "hectares": total, "nodata_hectares": whole.nodata_hectares}
        except CropcamError as error:
            found = {"state": "failed", "error": str(error)}
        except Exception:  # noqa: BLE001 - a thread has nobody to tell
            _LOG.exception("areas of %s", name)
            found = {"state": "failed", "error": "the areas could not be measured"}
        with self._lock:
            self._found[name] = found
