"""What the machine denies a command (memory, open files, disk), as one line; the signals and streams of a command."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# As torch, tensorstore, the C++ library and the dynamic loader put it, in lower case. The memory of an import fails as an ImportError or OSError.
_MEMORY = (
    "allocate memory", "bad_alloc", "out of memory", "out_of_memory", "failed to map segment", "unable to allocate", "failed to allocate",
    "can't start new thread", "resource temporarily unavailable", "memory allocation",
)  # fmt: skip
_FILES = (errno.EMFILE, errno.ENFILE)
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_GO_ON = "then run the same command again"
_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))  # Windows has no SIGHUP


def denial(error: BaseException, *, batches: bool = False) -> str | None:
    """One line where the machine denied something: what, where, and the next step. None where the error is something else.

    Args:
        error: any exception.
        batches: whether the command has --batch-size.
    """
    text = _one_line(error)
    if is_memory(error):
        smaller = "lower --batch-size, or " if batches else ""
        return f"out of memory ({text}); {smaller}free memory, {_GO_ON}"
    if isinstance(error, RecursionError):
        return f"an input is nested too deeply ({sys.getrecursionlimit():,} levels at most); simplify it, {_GO_ON}"
    if not isinstance(error, OSError):
        return None
    where = f"{error.filename}: " if error.filename else ""
    problem = f"{where}{error.strerror or text}"
    if error.errno in _FILES:
        return f"{problem}; raise the limit of open files (ulimit -n), {_GO_ON}"
    if error.errno in _DISK:
        return f"{problem}; free space or choose another place, {_GO_ON}"
    return f"{problem}; check the place and its permissions, or choose another, {_GO_ON}"


def is_memory(error: BaseException) -> bool:
    """Whether memory, or a limit of it, was the reason."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    plain = isinstance(error, (RuntimeError, ImportError, OSError, ValueError, SystemError)) and not getattr(error, "errno", None)
    return plain and any(part in str(error).lower() for part in _MEMORY)


@contextmanager
def signals_as_interrupt() -> Iterator[None]:
    """SIGTERM and SIGHUP end the block as Ctrl-C does, with a KeyboardInterrupt. In the main thread alone; `nohup` is respected."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    ours = [number for number, handler in before.items() if handler == signal.SIG_DFL]
    for number in ours:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, before[number])


def flush_stdout() -> None:
    """Write what is left of stdout, before the interpreter's end does.

    Raises:
        OSError: the disk behind it is full, or it fails otherwise; the error names stdout.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        with suppress(OSError, ValueError):  # let the interpreter's end not try again
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, sys.stdout.fileno())
            os.close(null)
        raise OSError(error.errno, error.strerror, "stdout") from None


def peak_memory_mb() -> float:
    """The most memory that this process has held so far."""
    import resource  # noqa: PLC0415 - of -v alone

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)  # bytes there, KiB elsewhere


def say(text: str) -> None:
    """Write to stderr, as it is; a stderr that is full, closed or unread stops no work."""
    with suppress(OSError, ValueError, AttributeError):  # full or unread, closed, none
        sys.stderr.write(text)
        sys.stderr.flush()


def _one_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
