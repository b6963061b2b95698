"""SIGKILLs of every command at random moments, each followed by a rerun. Run by `python -m benchmarks.kills commands`.

The commands and their small inputs are those of `benchmarks.commands_table`; `crossval` and the exports have many steps, the others take
seconds. A command runs in a fork of this process, is killed, and is run again in the same folder, which may be killed as well; the
last run of each folder is not. Then every file is compared with those of an undisturbed run, hidden files and those beside the outputs
too. Of the history of a run the columns of times are left out (docs/training.md).
"""

from __future__ import annotations

import hashlib
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.commands_table import BY_NAME, Row, place, prepare
from benchmarks.forked import Ended, digests, fork, learn, run


def contents(row: Row, folder: Path) -> dict[str, str]:
    """sha256 of every file and folder that is compared, and of what is left over; of a history without the columns of times."""
    from cropcam.model.runs.history import TIMINGS  # noqa: PLC0415 - imports torch

    found = {name: digest for name, digest in digests(folder).items() if name.split("/")[0] not in row.kept}
    for name in found:
        if name.endswith("history.csv"):
            text = pd.read_csv(folder / name).drop(columns=list(TIMINGS)).to_csv()
            found[name] = hashlib.sha256(text.encode()).hexdigest()
    return found


def undisturbed(row: Row, fixed: Path, folder: Path, *, first: bool = False) -> tuple[dict[str, str], float]:
    """What a command leaves that nothing disturbs, and its seconds. The first may compile loops, and what it imports is kept for others.

    Raises:
        RuntimeError: it failed.
    """
    place(row, fixed, folder)
    started = time.monotonic()
    ended = (learn if first else run)(row.line(fixed), folder)
    seconds = time.monotonic() - started
    if ended.status:
        raise RuntimeError(f"{row.name} failed: {ended.err[-2000:]}")
    return contents(row, folder), seconds


def prepared(fixed: Path) -> Path:
    """The inputs of all commands, in a folder; they are made unless it is there."""

    def made(words: list[str], where: Path) -> None:
        ended = learn(words, where)
        if ended.status:
            raise RuntimeError(f"{' '.join(words)} failed: {ended.err[-2000:]}")

    if not fixed.exists():
        prepare(fixed, made)
    print("inputs are ready", file=sys.stderr, flush=True)
    return fixed


def measure(kills: int, seed: int, per_set: int, names: list[str], inputs: Path | None = None) -> dict[str, Any]:
    """Kill commands `kills` times in turn; counts of kills and of sets that ended otherwise."""
    rng, started = random.Random(seed), time.monotonic()  # noqa: S311 - moments, not secrets
    killed, counts = Counter[str](), Counter[str]()
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as text:
        fixed = prepared(inputs or Path(text, "fixed"))
        known: dict[str, tuple[dict[str, str], float]] = {}
        while sum(killed.values()) < kills:
            row = BY_NAME[names[counts["sets"] % len(names)]]
            folder = Path(text, f"set-{counts['sets']}")
            if row.name not in known:
                undisturbed(row, fixed, folder / "first", first=True)
                known[row.name] = undisturbed(row, fixed, folder / "whole")
            wanted, whole_s = known[row.name]
            place(row, fixed, folder / "killed")
            for _ in range(rng.randint(1, min(per_set, kills - sum(killed.values())))):
                process = fork(row.line(fixed), folder / "killed")
                if process.wait(rng.uniform(0.0, 1.0) * whole_s):
                    process.ended()
                    break
                process.send(signal.SIGKILL)
                process.ended()
                killed[row.name] += 1
            ended = run(row.line(fixed), folder / "killed")
            found = contents(row, folder / "killed")
            counts.update(_judged(row, ended, found, wanted, failures), sets=1)
            print(f"{sum(killed.values())} kills, {counts['sets']} sets", file=sys.stderr, flush=True)
            shutil.rmtree(folder)
    names_of = ("sets", "ended_well", "same_bytes", "left_over")
    return {
        "kills": sum(killed.values()), "by_command": dict(killed), **{name: int(counts[name]) for name in names_of},
        "failures": failures[:20], "seconds": round(time.monotonic() - started, 1),
    }  # fmt: skip


def _judged(row: Row, ended: Ended, found: dict[str, str], wanted: dict[str, str], failures: list[str]) -> Counter[str]:
    """How a rerun ended; what is wrong is added to `failures`."""
    differing = sorted(name for name in wanted if found.get(name) != wanted[name])
    left = sorted(found.keys() - wanted)
    if ended.status or differing or left:
        failures.append(f"{row.name}: status {ended.status} ({ended.last}), other bytes: {differing[:5]}, left over: {left[:5]}")
        print(failures[-1], file=sys.stderr, flush=True)
    return Counter(ended_well=int(not ended.status), same_bytes=int(not differing), left_over=int(bool(left)))
