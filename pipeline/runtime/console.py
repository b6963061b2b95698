"""What a command tells: on stdout its result, on stderr how the work goes, all of it in the log file. The one place of -q, -v, --json and --log-file.

Commands and stages call the functions below; how much of it is shown was chosen once, by `console`. Without that, as in Python, all but
details is shown.
"""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, TextIO

from cropcam.pipeline.runtime.log_file import LogFile
from cropcam.pipeline.runtime.machine import flush_stdout, say
from cropcam.pipeline.runtime.terminal import one_line

WARNING = "warning: "  # a line of a log that begins so is shown with -q too


class Verbosity(IntEnum):
    """How much a command shows on stderr."""

    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


@dataclass
class _Console:
    verbosity: Verbosity = Verbosity.NORMAL
    is_json: bool = False
    log: LogFile | None = None
    stdout: TextIO | None = None  # of the document, where what is printed goes to stderr
    has_shown: bool = False
    started: float = field(default_factory=time.monotonic)


_console = _Console()


@contextmanager
def console(verbosity: Verbosity = Verbosity.NORMAL, *, is_json: bool = False, log: LogFile | None = None) -> Iterator[None]:
    """How much the command of the block shows, and where its log goes.

    Args:
        verbosity: of stderr.
        is_json: stdout has exactly one JSON object, that of `show` or of `show_error`; what else is printed, by libraries too, goes to stderr.
        log: an open log file; closed with the block.
    """
    global _console  # noqa: PLW0603 - one command a process
    before, _console = _console, _Console(verbosity, is_json, log, sys.stdout)
    try:
        if is_json:
            with redirect_stdout(sys.stderr):
                yield
        else:
            yield
    finally:
        _console = before
        if log:
            log.close()


def is_quiet() -> bool:
    """Whether progress is not shown."""
    return _console.verbosity == Verbosity.QUIET


def is_json() -> bool:
    """Whether `show` will print a document."""
    return _console.is_json


def event(name: str, level: str = "info", **fields: Any) -> None:  # noqa: ANN401 - JSON values
    """A line of the log file alone."""
    if (log := _console.log) is not None:
        log.write(level, name, **fields)
        if not log.is_whole:
            _console.log = None
            say("cropcam: warning: the log file cannot be written any more; the work goes on without it\n")


def seconds() -> float:
    """Since the command began."""
    return time.monotonic() - _console.started


def note(text: str, *, stage: str = "", shown: Callable[[str], object] | None = None) -> None:
    """A line about the work: not shown with -q, unless it is a warning.

    Args:
        text: one line.
        stage: of the work; begins the line.
        shown: where a bar or a table is on the screen: prints a line above it.
    """
    text, is_warning = one_line(text), text.startswith(WARNING)
    fields = {"stage": stage} if stage else {}
    event("warning" if is_warning else "message", "warning" if is_warning else "info", message=text.removeprefix(WARNING), **fields)
    if is_quiet() and not is_warning:
        return
    if shown:
        shown(text)
    else:
        say(f"{stage:<9} {text}\n" if stage else f"{text}\n")


def detail(text: str, name: str = "message", **fields: Any) -> None:  # noqa: ANN401 - JSON values
    """A line that is shown with -v alone."""
    event(name, "debug", message=text, **fields)
    if _console.verbosity == Verbosity.VERBOSE:
        say(f"{one_line(text)}\n")


def show(document: Mapping[str, Any], text: str = "", *, places: Sequence[Path | str] = (), then: str = "") -> None:
    """The end of a command on stdout: with --json the document; with -q the places, or the text where there are none; else all but the document.

    Args:
        document: JSON values; docs/json.md describes that of each command.
        text: figures, for reading.
        places: files, folders and addresses of the results, the main one first.
        then: the command that comes next; it works as it stands.
    """
    _console.has_shown = True
    event("result", places=[str(place) for place in places], next=then)
    if _console.is_json:
        _write(json.dumps(document, indent=2))
        return
    if is_quiet():
        _write("\n".join(map(str, places)) or text)
        return
    lines = [text] if text else []
    lines += [f"results: {', '.join(map(str, places))}"] if places else []
    lines += [f"next: {then}"] if then else []
    _write("\n".join(lines))


def show_error(message: str, exit_code: int) -> None:
    """With --json, the object on stdout of a command that failed before it had a document; the line on stderr is another's."""
    if _console.is_json and not _console.has_shown:
        _write(json.dumps({"error": message, "exit_code": exit_code}, indent=2))


def _write(text: str) -> None:
    with redirect_stdout(_console.stdout if _console.is_json and _console.stdout else sys.stdout):
        sys.stdout.write(f"{text}\n")
        flush_stdout()


def command_line(*words: object) -> str:
    """A command line of cropcam's that can be copied to a shell. Paths that begin with a dash get a folder before them.

    >>> command_line("train", Path("a store.zarr"), "--run", Path("-run"))
    "cropcam train 'a store.zarr' --run ./-run"
    """
    texts = [f"./{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word) for word in words]
    return shlex.join(["cropcam", *texts])


def free_name(path: Path) -> Path:
    """The first of NAME, NAME-2, NAME-3 ... that is not there, for the output of a next command.

    >>> free_name(Path("/no such folder/map.tif"))
    PosixPath('/no such folder/map.tif')
    """
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free
