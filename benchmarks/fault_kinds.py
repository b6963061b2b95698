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

    def must_work(self, ended: Ended, problem: str) -> Ended:
        """Note the problem where the command failed."""
        if ended.status:
            self.problems.append(f"{problem}: exit code {ended.status}, {ended.last[:300]}")
        return ended


Fault = Callable[[Trial], AbstractContextManager[list[Ended]]]


def at_once(attempt: Callable[[Trial], list[Ended]]) -> Fault:
    """A fault that is over once the command has ended; its inputs are placed first."""

    @contextmanager
    def fault(trial: Trial) -> Iterator[list[Ended]]:
        trial.placed()
        yield attempt(trial)

    return fault


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


@at_once
def file_size(trial: Trial) -> list[Ended]:
    """No file may grow beyond a random size: the write is answered with an error, as on a full disk."""
    return [trial.run(_limit(resource.RLIMIT_FSIZE, int(2 ** trial.rng.uniform(6, 22)), resource.RLIM_INFINITY))]


@at_once
def open_files(trial: Trial) -> list[Ended]:
    """40 open files, as some systems allow."""
    return [trial.run(_limit(resource.RLIMIT_NOFILE, OPEN_FILES))]


@at_once
def memory(trial: Trial) -> list[Ended]:
    """2 GiB of address space, in a new interpreter: this one has more."""
    return [trial.run_anew(preexec_fn=_limit(resource.RLIMIT_AS, ADDRESS_SPACE))]


@at_once
def read_only_place(trial: Trial) -> list[Ended]:
    """No folder and no file that the command writes to may be written."""
    with read_only(trial.folder):
        return [trial.run(without_override)]


@at_once
def read_only_inputs(trial: Trial) -> list[Ended]:
    """The inputs may be read alone: it works."""
    with read_only(trial.fixed):
        return [trial.must_work(trial.run(without_override), "needs to write to its inputs")]


@at_once
def clock(trial: Trial) -> list[Ended]:
    """The clock jumps by up to a day, back and forth, and what is there is from tomorrow."""
    rng, real = Random(trial.rng.random()), time.time  # noqa: S311 - jumps, not secrets
    tomorrow = real() + 86_400
    for path in trial.folder.rglob("*"):
        os.utime(path, (tomorrow, tomorrow))

    def jump() -> None:
        time.time = lambda: real() + rng.uniform(-86_400, 86_400)
        time.time_ns = lambda: int(time.time() * 1e9)

    return [trial.must_work(trial.run(jump), "fails as the clock jumps")]


@at_once
def no_home(trial: Trial) -> list[Ended]:
    """A new interpreter without a home, a folder for caches and compiled loops, a temporary folder of the environment, or a language."""
    gone = dict.fromkeys(("NUMBA_CACHE_DIR", "TMPDIR"), "/nonexistent/folder")
    env = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    return [trial.must_work(trial.run_anew(env=env | gone, preexec_fn=without_override), "needs a home or a cache")]


@at_once
def deleted_folder(trial: Trial) -> list[Ended]:
    """The working folder is deleted before the command starts; the rerun is elsewhere."""

    def vanish() -> None:
        gone = tempfile.mkdtemp()
        os.chdir(gone)
        shutil.rmtree(gone)

    return [trial.run(vanish)]


@at_once
def closed_streams(trial: Trial) -> list[Ended]:
    """stdin, stdout and stderr are closed: it works, and no output has what was printed."""

    def close() -> None:
        sys.stdin = sys.stdout = sys.stderr = None  # type: ignore[assignment]
        os.closerange(0, 3)

    return [trial.must_work(trial.run(close), "fails without streams")]


@at_once
def full_stdout(trial: Trial) -> list[Ended]:
    """Stdout goes to a full disk: the work is done all the same, and the exit code shows it."""
    return [trial.run(_to_full(1))]


@at_once
def full_stderr(trial: Trial) -> list[Ended]:
    """stderr, the progress, goes to a full disk: it works."""
    return [trial.must_work(trial.run(_to_full(2)), "fails where stderr is full")]


@at_once
def two_at_once(trial: Trial) -> list[Ended]:
    """Two of the same command at the same place, the second a moment later: one waits or is refused with one line, both end."""
    words = trial.row.line(trial.fixed)
    first = fork(words, trial.folder)
    time.sleep(trial.rng.choice([0.0, trial.rng.uniform(0, trial.whole_s)]))
    ends = [fork(words, trial.folder).ended(), first.ended()]
    if all(ended.status for ended in ends):
        trial.problems.append(f"both of two failed: {ends[0].last[:200]}; {ends[1].last[:200]}")
    return ends


def signalled(*numbers: signal.Signals) -> Fault:
    """Signals at random moments, one after the other."""

    @at_once
    def fault(trial: Trial) -> list[Ended]:
        process = fork(trial.row.line(trial.fixed), trial.folder)
        for number in numbers:
            process.wait(trial.rng.uniform(0, trial.whole_s) if number != signal.SIGCONT else 0.2)
            process.send(number)
        return [process.ended()]

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


def _limit(kind: int, soft: int, hard: int | None = None) -> Callable[[], None]:
    return lambda: resource.setrlimit(kind, (soft, soft if hard is None else hard))


def _to_full(descriptor: int) -> Callable[[], int]:
    if not Path("/dev/full").exists():
        raise SkipError("no /dev/full on this system")
    return lambda: os.dup2(os.open("/dev/full", os.O_WRONLY), descriptor)
