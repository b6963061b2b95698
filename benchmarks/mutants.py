"""Changes one line of a module that computes, runs the unit tests of its package, and counts the changes that a test notices.

    make mutants MUTANTS=200 SEED=0

The changes are cosmic-ray's, a random sample without replacement: a seed gives the same ones. They are made in a copy of the tree. The tests
of the module itself come first, then those of its package. `build/mutants.csv` has every change with its outcome; a run that was stopped
goes on behind the last one. A survivor is a missing test, or a change without an effect: that is judged by hand.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
# the rooms that compute
ROOMS = (
    "pipeline/grid.py",
    "pipeline/encoding.py",
    "pipeline/legend.py",
    "pipeline/rasters/values.py",
    "pipeline/rasters/mosaic.py",
    "pipeline/rasters/label_mosaic.py",
    "pipeline/patches",
    "pipeline/store",
    "pipeline/maps/areas.py",
    "pipeline/maps/accuracy.py",
    "pipeline/maps/pixel_areas.py",
    "pipeline/maps/quantised.py",
    "pipeline/maps/sample_design.py",
    "pipeline/maps/strata.py",
    "model/data",
    "model/evaluation",
    "model/labels",
    "model/losses",
    "model/segmentation",
    "model/strategies",
    "model/training",
)
# slips that a person makes; not shifts, powers or bitwise operators
OPERATORS = (
    *(f"core/ReplaceComparisonOperator_{pair}" for pair in ("Eq_NotEq", "NotEq_Eq", "Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt", "Lt_Gt", "Gt_Lt", "Is_IsNot", "IsNot_Is")),
    *(f"core/ReplaceBinaryOperator_{pair}" for pair in ("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Mul", "Mod_Add", "BitAnd_BitOr")),
    *(f"core/ReplaceUnaryOperator_Delete_{sign}" for sign in ("USub", "Not", "Invert")),
    *(f"core/{name}" for name in ("NumberReplacer", "ReplaceAndWithOr", "ReplaceOrWithAnd", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "AddNot", "ReplaceBreakWithContinue", "ReplaceContinueWithBreak")),
)  # fmt: skip
LIMIT_S = 900


class Change(NamedTuple):
    """One change of one module."""

    module: str
    operator: str
    occurrence: int


def unit_tests(module: str) -> tuple[str, str]:
    """The unit tests of a module, and those of its package.

    >>> unit_tests("pipeline/maps/areas.py"), unit_tests("pipeline/grid.py")
    (('tests/unit/maps/test_areas.py', 'tests/unit/maps'), ('tests/unit/pipeline/test_grid.py', 'tests/unit/pipeline'))
    """
    *folders, name = Path(module).parts
    package = "/".join(("tests/unit", *(folders[1:] or folders)))
    return f"{package}/test_{name}", package


def changes() -> Iterator[Change]:
    """Every change there is, in a fixed order."""
    from cosmic_ray.ast import get_ast  # noqa: PLC0415 - of the tools' environment alone
    from cosmic_ray.plugins import get_operator  # noqa: PLC0415

    for room in ROOMS:
        for path in sorted((ROOT / room).glob("*.py")) if (ROOT / room).is_dir() else [ROOT / room]:
            tree = get_ast(path.read_text("utf-8"))
            for name in OPERATORS:
                count = _positions(tree, get_operator(name)())
                yield from (Change(path.relative_to(ROOT).as_posix(), name, number) for number in range(count))


def _positions(node: object, operator: object) -> int:
    own = len(list(operator.mutation_positions(node)))  # type: ignore[attr-defined]
    return own + sum(_positions(child, operator) for child in getattr(node, "children", ()))


def changed(change: Change) -> tuple[int, str, str, str]:
    """The line's number, the line before and after, and the module's text after."""
    from cosmic_ray.mutating import mutate_code  # noqa: PLC0415
    from cosmic_ray.plugins import get_operator  # noqa: PLC0415

    before = (ROOT / change.module).read_text("utf-8")
    after = mutate_code(before, get_operator(change.operator)(), change.occurrence)
    old, new = before.splitlines(), after.splitlines()
    line = next(number for number, (one, other) in enumerate(zip(old, new, strict=False)) if one != other)
    return line + 1, old[line].strip(), new[line].strip(), after


def outcome(tree: Path, module: str, text: str) -> str:
    """`killed` or `survived`, by the tests in a copy of the tree."""
    path = tree / "cropcam" / module
    before = path.read_text("utf-8")
    own, package = unit_tests(module)
    path.write_text(text, "utf-8")
    try:
        runs = [[own]] * (tree / "cropcam" / own).is_file() + [[package, f"--ignore={own}"]]
        return "killed" if any(_fails(tree, arguments) for arguments in runs) else "survived"
    finally:
        path.write_text(before, "utf-8")


def _fails(tree: Path, arguments: list[str]) -> bool:
    command = [str(ROOT / ".venv/bin/python"), "-B", "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(tree), "HYPOTHESIS_STORAGE_DIRECTORY": str(tree / "hypothesis")}
    try:
        done = subprocess.run(command, cwd=tree / "cropcam", env=environment, capture_output=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return True
    return done.returncode not in (0, 5)  # 5: no test there


def copied(tree: Path) -> None:
    """The tracked and new files of the repository as the package `cropcam` below `tree`."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (tree / "cropcam" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / "cropcam" / name)


def main() -> None:
    """Draw, change, test, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=ROOT / "build/mutants.csv")
    options = parser.parse_args()
    every = list(changes())
    chosen = random.Random(options.seed).sample(every, min(options.mutants, len(every)))  # noqa: S311 - no secret
    options.out.parent.mkdir(parents=True, exist_ok=True)
    rows = list(csv.DictReader(options.out.open(encoding="utf-8"))) if options.out.exists() else []
    done = {Change(row["module"], row["operator"], int(row["occurrence"])): row["outcome"] for row in rows}
    with options.out.open("a", encoding="utf-8", newline="") as file, tempfile.TemporaryDirectory() as folder:
        writer = csv.writer(file)
        if not rows:
            writer.writerow(("outcome", "module", "line", "before", "after", "operator", "occurrence", "seconds"))
        copied(Path(folder))
        for number, change in enumerate(chosen, 1):
            if change in done:
                continue
            line, before, after, text = changed(change)
            started = time.monotonic()
            done[change] = outcome(Path(folder), change.module, text)
            writer.writerow(
                (done[change], change.module, line, before, after, change.operator, change.occurrence, round(time.monotonic() - started, 1))
            )
            file.flush()
            print(f"{number}/{len(chosen)} {done[change]}: {change.module}:{line}: {before}  ->  {after}", flush=True)
    killed = sum(done[change] == "killed" for change in chosen)
    print(
        f"{killed} of {len(chosen)} changes are noticed ({killed / max(len(chosen), 1):.1%}), of {len(every):,} there are; seed {options.seed}; {options.out}"
    )


if __name__ == "__main__":
    sys.exit(main())
