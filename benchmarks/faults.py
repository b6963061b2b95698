"""Every command on a machine that fails: disk, permissions, open files, memory, clock, environment, streams, signals, a second process.

    python -m benchmarks.faults [--faults NAME ...] [--commands NAME ...] [--repeats N] [--seed N]

The commands and their small inputs are those of `benchmarks.commands_table`. A command under a fault may end well, with the bytes of an
undisturbed run. Or it ends with the exit code of an error (2, 3, 4, or 130 after a signal), one line and no traceback; then no file that
it makes is there in part. In both cases the command is run again without the fault, and ends with the bytes of an undisturbed run,
with nothing beside them; no input has changed. What a fault needs and the machine lacks (root, a small file system) skips it with the reason.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import at_least_one
from benchmarks.commands_table import BY_NAME, Row
from benchmarks.fault_kinds import FAULTS, Fault, SkipError, Trial
from benchmarks.forked import Ended, digests, run
from benchmarks.kills_commands import contents, prepared, undisturbed

PLACE = Path("disk", "place")  # as deep for each: STAC items hold relative paths
CODES = (0, 2, 3, 4, 130)
Report = Callable[[str], None]


def problems_of(ended: Ended, row: Row, found: dict[str, str] | None, wanted: dict[str, str]) -> list[str]:
    """What is wrong with how a command ended under a fault; the files are not looked at where None."""
    problems = []
    if ended.status not in CODES:
        problems.append("hangs" if ended.status == -1 else f"exit code {ended.status}")
    if "Traceback" in ended.err or "this is a bug" in ended.err:
        problems.append("traceback")
    if ended.status in (2, 3, 4) and not ended.last.startswith("cropcam: "):
        problems.append("no line")
    if found is not None:
        halves = [name for name in row.made if wanted.get(name) and name in found and found[name] != wanted[name]]
        if halves:
            problems.append(f"half-written: {halves}")
        if ended.status == 0 and found != wanted:
            problems.append(f"ended well with other files: {differing(found, wanted)}")
    return [f"{problem} ({ended.status}: {ended.last[:300]})" for problem in problems]


def differing(found: dict[str, str], wanted: dict[str, str]) -> list[str]:
    """The first names that differ, or are there once alone."""
    return sorted(name for name in found.keys() | wanted if found.get(name) != wanted.get(name))[:5]


def try_one(fault: Fault, row: Row, fixed: Path, folder: Path, wanted: dict[str, str], rng: random.Random, whole_s: float) -> list[str]:
    """A command under a fault, and again without; what is wrong.

    Raises:
        SkipError: the machine cannot have the fault.
    """
    trial = Trial(row, fixed, folder / PLACE, rng, whole_s, sum(size(folder.parent / "whole" / PLACE / name) for name in row.made))
    trial.folder.parent.mkdir(parents=True)
    with fault(trial) as ends:
        found = contents(row, trial.folder) if trial.folder.exists() else {}
        problems = [problem for ended in ends for problem in problems_of(ended, row, found if ended is ends[-1] else None, wanted)]
        again = run(row.line(fixed), trial.folder)
        found = contents(row, trial.folder)
        if again.status or found != wanted:
            problems.append(f"the rerun ended {again.status} ({again.last[:300]}) with other files: {differing(found, wanted)}")
        return problems + trial.problems


def size(path: Path) -> int:
    """Bytes of a file, or of the files in a folder."""
    return sum(file.stat().st_size for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file())


def measure(
    names: Sequence[str], faults: Sequence[str], repeats: int, seed: int, say: Report, inputs: Path | None = None
) -> dict[str, Any]:
    """Every command under every fault; counts, failures and what was skipped."""
    rng, started = random.Random(seed), time.monotonic()  # noqa: S311 - moments and sizes, not secrets
    checks, failures, skipped = Counter[str](), list[str](), dict[str, str]()
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        folder.chmod(0o755)  # others shall read the inputs
        fixed = prepared(inputs or folder / "fixed")
        before = digests(fixed)
        for row in (BY_NAME[name] for name in names):
            of_row = folder / row.name
            undisturbed(row, fixed, of_row / "first" / PLACE, first=True)
            wanted, whole_s = undisturbed(row, fixed, of_row / "whole" / PLACE)
            for name in faults:
                for number in range(repeats):
                    try:
                        problems = try_one(FAULTS[name], row, fixed, of_row / f"{name}-{number}", wanted, rng, whole_s)
                    except SkipError as reason:
                        skipped[name] = str(reason)
                        break
                    checks[name] += 1
                    failures += [f"{row.name} under {name}: {problem}" for problem in problems]
                    for problem in problems:
                        say(failures[-1] if len(problems) == 1 else f"{row.name} under {name}: {problem}")
                    shutil.rmtree(of_row / f"{name}-{number}")
            if changed := differing(digests(fixed), before):
                failures.append(f"{row.name} changed inputs: {changed}")
                say(failures[-1])
                before = digests(fixed)
            shutil.rmtree(of_row)
            say(f"{row.name}: done")
    return {
        "checks": sum(checks.values()), "by_fault": dict(checks), "failures": failures, "skipped": skipped,
        "seconds": round(time.monotonic() - started, 1),
    }  # fmt: skip


def main() -> None:
    """Try and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", nargs="+", choices=list(FAULTS), default=list(FAULTS), metavar="NAME")
    parser.add_argument("--commands", nargs="+", choices=list(BY_NAME), default=list(BY_NAME), metavar="NAME")
    parser.add_argument("--repeats", type=at_least_one, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--inputs", type=Path, help="a folder in which the inputs are kept for the next call")
    args = parser.parse_args()
    log = lambda text: print(text, file=sys.stderr, flush=True)  # noqa: E731
    print(json.dumps(measure(args.commands, args.faults, args.repeats, args.seed, log, args.inputs)))


if __name__ == "__main__":
    main()
