"""Commands in forks of one process that has imported what they need: each starts at once, and nothing it does stays."""

from __future__ import annotations

import hashlib
import importlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

LIMIT_S = 300.0  # for what takes seconds on an idle machine


def learn(words: list[str], folder: Path) -> Ended:
    """Run a command, and import here what it imported, so that later forks need not."""
    with tempfile.TemporaryFile() as file:

        def note() -> None:
            names = sorted(name for name in sys.modules if name.startswith("cropcam.") or name.count(".") < 2)
            os.write(file.fileno(), "\n".join(names).encode())

        ended = fork(words, folder, after=note).ended()
        file.seek(0)
        for name in file.read().decode().splitlines():
            with suppress(ImportError, AttributeError, ValueError):  # made while another was imported
                importlib.import_module(name)
    return ended


@dataclass
class Ended:
    """How a command ended: its exit status as a shell has it (128 + N after signal N), and what it printed."""

    status: int
    out: str
    err: str

    @property
    def last(self) -> str:
        """The last line on stderr."""
        return (self.err.splitlines() or [""])[-1]


@dataclass
class Forked:
    """A command in a fork."""

    pid: int
    out: BinaryIO
    err: BinaryIO
    started: float = field(default_factory=time.monotonic)
    status: int | None = None

    def poll(self) -> bool:
        """Whether it has ended."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = _shell_status(status)
        return self.status is not None

    def wait(self, limit_s: float = LIMIT_S) -> bool:
        """Wait for its end; whether it came in time."""
        limit = time.monotonic() + limit_s
        pause_s = 0.0005
        while not self.poll():
            if time.monotonic() >= limit:
                return False
            time.sleep(min(pause_s, max(limit - time.monotonic(), 0)))
            pause_s = min(pause_s * 1.2, 0.02)
        return True

    def send(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if not self.poll():
            os.kill(self.pid, number)

    def ended(self, limit_s: float = LIMIT_S) -> Ended:
        """Wait for its end; one that hangs is killed, and has the status -1."""
        hangs = not self.wait(limit_s)
        if hangs:
            self.send(signal.SIGKILL)
            self.wait()
        found = []
        for file in (self.out, self.err):
            file.seek(0)
            found.append(file.read().decode(errors="replace"))
            file.close()
        return Ended(-1 if hangs else self.status or 0, *found)


def fork(words: list[str], folder: Path, before: Callable[[], object] | None = None, after: Callable[[], object] | None = None) -> Forked:
    """Start a command in a folder; `before` runs in the fork, when its stdout and stderr are files, `after` at its end."""
    out, err = (tempfile.TemporaryFile() for _ in range(2))  # noqa: SIM115 - read at the end of the fork
    sys.stdout.flush()
    sys.stderr.flush()
    if pid := os.fork():
        return Forked(pid, out, err)
    status = 70
    try:
        os.setpgid(0, 0)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number, file in ((1, out), (2, err)):
            os.dup2(file.fileno(), number)
        os.chdir(folder)
        if before:
            before()
        status = _run(words)
        if after:
            after()
    except BaseException as error:  # noqa: BLE001 - a fork ends here, whatever happened
        os.write(2, f"{error!r}\n".encode())
    finally:
        os._exit(status)


def run(words: list[str], folder: Path, before: Callable[[], object] | None = None) -> Ended:
    """A command, to its end."""
    return fork(words, folder, before).ended()


def digests(folder: Path) -> dict[str, str]:
    """sha256 of every file below a folder, hidden ones too; "" for each folder, the target for each link."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    return found


def _run(words: list[str]) -> int:
    from cropcam import cli  # noqa: PLC0415 - after `before`

    status = _entry(cli.main, words)
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError):  # closed; full, which the command has reported
            stream.flush()
    return status


def _entry(main: Callable[[list[str]], int], words: list[str]) -> int:
    try:
        return main(words)
    except SystemExit as stop:
        return int(stop.code or 0)


def _shell_status(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
