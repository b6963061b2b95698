"""What a folder holds: every name, hidden ones too, and every byte. "Nothing is left" means that two of them are equal."""

from __future__ import annotations

import os
from pathlib import Path


def snapshot(folder: Path) -> dict[str, str | bytes]:
    """The content of each file, "folder", or the target of a link, by path relative to the folder; links are not followed."""
    found: dict[str, str | bytes] = {}
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(root, name)
            content: str | bytes = f"-> {path.readlink()}" if path.is_symlink() else "folder" if path.is_dir() else "special"
            found[str(path.relative_to(folder))] = path.read_bytes() if path.is_file() and not path.is_symlink() else content
    return found
