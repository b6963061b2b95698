"""Assets of the user's projects: folders and images below OUT/assets, in the form of the archive.

Source: Earth Engine REST reference, projects.assets/create, delete, patch. How the service words its refusals is known
from what users report ("Cannot overwrite asset 'X'.", "Asset 'X' does not exist or doesn't allow this operation.").
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from cropcam.pipeline.emulator import limits
from cropcam.pipeline.emulator.errors import EngineError, not_found, unimplemented
from cropcam.pipeline.runtime.atomic import atomic_write, publish, remove

Json = Mapping[str, Any]
IMAGE, FOLDER = "asset.json", "folder.json"  # the files that make a folder on disk an image, or a folder or collection
_NAME = re.compile(r"projects/[a-z0-9][a-z0-9:.-]*/assets/[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*")
_TIMES = {"start_time": "startTime", "startTime": "startTime", "end_time": "endTime", "endTime": "endTime"}
_PROPERTY = re.compile(r'properties\.(?:"([^"]+)"|(.+))')


class OwnAssets:
    """The assets below one folder, which lie at `FOLDER/projects/P/assets/...`. Methods may be called from any thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.RLock()

    def path(self, name: str) -> Path:
        """Where an asset of that name lies, whether it exists or not.

        Raises:
            EngineError: the name is none, or one of the public catalogue or of a legacy home.
        """
        check_writable_name(name)
        return self.folder / name

    def check_target(self, name: str, *, overwrite: bool) -> Path:
        """Where an image of that name is to lie.

        Raises:
            EngineError: its folder does not exist, or an asset does that may not be overwritten.
        """
        path = self.path(name)
        with self._lock:
            self._check_parent(name, path)
            if path.exists() and not (overwrite and (path / IMAGE).is_file()):
                raise _exists(name)
        return path

    def publish(self, written: Path, name: str, *, overwrite: bool) -> None:
        """Make a finished image appear under its name, in place of an older one.

        Raises:
            EngineError: as `check_target`.
        """
        with self._lock:
            path = self.check_target(name, overwrite=overwrite)
            path.parent.mkdir(parents=True, exist_ok=True)
            publish(written, path)

    def create(self, name: str, body: Json) -> None:
        """Make a folder or an image collection.

        Raises:
            EngineError: another type, the asset exists, or its parent does not.
        """
        kind = body.get("type")
        if kind not in ("FOLDER", "IMAGE_COLLECTION"):
            raise unimplemented(f"The creation of an asset of type {kind}")
        path = self.path(name)
        with self._lock:
            self._check_parent(name, path)
            if path.exists():
                raise _exists(name)
            path.mkdir(parents=True)
            about = {"type": kind, "properties": dict(body.get("properties") or {})}
            atomic_write(path / FOLDER, json.dumps(about), sync=False)

    def delete(self, name: str) -> None:
        """Remove an image, or a folder or collection that is empty.

        Raises:
            EngineError: there is none of that name, or it holds assets.
        """
        path = self.path(name)
        with self._lock:
            if not path.is_dir():
                raise not_found("Asset", name)
            if not (path / IMAGE).is_file() and any(entry.is_dir() for entry in path.iterdir()):
                raise EngineError(f"Cannot delete asset '{name}': it is not empty.", "FAILED_PRECONDITION")
            hidden = path.with_name(f".{path.name}.old")
            remove(hidden)
            path.rename(hidden)
            remove(hidden)

    def patch(self, name: str, body: Json) -> None:
        """Change properties and times of an asset.

        Args:
            name: of the asset.
            body: {"updateMask": {"paths": [...]} or "a,b", "asset": {...}}; without a mask all properties and times.

        Raises:
            EngineError: there is none of that name, or the mask names another field.
        """
        path = self.path(name)
        asset: Json = body.get("asset") or {}
        with self._lock:
            file = next((path / own for own in (IMAGE, FOLDER) if (path / own).is_file()), None)
            if file is None:
                raise not_found("Asset", name)
            about = json.loads(file.read_text("utf-8"))
            about["properties"] = _patched(dict(about.get("properties", {})), _paths(body.get("updateMask")), asset)
            atomic_write(file, json.dumps(about), sync=False)

    def _check_parent(self, name: str, path: Path) -> None:
        parent = name.rpartition("/")[0]
        is_root = parent.count("/") == 2
        if not is_root and (not path.parent.is_dir() or (path.parent / IMAGE).is_file()):
            raise not_found("Asset", parent)


def check_writable_name(name: str) -> None:
    """Refuse a name that is none of an asset of the user's projects.

    Raises:
        EngineError: the name is none, or one of the public catalogue or of a legacy home.
    """
    project = "".join(name.split("/")[1:2])
    if project == "earthengine-legacy":
        raise unimplemented(f"The legacy asset '{name}' (use projects/PROJECT/assets/PATH)")
    if project == "earthengine-public":
        raise EngineError(f"Permission denied: the asset '{name}' may not be written by this account.", "PERMISSION_DENIED")
    if _NAME.fullmatch(name) is None:
        raise limits.invalid(
            f"Invalid asset name '{name[:200]}': it must be projects/PROJECT/assets/PATH of letters, numbers, hyphens and underscores."
        )


def _exists(name: str) -> EngineError:
    return EngineError(f"Cannot overwrite asset '{name}'.")


def _paths(mask: object) -> list[str]:
    if isinstance(mask, Mapping):
        mask = mask.get("paths") or []
    found = mask.split(",") if isinstance(mask, str) else list(mask) if isinstance(mask, list) else []
    return [str(path) for path in found] or ["properties", "startTime", "endTime"]


def _patched(properties: dict[str, Any], paths: list[str], asset: Json) -> dict[str, Any]:
    given: Json = asset.get("properties") or {}
    for path in paths:
        if path == "properties":
            times = {key: value for key, value in properties.items() if key in ("system:time_start", "system:time_end")}
            properties = times | dict(given)
        elif path in _TIMES:
            key = f"system:time_{_TIMES[path].removesuffix('Time')}"
            properties.pop(key, None)
            if text := asset.get(_TIMES[path]):
                properties[key] = _millis(str(text))
        elif match := _PROPERTY.fullmatch(path):
            key = match[1] or match[2]
            properties.pop(key, None)
            if given.get(key) is not None:
                properties[key] = given[key]
        else:
            raise unimplemented(f"The change of an asset's {path}")
    return properties


def _millis(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise limits.invalid(f"Invalid time '{text}': write for example 2016-05-01T00:00:00Z.") from None
    return round(moment.timestamp() * 1000)
