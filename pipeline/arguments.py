"""Arguments of commands, shared by both planes."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

Command = Callable[[argparse.Namespace], None]
AddCommand = Callable[[str, Command], argparse.ArgumentParser]


def overwrite_option(sub: argparse.ArgumentParser) -> None:
    """The option --overwrite of a command that writes files: what `cropcam.pipeline.runtime.outputs` refuses, but for inputs, folders and links."""
    sub.add_argument("--overwrite", action="store_true", help="replace files that cropcam did not make; never an input")


def folder_argument(text: str) -> Path:
    """A folder by a name of its own, also where it was called "." or "..": locks and unfinished work lie beside it, under names made of it."""
    path = Path(text)
    return path if path.name.strip(".") else path.resolve()
