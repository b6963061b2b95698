"""Destinations of an export: a Drive folder, a Cloud Storage prefix, an Earth Engine asset, or a local folder.

Source: Earth Engine API reference, "Export.image.toDrive", "Export.image.toCloudStorage", "Export.image.toAsset"; Cloud Storage
documentation, "Bucket names".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cropcam.pipeline.errors import ConfigError

_NAME = re.compile(r"^[A-Za-z0-9_-]+$")  # characters that Earth Engine allows in descriptions and file prefixes
_BUCKET = re.compile(r"^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$")
_ASSET = re.compile(r"^(projects/(?P<project>[a-z][a-z0-9:.-]{4,}[a-z0-9])/assets/)?(?P<path>[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*)$")
_FOLDER_LENGTH = 255


@dataclass(frozen=True)
class Drive:
    """A Google Drive folder. Earth Engine matches it by name at any level: the newest of several folders, or a new folder."""

    folder: str

    def __str__(self) -> str:
        return f"drive:{self.folder}"


@dataclass(frozen=True)
class CloudStorage:
    """A Cloud Storage bucket and the folder-like prefix of the objects' names ("" for none)."""

    bucket: str
    prefix: str

    def __str__(self) -> str:
        return f"gs://{self.bucket}/{self.prefix}".rstrip("/")

    def object_prefix(self, name: str) -> str:
        """The object name prefix of one task's files."""
        return f"{self.prefix}/{name}" if self.prefix else name


@dataclass(frozen=True)
class Asset:
    """An Earth Engine image: its path below the assets of `project`, or of the session's project where that is ""."""

    path: str
    project: str = ""

    def __str__(self) -> str:
        return f"asset:{self.name(self.project) if self.project else self.path}"

    def name(self, project: str) -> str:
        """The full name, `projects/PROJECT/assets/PATH`."""
        return f"projects/{self.project or project}/assets/{self.path}"


Destination = Drive | CloudStorage | Asset


def parse_destination(text: str, option: str = "--to") -> Destination | Path:
    """`drive:FOLDER`, `gs://BUCKET/PREFIX`, `asset:PATH`, or else a local folder; `option` is named in the error.

    Raises:
        ConfigError: the name has characters that the service does not accept.
    """
    if text.startswith("drive:"):
        return _drive(text.removeprefix("drive:"), option)
    if text.startswith("gs://"):
        return _cloud_storage(text.removeprefix("gs://"), option)
    if text.startswith("asset:"):
        return _asset(text.removeprefix("asset:"), option)
    if not text or re.match(r"^[a-z][a-z0-9+.-]+://", text):
        raise ConfigError(f"{option} {text!r}: write drive:FOLDER, gs://BUCKET/PREFIX, asset:PATH or a local folder")
    return Path(text)


def check_name(kind: str, name: str, length: int = 100) -> None:
    """Refuse a task description or file prefix that Earth Engine does not accept.

    Raises:
        ConfigError: naming the first offending character or the length.
    """
    bad = re.search(r"[^A-Za-z0-9_-]", name)
    if bad:
        raise ConfigError(f"{kind} {name!r}: {bad.group()!r} is not allowed; use letters, digits, - and _")
    if not 0 < len(name) <= length:
        raise ConfigError(f"{kind} {name!r}: {len(name)} characters; 1 to {length} are allowed")


def _drive(folder: str, option: str) -> Drive:
    if not folder.strip() or folder != folder.strip():
        raise ConfigError(f"{option} drive:FOLDER: the folder's name is missing or begins or ends with a blank")
    if "/" in folder or "\\" in folder:
        raise ConfigError(f"{option} drive:{folder}: Drive takes 'a/b' as one name, not as a path; give the name of one folder")
    if len(folder) > _FOLDER_LENGTH or not folder.isprintable():
        raise ConfigError(f"{option} drive:{folder[:40]!r}: at most {_FOLDER_LENGTH} printable characters")
    return Drive(folder)


def _cloud_storage(rest: str, option: str) -> CloudStorage:
    bucket, _, prefix = rest.partition("/")
    if not _BUCKET.match(bucket) or ".." in bucket:
        raise ConfigError(f"{option} gs://{rest}: {bucket!r} is no bucket name (3 to 222 small letters, digits, - _ .)")
    prefix = prefix.rstrip("/")
    parts = prefix.split("/") if prefix else []
    for part in parts:
        if not _NAME.match(part):
            raise ConfigError(f"{option} gs://{rest}: {part!r} in the prefix; use letters, digits, - and _ between single slashes")
    if len(prefix) > 800:
        raise ConfigError(f"{option} gs://{bucket}/{prefix[:40]}...: the prefix has {len(prefix)} characters; 800 are allowed")
    return CloudStorage(bucket, prefix)


def _asset(text: str, option: str) -> Asset:
    parts = _ASSET.match(text)
    if parts is None or (text.startswith(("users/", "projects/")) and not parts["project"]):
        raise ConfigError(
            f"{option} asset:{text}: write asset:NAME or asset:projects/PROJECT/assets/NAME, of letters, digits, - and _ between single slashes"
        )
    return Asset(parts["path"], parts["project"] or "")
