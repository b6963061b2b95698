"""The engine: expression graphs in, values and images out.

Source: Earth Engine REST API, Expression and ValueNode.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cropcam.pipeline.emulator import algorithms  # noqa: F401 - fills the registry
from cropcam.pipeline.emulator.archive import Archive
from cropcam.pipeline.emulator.elements import Collection
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.evaluation import Evaluation
from cropcam.pipeline.emulator.images import LazyImage
from cropcam.pipeline.emulator.profiling import Profiles
from cropcam.pipeline.emulator.registry import type_name
from cropcam.pipeline.emulator.serialization import describe
from cropcam.pipeline.emulator.values import Value
from cropcam.pipeline.runtime.hashing import json_sha256

_REMEMBERED = 16  # images of the last expressions: a client reads one image by many requests


class Engine:
    """Evaluates Earth Engine's expression graphs over an archive of scenes. Methods may be called from any thread."""

    def __init__(self, archive: Path, own: Path | None = None) -> None:
        """An engine over an archive, and over a folder of the user's own assets."""
        self._archive, self.profiles = Archive(archive, own), Profiles()
        self._images: OrderedDict[str, LazyImage] = OrderedDict()
        self._lock = threading.Lock()

    def compute(self, expression: Mapping[str, Any]) -> Value:
        """The value of an expression as JSON, described as `getInfo` describes it.

        Args:
            expression: `{"result": KEY, "values": {...}}`.

        Raises:
            EngineError: the expression is malformed, refers to an absent asset, or fails.
        """
        return describe(Evaluation(expression, self._archive, self.profiles).result())

    def image(self, expression: Mapping[str, Any]) -> LazyImage:
        """The image of an expression.

        Raises:
            EngineError: as `compute`, or the value is no image.
        """
        key = json_sha256([expression, self._archive.state()])
        with self._lock:
            image = self._images.get(key)
            if image is not None:
                self._images.move_to_end(key)
                return image
        value = Evaluation(expression, self._archive).result()
        if not isinstance(value, LazyImage):
            kind = value.kind if isinstance(value, Collection) else type_name(value)
            raise EngineError(f"Expression does not evaluate to an Image: it is of type {kind}.")
        with self._lock:
            self._images[key] = value
            while len(self._images) > _REMEMBERED:
                self._images.popitem(last=False)
        return value

    def asset(self, asset_id: str) -> dict[str, Any]:
        """REST description of an asset.

        Args:
            asset_id: with or without "projects/earthengine-public/assets/" before it.

        Raises:
            EngineError: NOT_FOUND.
        """
        return self._archive.describe(asset_id)

    def list_assets(self, parent: str) -> list[dict[str, Any]]:
        """REST descriptions of the assets right below a folder or collection, by id; "" is the archive itself.

        Raises:
            EngineError: NOT_FOUND.
        """
        return self._archive.children(parent)
