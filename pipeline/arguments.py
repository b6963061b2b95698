"""Arguments of commands, shared by both planes."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from cropcam.pipeline.suggestions import nearest

Command = Callable[[argparse.Namespace], int | None]  # an exit code, if not 0
AddCommand = Callable[[str, Command], argparse.ArgumentParser]
COMMON = "-q, -v, --log-file FILE, --config FILE and --debug go with every command: cropcam --help"


class UsageError(SystemExit):
    """A command line that argparse refused, after it printed why."""

    def __init__(self, message: str) -> None:
        super().__init__(2)
        self.message = message


class Parser(argparse.ArgumentParser):
    """A parser whose refusal has its message."""

    def error(self, message: str) -> NoReturn:
        """Print usage and message on stderr, and end with 2.

        Raises:
            UsageError: always.
        """
        if wrong := re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message):
            near = nearest(wrong[1], re.findall(r"[\w-]+", wrong[2]))
            message += f"; did you mean {near}?" if near else ""
        self.print_usage(sys.stderr)
        self._print_message(f"{self.prog}: error: {message}\n", sys.stderr)
        raise UsageError(message)


class _Version(argparse.Action):
    """Print versions and end; torch is looked up without importing it."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:  # noqa: ANN401 - as argparse calls it
        parser._print_message(f"{version_line()}\n", sys.stdout)
        parser.exit()


def version_line() -> str:
    """The versions that a report of a fault needs."""
    import platform  # noqa: PLC0415 - of --version alone
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    from cropcam.pipeline import __version__  # noqa: PLC0415

    try:
        torch = f"torch {version('torch')}"
    except PackageNotFoundError:
        torch = "no torch"
    return f"cropcam {__version__}, Python {platform.python_version()}, {torch}, {platform.system()} {platform.machine()}"


_FLAGS = frozenset({"-q", "--quiet", "-v", "--verbose", "--debug"})
_VALUES = ("--log-file", "--config")


def common_options(parser: argparse.ArgumentParser) -> None:
    """Options of the program, which go with every command; `common_first` lets them stand after its name, too."""
    parser.add_argument("-q", "--quiet", action="store_true", help="only warnings, errors and the last result lines")
    parser.add_argument("-v", "--verbose", action="store_true", help="also what is read, sources of settings, timings")
    parser.add_argument("--log-file", type=Path, metavar="FILE", help="append JSON lines to FILE (CROPCAM_LOG_FILE)")
    parser.add_argument("--config", metavar="FILE", help="settings (CROPCAM_CONFIG; default: nearest cropcam.toml)")
    parser.add_argument("--debug", action="store_true", help="an error's traceback, Earth Engine's whole answer")
    parser.add_argument("--version", nargs=0, action=_Version, help="show versions and exit")


def common_first(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The options of every command in a command line, wherever they stand, and the other words.

    They are moved before the command's name, where the program's parser has them, instead of being declared again by each command.

    >>> common_first(["train", "s.zarr", "-q", "--log-file", "log", "--", "-v"])
    (['-q', '--log-file', 'log'], ['train', 's.zarr', '--', '-v'])
    """
    end = words.index("--") if "--" in words else len(words)
    common, others, place = [], [], 0
    while place < end:
        word = words[place]
        if word in _FLAGS or word.startswith(tuple(f"{name}=" for name in _VALUES)):
            common.append(word)
        elif word in _VALUES:
            common += words[place : place + 2]
            place += 1
        else:
            others.append(word)
        place += 1
    return common, [*others, *words[end:]]


def json_option(sub: argparse.ArgumentParser) -> None:
    """The option --json of a command that ends with `cropcam.pipeline.runtime.console.show`."""
    sub.add_argument("--json", action="store_true", help="print one JSON object instead (docs/json.md)")


def parsers_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parser of each command by its name, out of that of the program."""
    actions = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(actions[0].choices) if actions else {}


def study_argument(
    sub: argparse.ArgumentParser, name: str = "study", metavar: str = "STUDY", text: str = "a preset, or a TOML file"
) -> None:
    """The argument STUDY, and the option --set, whose texts are `cropcam.pipeline.study.changes.parse_changes`'s."""
    sub.add_argument(name, metavar=metavar, help=text)
    changed = "a key of the study with another value, as area.scale_m=10; may be repeated"
    sub.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE", help=changed)


def study_words(args: argparse.Namespace, name: str = "study") -> list[str]:
    """STUDY and its changes as words of a next command."""
    return [getattr(args, name), *(word for each in args.changes for word in ("--set", each))]


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
