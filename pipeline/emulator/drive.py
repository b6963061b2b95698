"""A user's Drive over the folder of exports: folders found by name, files of equal names side by side.

On disk a second folder or file of one name carries a number: `crops (1)`, `image (1).tif`. Listed are the names without it.

Source: Earth Engine guide "Exporting images" and the documentation of Export.image.toDrive: a folder is matched by name at
any level, the most recent of several is taken, a new one is made in the root where there is none.
"""

from __future__ import annotations

import itertools
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from cropcam.pipeline.emulator.catalogue import Catalogue, Entry

ROOT_ID = "0AEmbeddedEngineDrive"
FOLDER_TYPE = "application/vnd.google-apps.folder"
_TOP = "drive"
_TYPES = {"tif": "image/tiff", "json": "application/json", "csv": "text/csv", "txt": "text/plain"}


class Drive:
    """The files and folders of one user."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._lock = threading.Lock()  # two tasks find or make one folder, and take two names

    def folder(self, name: str, *, always_new: bool = False) -> Entry | None:
        """The folder that an export to `name` writes to, made where there is none; None is the root.

        Args:
            name: of the folder; "" for the root.
            always_new: make one although another of the name exists, as tasks that run at once do.
        """
        if not name:
            return None
        with self._lock:
            same = [entry for entry in self._catalogue.under(_TOP) if entry.is_folder and entry.name == name]
            if same and not always_new:
                return max(same, key=lambda entry: entry.created_ns)
            return self._catalogue.reserve(self._free(_TOP, local_name(name), ""), name, is_folder=True)

    def add(self, folder: Entry | None, name: str, temp_path: Path) -> Entry:
        """Put a complete file into a folder, beside any other of its name."""
        stem, dot, suffix = name.rpartition(".")
        with self._lock:
            path = self._free(_TOP if folder is None else folder.path, stem or name, dot + suffix if stem else "")
            entry = self._catalogue.reserve(path, name)
        return self._catalogue.publish(entry, temp_path)

    def uri(self, folder: Entry | None) -> str:
        """The destination URI of a task that writes to a folder.

        Source: a printed task of the service in the documentation of cedar, "Pre-ARD Order Tracking" (earthengine-api 0.1.180).
        """
        return f"https://drive.google.com/#folders/{ROOT_ID if folder is None else folder.id}"

    def files(self) -> list[Entry]:
        """Every file and folder but the root, the newest first."""
        return sorted(self._catalogue.under(_TOP), key=lambda entry: (-entry.modified_ns, entry.path))

    def item(self, item_id: str) -> Entry | None:
        """A file or folder by its id."""
        entry = self._catalogue.by_id(item_id)
        return entry if entry is not None and entry.path.startswith(f"{_TOP}/") else None

    def describe(self, entry: Entry, *, checksums: bool = True) -> dict[str, Any]:
        """The File resource of an item.

        Source: Drive API v3 reference, files.
        """
        resource: dict[str, Any] = {
            "kind": "drive#file",
            "id": entry.id,
            "name": entry.name,
            "mimeType": FOLDER_TYPE if entry.is_folder else media_type(entry.name),
            "parents": [self._parent_id(entry)],
            "createdTime": rfc3339(entry.created_ns),
            "modifiedTime": rfc3339(entry.modified_ns),
            "trashed": False,
            "explicitlyTrashed": False,
            "ownedByMe": True,
            "spaces": [_TOP],
            "version": str(entry.generation or 1),
        }
        if entry.is_folder:
            return resource
        if checksums:
            whole = self.with_checksums(entry)
            resource |= {"md5Checksum": whole.md5, "sha256Checksum": whole.sha256}
        return resource | {
            "size": str(entry.size),
            "quotaBytesUsed": str(entry.size),
            "originalFilename": entry.name,
            "fileExtension": entry.name.rpartition(".")[2],
            "fullFileExtension": entry.name.rpartition(".")[2],
            "capabilities": {"canDownload": True},
        }

    def open(self, entry: Entry) -> tuple[BinaryIO, Entry] | None:
        """The open file of an entry, and the entry of exactly this content; None where it is gone."""
        return self._catalogue.open(entry)

    def with_checksums(self, entry: Entry) -> Entry:
        """The entry with the checksums of its content."""
        return entry if entry.is_folder else self._catalogue.with_checksums(entry) or entry

    def _parent_id(self, entry: Entry) -> str:
        parent = None if entry.parent == _TOP else self._catalogue.last_seen(entry.parent)
        return ROOT_ID if parent is None else parent.id

    def _free(self, folder: str, stem: str, suffix: str) -> str:
        names = itertools.chain([f"{stem}{suffix}"], (f"{stem} ({number}){suffix}" for number in itertools.count(1)))
        return next(path for path in (f"{folder}/{name}" for name in names) if self._catalogue.free(path))


def local_name(folder: str) -> str:
    """A Drive folder's name as one local folder name: on Drive "a/b" is one name."""
    name = folder.replace("%", "%25").replace("/", "%2F")
    return name.replace(".", "%2E", 1) if name.startswith(".") else name


def media_type(name: str) -> str:
    """The MIME type of a file by the end of its name."""
    return _TYPES.get(name.rpartition(".")[2].lower(), "application/octet-stream")


def rfc3339(time_ns: int) -> str:
    """A time as the file services write it: UTC, in milliseconds."""
    return datetime.fromtimestamp(time_ns // 10**6 / 1000, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


__all__ = ["FOLDER_TYPE", "ROOT_ID", "Drive", "local_name", "media_type", "rfc3339"]
