"""One input tried: what the command did, and whether that is right.

Right is: exit code 0, 2, 3, 4 or 5; a refusal is one line, and one for each problem of a study, without traceback, and leaves what was there and nothing more; memory, time and
threads stay bounded.
"""

from __future__ import annotations

import fnmatch
import hashlib
import io
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from cropcam import cli
from fuzz.kinds import Case, case_of, way_of

MOST_BYTES = 2 * 2**30  # resident, all in all
ADDRESS_BYTES = 3 * 2**30  # of address space that a command may take beside what the process has
CPU_S, WALL_S = 20, 60
RIGHT = (0, 2, 3, 4, 5)
NOT_REFUSED = (0, 5)  # 5: export tasks that are not done yet
LONGEST_LINE = 2000
_USAGE = re.compile(r"cropcam( [a-z-]+)?: ")
Snapshot = Mapping[str, str]


@dataclass(frozen=True)
class Trial:
    """What one input did. `fault`: what is wrong, empty where nothing is; `peak_bytes`: resident memory of the process."""

    case: Case
    code: int
    fault: str
    last_line: str
    peak_bytes: int


def snapshot(folder: Path) -> Snapshot:
    """The digest of every file in a folder, by its path; of links and other things their kind."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink() or not path.is_file():
            found[name] = "folder" if path.is_dir() and not path.is_symlink() else "other"
        else:
            found[name] = hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()
    return found


def copied(fixture: Path, folder: Path, kind: str, number: int) -> Case:
    """Copy what an input needs from the fixture into a new folder, and change it."""
    folder.mkdir(parents=True)
    for name in way_of(kind, number).items:
        source = fixture / name
        if source.is_dir():
            shutil.copytree(source, folder / name)
        else:
            shutil.copy2(source, folder / name)
    return case_of(kind, number, folder)


def forked(fixture: Path, folder: Path, kind: str, number: int) -> Trial:
    """Try an input in a child of this process, which has no thread. The folder stays."""
    case = copied(fixture, folder, kind, number)
    before, (out, err) = snapshot(folder), (folder.with_name(f"{folder.name}.{end}") for end in ("out", "err"))
    pid = os.fork()
    if not pid:
        _child(case, folder, out, err)
    _, status, used = os.wait4(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    peak = used.ru_maxrss * 1024
    text = err.read_text("utf-8", "replace")
    return judged(case, code, text, before, snapshot(folder), peak)


def here(fixture: Path, folder: Path, kind: str, number: int) -> Trial:
    """Try an input in this process: without bounds of memory and time, for a few inputs of the suite. The working folder is changed."""
    case = copied(fixture, folder, kind, number)
    before, text = snapshot(folder), io.StringIO()
    os.chdir(folder)
    with redirect_stderr(text), redirect_stdout(io.StringIO()):
        try:
            code = called(case.way.argv)
        except Exception:  # noqa: BLE001 - a warning that the suite makes an error
            text.write(traceback.format_exc())
            code = 70
    return judged(case, code, text.getvalue(), before, snapshot(folder), 0)


def _child(case: Case, folder: Path, out: Path, err: Path) -> None:
    code = 70
    try:
        os.chdir(folder)
        for path, number in ((out, 1), (err, 2)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8", errors="backslashreplace", closefd=False) for number in (1, 2))  # noqa: SIM115
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 5))
        limit = _address_bytes() + ADDRESS_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        signal.alarm(WALL_S)
        code = called(case.way.argv)
    except BaseException:  # noqa: BLE001 - also what the machinery of the trial raises
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def called(argv: tuple[str, ...]) -> int:
    """The exit code of a command in this process."""
    try:
        return cli.main(argv)
    except SystemExit as error:  # argparse
        return error.code if isinstance(error.code, int) else 70


def judged(case: Case, code: int, err: str, before: Snapshot, after: Snapshot, peak_bytes: int) -> Trial:
    """The trial, with what is wrong about it."""
    lines = err.rstrip("\n").split("\n")
    fault = ""
    if code < 0:
        names = {-signal.SIGALRM: f"hangs: {WALL_S} s", -signal.SIGXCPU: f"busy for {CPU_S} s", -signal.SIGKILL: f"busy for {CPU_S} s"}
        fault = names.get(code, f"killed by signal {-code}")
    elif code not in RIGHT:
        fault = f"exit {code}: {_where(lines)}"
    elif "Traceback (most recent" in err:
        fault = f"a traceback: {_where(lines)}"
    elif peak_bytes > MOST_BYTES:
        fault = f"{peak_bytes / 2**20:,.0f} MB of memory"
    elif code not in NOT_REFUSED:
        while len(lines) > 1 and lines[-1].startswith("  "):  # a problem of a study
            lines.pop()
        told = [line for line in lines if _USAGE.match(line) and not line.startswith("cropcam: warning: ")]
        if len(told) != 1 or told[0] != lines[-1]:
            fault = f"a refusal of {len(told)} lines that does not end with its line"
        elif len(lines[-1]) > LONGEST_LINE:
            fault = f"a refusal of {len(lines[-1]):,} characters"
        elif odd := _changed(case, before, after):
            fault = f"refused, and yet {odd}"
    elif odd := _changed_input(case, before, after):
        fault = f"done, and {odd}"
    return Trial(case, code, fault, lines[-1][:300], peak_bytes)


def _where(lines: list[str]) -> str:
    """The last frame of our own, and the error."""
    frames = [line.strip() for line in lines if line.startswith('  File "') and "/fuzz/" not in line]
    own = [frame for frame in frames if "site-packages" not in frame and "/lib/python" not in frame]
    frame = re.sub(r'^File ".*/([^/"]+/[^/"]+)", line (\d+), in (.*)$', r"\1:\2 \3", (own or frames or ["?"])[-1])
    error = next((line for line in reversed(lines) if re.match(r"[A-Za-z_.]+(Error|Exception|Interrupt|Exit|Warning)\b", line)), "")
    return f"{frame}: {error[:160]}"


def _changed(case: Case, before: Snapshot, after: Snapshot) -> str:
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name) and not any(fnmatch.fnmatch(name, free) for free in case.way.may_write):
            return f"{name} {'is new' if name not in before else 'is gone' if name not in after else 'is changed'}"
    return ""


def _changed_input(case: Case, before: Snapshot, after: Snapshot) -> str:
    """An input that a command which is done has changed; a run folder is written to by most commands of runs."""
    free = ("run/*", "arch-exports*", "small.exports.json", *case.way.may_write)
    for name in before:
        if before[name] != after.get(name) and not any(fnmatch.fnmatch(name, pattern) for pattern in free):
            return f"{name} {'is gone' if name not in after else 'is changed'}"
    return ""


@contextmanager
def own_folder(prefix: str = "cropcam-fuzz-") -> Iterator[Path]:
    """A folder that is removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _address_bytes() -> int:
    pages = Path("/proc/self/statm").read_text("ascii").split()[0]
    return int(pages) * resource.getpagesize()
