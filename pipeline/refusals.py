"""How a command's failure is told: one line and an exit code, the traceback only of a bug or with `--debug`; warnings, one line each."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from typing import TextIO

from cropcam.pipeline.errors import CropcamError, CropcamWarning, DataError
from cropcam.pipeline.runtime.console import event, show_error
from cropcam.pipeline.runtime.machine import denial, say
from cropcam.pipeline.runtime.terminal import one_line, shortened

BUG, INTERRUPTED = 1, 130


def explain(error: Exception, args: argparse.Namespace) -> int:
    """Tell what was wrong on stderr, in the log file and with --json on stdout; the exit code."""
    import traceback  # noqa: PLC0415 - a command that succeeds needs neither

    from cropcam.pipeline.earthengine.error_texts import without_secrets  # noqa: PLC0415

    known = isinstance(error, CropcamError)
    lines = error.lines if isinstance(error, CropcamError) else (denial(error, batches="batch_size" in vars(args)),)
    line = lines[0]
    trace = without_secrets("".join(traceback.format_exception(error)))
    if args.debug or line is None:
        say(trace)
    if line is None:
        say("cropcam: this is a bug; please report the lines above\n")
        text = f"a bug: {without_secrets(one_line(f'{type(error).__name__}: {error}'))}"
        event("error", "error", message=text, traceback=trace)
        show_error(text, BUG)
        return BUG
    code = error.exit_code if isinstance(error, CropcamError) else DataError.exit_code
    refuse(line, code, *lines[1:])
    if known and args.debug:
        say("\n".join(_raw_answers(error)))
    return code


def refuse(line: str, code: int, *problems: str | None) -> None:
    """One line on stderr and one for each problem; the same in the log file, and with --json as an object on stdout."""
    line, found = shortened(line), [shortened(problem) for problem in problems if problem]
    say("".join([f"cropcam: {one_line(line)}\n", *(f"  {one_line(problem)}\n" for problem in found)]))
    line = f"{line}: {'; '.join(found)}" if found else line
    event("error", "error", message=line)
    show_error(line, code)


def interrupted(args: argparse.Namespace) -> int:
    """Tell that Ctrl-C or a signal ended the command; the exit code."""
    again = "run the same command again with --resume" if "resume" in vars(args) else "run the same command again"
    line = f"interrupted; nothing is half-written: {again} to go on"
    say(f"{line}\n")
    event("error", "error", message=line)
    show_error(line, INTERRUPTED)
    return INTERRUPTED


def show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None, line: str | None = None
) -> None:
    """Ours are for users, one line each; those of libraries are for developers and look as Python writes them."""
    is_ours = issubclass(category, CropcamWarning)
    text = f"cropcam: warning: {one_line(str(message))}\n" if is_ours else warnings.formatwarning(message, category, filename, lineno, line)
    event("warning", "warning", message=str(message), **({} if is_ours else {"category": category.__name__}))
    if file:
        file.write(text)
    else:
        say(text)


def _raw_answers(error: BaseException | None) -> Iterator[str]:
    """The whole answers of Earth Engine behind an error, each with a heading, without secrets."""
    while error is not None:
        if raw := getattr(error, "raw", ""):
            yield f"Earth Engine's answer, whole:\n{raw}\n"
        error = error.__cause__ or error.__context__
