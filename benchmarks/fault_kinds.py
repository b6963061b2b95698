"""The faults of `benchmarks.faults`: each runs a command once, or two at once, on a machine that fails in one way."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from benchmarks.commands_table import Row, place
from benchmarks.forked import Ended, fork, run

ROOT = Path(__file__).parents[1]
_OVERRIDES = (1, 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH of capabilities(7)
OPEN_FILES, ADDRESS_SPACE = 40, 2 * 2**30
LIMIT_S = 300.0


class SkipError(Exception):
    """The machine cannot have the fault; the text has the reason."""


@dataclass
class Trial:
    """A command that is to be run in `folder`, which does not exist yet. `problems` takes what a fault itself finds wrong."""

    row: Row
    fixed: Path
    folder: Path
    rng: Random
    whole_s: float
    made_bytes: int
    problems: list[str] = field(default_factory=list)

    def placed(self) -> Path:
        """The folder with what the command needs in it."""
        place(self.row, self.fixed, self.folder)
        return self.folder

    def run(self, before: Callable[[], object] | None = None) -> Ended:
        """The command, to its end, in a fork."""
        return run(self.row.line(self.fixed), self.folder, before)

    def run_anew(self, **options: object) -> Ended:
        """The command in a new interpreter."""
        words = [sys.executable, str(ROOT / "cli.py"), *self.row.line(self.fixed)]
        try:
            done = subprocess.run(words, cwd=self.folder, capture_output=True, timeout=LIMIT_S, check=False, **options)  # type: ignore[call-overload]
        except subprocess.TimeoutExpired as error:
            return Ended(-1, "", (error.stderr or b"").decode(errors="replace"))
        status = done.returncode if done.returncode >= 0 else 128 - done.returncode
        return Ended(status, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


Fault = Callable[[Trial], AbstractContextManager[list[Ended]]]


@contextmanager
def full_disk(trial: Trial) -> Iterator[list[Ended]]:
    """A file system of its own that is full after a random number of bytes; the rerun has room."""
    _needs_root("mounting a small file system")
    disk = trial.folder.parent
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", disk], capture_output=True, check=False).returncode:
        raise SkipError("this machine mounts no tmpfs")
    try:
        trial.placed()
        here = sum(path.stat().st_blocks * 512 for path in disk.rglob("*"))
        _remount(disk, here + 2**16 + int(trial.rng.uniform(0, 1.4) * trial.made_bytes))
        ended = trial.run()
        _remount(disk, 2**28)
        yield [ended]
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def _remount(folder: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", folder], check=True)


@contextmanager
def file_size(trial: Trial) -> Iterator[list[Ended]]:
    """No file may grow beyond a random size: the write is answered with an error, as on a full disk."""
    trial.placed()
    limit = int(2 ** trial.rng.uniform(6, 22))
    yield [trial.run(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY)))]


@contextmanager
def read_only_place(trial: Trial) -> Iterator[list[Ended]]:
    """No folder and no file that the command writes to may be written."""
    with read_only(trial.placed()):
        ended = trial.run(without_override)
    yield [ended]


@contextmanager
def read_only_inputs(trial: Trial) -> Iterator[list[Ended]]:
    """The inputs may be read alone: it works."""
    trial.placed()
    with read_only(trial.fixed):
        ended = trial.run(without_override)
    if ended.status:
        trial.problems.append(f"needs to write to its inputs: {ended.last[:300]}")
    yield [ended]


@contextmanager
def open_files(trial: Trial) -> Iterator[list[Ended]]:
    """40 open files, as some systems allow."""
    trial.placed()
    yield [trial.run(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES)))]


@contextmanager
def memory(trial: Trial) -> Iterator[list[Ended]]:
    """2 GiB of address space, in a new interpreter: this one has more."""
    trial.placed()
    yield [trial.run_anew(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE)))]


@contextmanager
def clock(trial: Trial) -> Iterator[list[Ended]]:
    """The clock jumps by up to a day, back and forth, and what is there is from tomorrow."""
    folder, rng, real = trial.placed(), Random(trial.rng.random()), time.time  # noqa: S311 - jumps, not secrets
    tomorrow = real() + 86_400
    for path in folder.rglob("*"):
        os.utime(path, (tomorrow, tomorrow))

    def jump() -> None:
        time.time = lambda: real() + rng.uniform(-86_400, 86_400)
        time.time_ns = lambda: int(time.time() * 1e9)

    ended = trial.run(jump)
    if ended.status:
        trial.problems.append(f"fails as the clock jumps: {ended.last[:300]}")
    yield [ended]


@contextmanager
def no_home(trial: Trial) -> Iterator[list[Ended]]:
    """A new interpreter without a home, a folder for caches and compiled loops, a temporary folder of the environment, or a language."""
    trial.placed()
    gone = dict.fromkeys(("NUMBA_CACHE_DIR", "TMPDIR"), "/nonexistent/folder")
    env = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    ended = trial.run_anew(env=env | gone, preexec_fn=without_override)
    if ended.status:
        trial.problems.append(f"needs a home or a cache: {ended.last[:300]}")
    yield [ended]


@contextmanager
def deleted_folder(trial: Trial) -> Iterator[list[Ended]]:
    """The working folder is deleted before the command starts; the rerun is elsewhere."""
    trial.placed()

    def vanish() -> None:
        gone = tempfile.mkdtemp()
        os.chdir(gone)
        shutil.rmtree(gone)

    yield [trial.run(vanish)]


@contextmanager
def closed_streams(trial: Trial) -> Iterator[list[Ended]]:
    """stdin, stdout and stderr are closed: it works, and no output has what was printed."""
    trial.placed()

    def close() -> None:
        sys.stdin = sys.stdout = sys.stderr = None  # type: ignore[assignment]
        os.closerange(0, 3)

    ended = trial.run(close)
    if ended.status:
        trial.problems.append("fails without streams")
    yield [ended]


@contextmanager
def full_stdout(trial: Trial) -> Iterator[list[Ended]]:
    """Stdout goes to a full disk: the work is done all the same, and the exit code tells."""
    trial.placed()
    yield [trial.run(lambda: os.dup2(os.open(_full(), os.O_WRONLY), 1))]


@contextmanager
def full_stderr(trial: Trial) -> Iterator[list[Ended]]:
    """stderr, the progress, goes to a full disk: it works."""
    trial.placed()
    ended = trial.run(lambda: os.dup2(os.open(_full(), os.O_WRONLY), 2))
    if ended.status:
        trial.problems.append(f"fails with exit code {ended.status} where stderr is full")
    yield [ended]


@contextmanager
def two_at_once(trial: Trial) -> Iterator[list[Ended]]:
    """Two of the same command at the same place, the second a moment later: one waits or is refused with one line, both end."""
    trial.placed()
    words = trial.row.line(trial.fixed)
    first = fork(words, trial.folder)
    time.sleep(trial.rng.choice([0.0, trial.rng.uniform(0, trial.whole_s)]))
    ends = [fork(words, trial.folder).ended(), first.ended()]
    if all(ended.status for ended in ends):
        trial.problems.append(f"both of two failed: {ends[0].last[:200]}; {ends[1].last[:200]}")
    yield ends


def signalled(*numbers: signal.Signals) -> Fault:
    """Signals at random moments, one after the other."""

    @contextmanager
    def fault(trial: Trial) -> Iterator[list[Ended]]:
        trial.placed()
        process = fork(trial.row.line(trial.fixed), trial.folder)
        for number in numbers:
            process.wait(trial.rng.uniform(0, trial.whole_s) if number != signal.SIGCONT else 0.2)
            process.send(number)
        yield [process.ended()]

    return fault


FAULTS: dict[str, Fault] = {
    "full-disk": full_disk,
    "file-size": file_size,
    "read-only-place": read_only_place,
    "read-only-inputs": read_only_inputs,
    "open-files": open_files,
    "memory": memory,
    "clock": clock,
    "no-home": no_home,
    "deleted-folder": deleted_folder,
    "closed-streams": closed_streams,
    "full-stdout": full_stdout,
    "full-stderr": full_stderr,
    "two-at-once": two_at_once,
    "interrupt": signalled(signal.SIGINT),
    "terminate": signalled(signal.SIGTERM),
    "hang-up": signalled(signal.SIGHUP),
    "suspend": signalled(signal.SIGSTOP, signal.SIGCONT),
}


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nothing in a folder may be written by its owner, until the block ends."""
    modes = {path: path.stat().st_mode for path in (folder, *folder.rglob("*")) if not path.is_symlink()}
    try:
        for path, mode in modes.items():
            path.chmod(mode & ~0o222)
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def without_override() -> None:
    """Give up root's right to ignore the permissions of files, in a fork; another user has none."""
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    head, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()  # the third version of the call; this process
    if libc.capget(head, data):
        raise OSError(ctypes.get_errno(), "capget")
    for right in _OVERRIDES:
        libc.prctl(24, right, 0, 0, 0)  # PR_CAPBSET_DROP: also of what it starts
        for at in (0, 1, 2):  # effective, permitted, inherited
            data[at] &= ~(1 << right)
    if libc.capset(head, data):
        raise OSError(ctypes.get_errno(), "capset")


def _needs_root(what: str) -> None:
    if os.geteuid() != 0:
        raise SkipError(f"{what} needs root")


def _full() -> str:
    if not Path("/dev/full").exists():
        raise SkipError("no /dev/full on this system")
    return "/dev/full"
