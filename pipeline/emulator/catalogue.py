"""Identity of the files in the folder of exports: ids, names, times, generations and checksums, kept over restarts.

The files on disk are the truth: a file put there by hand is listed, a deleted one is not. The journal keeps the facts that
the disk does not: one small file per item, written atomically, before the item itself appears.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import BinaryIO
from urllib.parse import unquote

import google_crc32c
from pydantic import TypeAdapter, ValidationError

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.runtime.atomic import atomic_write, publish
from cropcam.pipeline.text_files import read_json_object

JOURNAL = "catalogue"
_LOG = logging.getLogger(__name__)
_PIECE = 2**20
_TICK_NS = 10**6  # times are listed in milliseconds: no two folders begin in the same one


@dataclass(frozen=True)
class Entry:
    """One file or folder as a service lists it.

    Attributes:
        path: below the folder of exports, "/" between parts.
        id: never used again for another item.
        name: as listed; the last part of `path` may carry a number behind it.
        is_folder: whether it is a folder.
        created_ns: time of its creation, nanoseconds since 1970.
        modified_ns: time of the last change of its content.
        size: in bytes; 0 for folders.
        inode: of the content.
        generation: microseconds since 1970, larger for each new content.
        md5: hexadecimal; "" until computed.
        sha256: hexadecimal; "" until computed.
        crc32c: Base64 of the big-endian number; "" until computed.
    """

    path: str
    id: str
    name: str
    is_folder: bool
    created_ns: int
    modified_ns: int = 0
    size: int = -1
    inode: int = 0
    generation: int = 0
    md5: str = ""
    sha256: str = ""
    crc32c: str = ""

    @property
    def parent(self) -> str:
        """Path of the folder that holds it."""
        return self.path.rpartition("/")[0]


class Catalogue:
    """Every item below one folder of exports; thread-safe."""

    def __init__(self, out: Path, clock: Callable[[], int] = time.time_ns) -> None:
        self._out, self._clock = out, clock
        self._lock = threading.RLock()
        self._hashing: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)  # by path: one reader computes, others wait
        self._by_path: dict[str, Entry] = {}
        self._by_id: dict[str, str] = {}
        self._last_ns = 0
        for path in sorted((out / JOURNAL).glob("*.json")):
            self._load(path)

    def path(self, entry: Entry) -> Path:
        """Where an item lies."""
        return self._out / entry.path

    def reserve(self, path: str, name: str, *, is_folder: bool = False) -> Entry:
        """Keep a path for an item that is about to appear: `publish` for a file, at once for a folder."""
        with self._lock:
            self._last_ns = max(self._clock(), self._last_ns + _TICK_NS)
            entry = self._keep(Entry(path, _new_id(), name, is_folder, self._last_ns))
            if is_folder:
                self.path(entry).mkdir(parents=True)
                return self._seen(path, self.path(entry).stat())
            return entry

    def publish(self, entry: Entry, temp_path: Path) -> Entry:
        """Move a complete file to the path of its entry, over an older one; return the entry with its checksums."""
        final = self.path(entry)
        final.parent.mkdir(parents=True, exist_ok=True)
        with temp_path.open("rb") as file:
            md5, sha256, crc32c = _checksums(file)
        with self._lock:
            publish(temp_path, final)
            return self._keep(replace(self._as_is(entry.path, final.stat()), md5=md5, sha256=sha256, crc32c=crc32c))

    def free(self, path: str) -> bool:
        """Whether neither an item nor a reserved one has the path."""
        with self._lock:
            return path not in self._by_path and not (self._out / path).exists()

    def under(self, top: str) -> list[Entry]:
        """Every item below a folder as the disk has it now, by path; hidden names and links are left out."""
        with self._lock:
            found: list[Entry] = []
            self._scan(top, found)
            seen = {entry.path for entry in found}
            for path, entry in list(self._by_path.items()):
                if path.startswith(f"{top}/") and path not in seen and entry.size >= 0:
                    self._drop(entry)
            return sorted(found, key=lambda entry: entry.path)

    def find(self, path: str) -> Entry | None:
        """The item at a path as the disk has it now; None for hidden names that no export wrote."""
        parts = path.split("/")
        with self._lock:
            if not all(parts) or ({".", ".."} & set(parts)) or (path not in self._by_path and any(part[0] == "." for part in parts)):
                return None
            try:
                stat = (self._out / path).lstat()
            except (OSError, ValueError):
                known = self._by_path.get(path)
                if known is not None and known.size >= 0:
                    self._drop(known)
                return None
            return self._seen(path, stat) if S_ISREG(stat.st_mode) or S_ISDIR(stat.st_mode) else None

    def last_seen(self, path: str) -> Entry | None:
        """The item at a path as last seen, without a look at the disk where there is one."""
        with self._lock:
            return self._by_path.get(path) or self.find(path)

    def by_id(self, item_id: str) -> Entry | None:
        """The item of an id as the disk has it now."""
        with self._lock:
            path = self._by_id.get(item_id)
            entry = None if path is None else self.find(path)
            return entry if entry is not None and entry.id == item_id else None

    def open(self, entry: Entry) -> tuple[BinaryIO, Entry] | None:
        """The file of an entry, open for reading, and the entry of exactly this content; None where it is gone."""
        with self._lock:
            try:
                file = self.path(entry).open("rb")
            except OSError:
                return None
            return file, self._seen(entry.path, os.fstat(file.fileno()))

    def with_checksums(self, entry: Entry) -> Entry | None:
        """The entry with the checksums of its content, computed once per content; None where it is gone."""
        if entry.sha256:
            return entry
        with self._hashing[entry.path]:
            while (opened := self.open(entry)) is not None:
                file, current = opened
                with file:
                    if current.sha256:
                        return current
                    md5, sha256, crc32c = _checksums(file)
                    with self._lock:
                        after = self.find(entry.path)
                        if after is not None and _content(after) == _content(current):
                            return self._keep(replace(after, md5=md5, sha256=sha256, crc32c=crc32c))
        return None

    def _scan(self, top: str, found: list[Entry]) -> None:
        try:
            items = list(os.scandir(self._out / top))
        except OSError:
            return
        for item in items:
            path = f"{top}/{item.name}"
            if item.is_symlink() or (item.name.startswith(".") and path not in self._by_path):
                continue
            try:
                found.append(self._seen(path, item.stat(follow_symlinks=False)))
            except FileNotFoundError:
                continue
            if found[-1].is_folder:
                self._scan(path, found)

    def _seen(self, path: str, stat: os.stat_result) -> Entry:
        """The entry of a path, brought up to the content that `stat` describes, and kept."""
        entry = self._as_is(path, stat)
        return entry if entry is self._by_path.get(path) else self._keep(entry)

    def _as_is(self, path: str, stat: os.stat_result) -> Entry:
        """The entry that a path has by `stat`: the known one, one of another content, or a new one."""
        is_folder = S_ISDIR(stat.st_mode)
        known = self._by_path.get(path)
        if known is None or known.is_folder != is_folder:
            last = path.rpartition("/")[2]
            known = Entry(path, _new_id(), unquote(last) if is_folder else last, is_folder, stat.st_mtime_ns)
        if is_folder:
            return known if known.size == 0 else replace(known, size=0, modified_ns=known.created_ns)
        if (known.size, known.modified_ns, known.inode) == (stat.st_size, stat.st_mtime_ns, stat.st_ino):
            return known
        return replace(
            known,
            size=stat.st_size,
            modified_ns=stat.st_mtime_ns,
            inode=stat.st_ino,
            generation=max(known.generation + 1, stat.st_mtime_ns // 1000),
            created_ns=min(known.created_ns, stat.st_mtime_ns),
            md5="",
            sha256="",
            crc32c="",
        )

    def _keep(self, entry: Entry) -> Entry:
        try:
            atomic_write(self._out / JOURNAL / f"{entry.id}.json", json.dumps(asdict(entry)), sync=False)
        except OSError:  # a full disk must not end a listing; a restarted server finds the item again, under another id
            _LOG.exception("the journal does not know %s", entry.path)
        before = self._by_path.get(entry.path)
        if before is not None and before.id != entry.id:
            self._drop(before)
        self._by_path[entry.path] = entry
        self._by_id[entry.id] = entry.path
        return entry

    def _drop(self, entry: Entry) -> None:
        self._by_path.pop(entry.path, None)
        self._by_id.pop(entry.id, None)
        (self._out / JOURNAL / f"{entry.id}.json").unlink(missing_ok=True)

    def _load(self, path: Path) -> None:
        try:
            entry = _ENTRY.validate_json(json.dumps(read_json_object(path, "an entry of the catalogue")), strict=True)
        except (DataError, ValidationError):
            path.unlink(missing_ok=True)  # not of this journal: the item is found again on disk
            return
        if entry.id != path.stem or not self._is_there(entry):
            path.unlink(missing_ok=True)
            return
        self._by_path[entry.path] = entry
        self._by_id[entry.id] = entry.path
        self._last_ns = max(self._last_ns, entry.created_ns)

    def _is_there(self, entry: Entry) -> bool:
        try:
            return not Path(entry.path).is_absolute() and ".." not in Path(entry.path).parts and self.path(entry).exists()
        except (OSError, ValueError):  # no name of a file
            return False


_ENTRY = TypeAdapter(Entry)


def _new_id() -> str:
    """33 characters that begin with "1", as Drive's ids do."""
    return "1" + base64.urlsafe_b64encode(os.urandom(24)).decode()


def _content(entry: Entry) -> tuple[int, int, int]:
    return entry.size, entry.modified_ns, entry.inode


def _checksums(file: BinaryIO) -> tuple[str, str, str]:
    """md5 and sha256 (hexadecimal) and crc32c (Base64) of a file, read in pieces."""
    md5, sha256, crc = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
    while piece := file.read(_PIECE):
        md5.update(piece)
        sha256.update(piece)
        crc = google_crc32c.extend(crc, piece)
    crc32c = base64.b64encode(crc.to_bytes(4, "big")).decode()
    return md5.hexdigest(), sha256.hexdigest(), crc32c
