"""What the machine denies a command (memory, open files, disk), as one line; the signals and streams of a command."""

from __future__ import annotations

import errno
import os
import select
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


def open_standard_streams() -> None:
    """Open what the caller closed of stdin, stdout and stderr on the null device.

    Else the next file that is opened takes the number of stdout, and what a library prints ends in it.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)


def flush_stdout() -> bool:
    """Write what is left of stdout; False where its reader has gone.

    Raises:
        OSError: the disk behind it is full, or it fails otherwise; the error names stdout.
    """
    if sys.stdout is None:
        return True
    try:
        sys.stdout.flush()
        if _is_unread():  # an unbuffered stdout has nothing left to flush
            raise BrokenPipeError
    except BrokenPipeError:
        _drop_stdout()
        return False
    except OSError as error:
        _drop_stdout()
        raise OSError(error.errno, error.strerror, "stdout") from None
    return True


def say(text: str) -> None:
    """Write to stderr, as it is; a stderr that is full, closed or unread stops no work."""
    with suppress(OSError, ValueError, AttributeError):  # full or unread, closed, none
        sys.stderr.write(text)
        sys.stderr.flush()


def _is_unread() -> bool:
    """Whether stdout is a pipe whose reader has gone."""
    with suppress(OSError, ValueError):  # no file of the system behind it, or closed
        watched = select.poll()
        watched.register(sys.stdout.fileno(), 0)
        return any(state & select.POLLERR for _, state in watched.poll(0))
    return False


def _drop_stdout() -> None:
    """Let the interpreter's end not try again to write what could not be written."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def _one_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
