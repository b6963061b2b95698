"""Arguments of commands, shared by both planes."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

Command = Callable[[argparse.Namespace], None]
AddCommand = Callable[[str, Command], argparse.ArgumentParser]


def study_argument(sub: argparse.ArgumentParser, name: str = "study", metavar: str = "STUDY", text: str | None = None) -> None:
    """The argument STUDY, and the option --set, whose texts are `cropcam.pipeline.study.changes.parse_changes`'s."""
    sub.add_argument(name, metavar=metavar, help=text)
    changed = "a key of the study with another value, as area.scale_m=10; may be repeated"
    sub.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE", help=changed)


def study_words(args: argparse.Namespace) -> str:
    """STUDY and its changes in a command line that can be copied to a shell."""
    return " ".join([shlex.quote(args.study), *(f"--set {shlex.quote(each)}" for each in args.changes)])


def overwrite_option(sub: argparse.ArgumentParser) -> None:
    """The option --overwrite of a command that writes files: what `cropcam.pipeline.runtime.outputs` refuses, but for inputs, folders and links."""
    sub.add_argument("--overwrite", action="store_true", help="replace files that cropcam did not make; never an input")


def seed_argument(text: str) -> int:
    """A seed: a whole number from 0 to 2^63 - 1, as numpy and torch take them."""
    value = int(text)
    if not 0 <= value < 2**63:
        raise argparse.ArgumentTypeError(f"{text}: give a whole number from 0 to 9223372036854775807")
    return value


def empty_argument(words: Sequence[str]) -> str | None:
    """One line about the first word of a command line that is empty, as an unset variable gives it; None without one."""
    for place, word in enumerate(words):
        name, _, value = word.partition("=") if word.startswith("--") else ("", "", word)
        if not value.strip() and (not name or "=" in word):
            before = name or (words[place - 1] if place and words[place - 1].startswith("--") else f"argument {place + 1}")
            return f"{before} is empty (an unset variable?); give a value, or leave it out"
    return None


def folder_argument(text: str) -> Path:
    """A folder by a name of its own, also where it was called "." or "..": locks and unfinished work lie beside it, under names made of it."""
    path = Path(text)
    return path if path.name.strip(".") else path.resolve()
