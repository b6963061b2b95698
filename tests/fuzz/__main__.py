"""Try changed inputs for a time, and keep those that are faults: `make fuzz`, or `python -m fuzz --kind store --number 12`."""

from __future__ import annotations

import os

# one thread: a process that has others must not fork; before torch is imported
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"))
os.environ.setdefault("GDAL_CACHEMAX", "64")
os.environ.setdefault("MALLOC_ARENA_MAX", "2")
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # the others have a thread

import argparse
import importlib
import json
import pkgutil
import shutil
import sys
import time
import tomllib
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np

import cropcam
from cropcam.pipeline.encoding import OFFSET, SCALE, BandEncoding
from cropcam.pipeline.patches.measure import measure
from cropcam.pipeline.study.study import parse_study
from fuzz import fixture
from fuzz.kinds import KINDS
from fuzz.trial import Trial, forked, own_folder

SHOWN_EVERY_S = 60


def main() -> int:
    """Run; 1 where there is a fault."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--kind", choices=KINDS, action="append", help="default: all, in turn")
    parser.add_argument("--first", type=int, help="number of the first input of each kind (default: goes on after the last run's)")
    parser.add_argument("--number", type=int, help="this input alone; its folder is kept")
    parser.add_argument(
        "--keep", type=Path, default=Path("fuzz-findings"), help="folder of the faults and of the numbers tried (default: %(default)s)"
    )
    args = parser.parse_args()
    keep = args.keep.absolute()
    _warm()
    with own_folder() as folder:
        _in_child(folder)
        if args.number is not None:
            return _one(folder, keep, args.kind[0], args.number)
        return _many(folder, keep, args.kind or list(KINDS), args.seconds, args.first)


def _warm() -> None:
    """Import the product, so that no child has to."""
    for found in pkgutil.walk_packages(cropcam.__path__, "cropcam."):
        if found.name.startswith(("cropcam.pipeline", "cropcam.model")):
            importlib.import_module(found.name)
    import torch

    torch.set_num_threads(1)


def _warm_as(names: list[str]) -> None:
    """Import what the commands imported while they made the fixture, and load the compiled loops."""
    for name in names:
        with suppress(Exception):  # a module of one platform, or one that its package makes up
            importlib.import_module(name)
    study = parse_study(tomllib.loads(fixture.STUDY))
    encoding = BandEncoding.uniform("uint16", 3, SCALE, OFFSET, 0.0)
    measure(np.ones((3, 16, 16), np.uint16), np.ones((16, 16), np.uint8), 8, encoding, study.legend.lookup(), len(study.legend), 1.0)
    if (threads := len(list(Path("/proc/self/task").iterdir()))) > 1:
        print(f"warning: {threads} threads; a forked child may hang for want of one")


def _in_child(folder: Path) -> None:
    """The fixture, made in a child: this process stays without threads."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            (folder / "fixture").mkdir()
            with (folder / "log").open("w") as log:
                for number in (1, 2):
                    os.dup2(log.fileno(), number)
                fixture.make(folder / "fixture")
            (folder / "modules").write_text(json.dumps(sorted(sys.modules)))
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    if status:
        sys.exit("the fixture could not be made:\n" + (folder / "log").read_text()[-2000:])
    _warm_as(json.loads((folder / "modules").read_text()))


def _one(folder: Path, keep: Path, kind: str, number: int) -> int:
    kept = keep / f"{kind}-{number}"
    shutil.rmtree(kept, ignore_errors=True)
    trial = forked(folder / "fixture", kept, kind, number)
    print(
        f"{kept}: cropcam {' '.join(trial.case.way.argv)}\nchanged: {trial.case.file}\nexit {trial.code}\n{kept.with_name(kept.name + '.err').read_text()[-6000:]}"
    )
    print(f"FAULT {trial.fault}" if trial.fault else "right")
    return int(bool(trial.fault))


def _many(folder: Path, keep: Path, kinds: list[str], seconds: float, first: int | None) -> int:
    keep.mkdir(parents=True, exist_ok=True)
    tried = keep / "tried.json"  # the next number of each kind
    following: dict[str, int] = json.loads(tried.read_text()) if tried.is_file() and first is None else {}
    following = {kind: following.get(kind, first or 0) for kind in kinds}
    counts, fields, codes, peak, faults = Counter[str](), Counter[str](), Counter[int](), 0, dict[str, list[Trial]]()
    spent: Counter[str] = Counter()
    started = shown = time.monotonic()
    while (now := time.monotonic()) - started < seconds:
        kind = min(kinds, key=lambda each: counts[each])
        trial = forked(folder / "fixture", work := folder / "work", kind, following[kind])
        following[kind] += 1
        counts[kind] += 1
        fields[kind] += trial.case.is_field
        codes[trial.code] += 1
        spent[kind] += time.monotonic() - now
        peak = max(peak, trial.peak_bytes)
        if trial.fault:
            known = faults.setdefault(trial.fault, [])
            known.append(trial)
            if len(known) == 1:
                print(
                    f"FAULT {kind} {trial.case.number} ({trial.case.file}; {' '.join(trial.case.way.argv)}): {trial.fault} | {trial.last_line}",
                    flush=True,
                )
                _keep(work, keep, trial)
        for path in (work, work.with_name("work.out"), work.with_name("work.err")):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        if time.monotonic() - shown > SHOWN_EVERY_S:
            shown = time.monotonic()
            print(f"{shown - started:,.0f} s: {counts.total():,} inputs, {len(faults)} faults", flush=True)
            tried.write_text(json.dumps(following))
    tried.write_text(json.dumps(following))
    for kind in kinds:
        print(
            f"{kind:9} {counts[kind]:6,} inputs, {fields[kind] / max(counts[kind], 1):.0%} of one changed field, {spent[kind] / max(counts[kind], 1):.3f} s each"
        )
    print(
        f"{counts.total():,} inputs in {time.monotonic() - started:,.0f} s; one changed field: {fields.total() / counts.total():.1%}; exit codes {dict(sorted(codes.items()))}; most memory {peak / 2**20:,.0f} MB"
    )
    print(f"{len(faults)} faults, {sum(map(len, faults.values()))} times" + ("" if faults else ": none"))
    for fault, trials in sorted(faults.items(), key=lambda item: -len(item[1])):
        print(f"  {len(trials):4} x {trials[0].case.kind} {trials[0].case.number} {trials[0].case.file}: {fault}")
    return int(bool(faults))


def _keep(work: Path, keep: Path, trial: Trial) -> None:
    """The folder of a fault, with what the command printed: from it the small test is made."""
    kept = keep / f"{trial.case.kind}-{trial.case.number}"
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(work, kept / "folder", symlinks=True)
    (kept / "command").write_text(f"cropcam {' '.join(trial.case.way.argv)}\n# changed: {trial.case.file}; {trial.fault}\n")
    for end in ("out", "err"):
        shutil.copy2(work.with_name(f"work.{end}"), kept / end)


if __name__ == "__main__":
    sys.exit(main())
