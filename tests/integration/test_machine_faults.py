"""A small part of `benchmarks.faults` and `benchmarks.kills commands`: the harness runs, and some commands bear each fault.

All commands under all faults take half an hour: `python -m benchmarks.faults`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.commands_table import BY_NAME
from benchmarks.fault_kinds import FAULTS
from support.maps import write_map
from support.runs import make_run
from support.stores import make_store

ROOT = Path(__file__).parents[2]
ANEW = {"memory", "no-home"}  # take a new interpreter for each command


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the harness would make by simulating, exporting and training: a store, a run, a map."""
    folder = tmp_path_factory.mktemp("inputs")
    info = make_store(folder / "s.zarr", count=40, size_px=20)
    make_run(folder / "run", folder / "s.zarr", info)
    write_map(folder / "map.tif", np.random.default_rng(0).integers(0, 3, (60, 50)).astype(np.uint8))
    return folder


def harness(module: str, *words: object) -> dict[str, Any]:
    """The JSON object that a benchmark prints last."""
    line = [sys.executable, "-m", f"benchmarks.{module}", *map(str, words)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=3000, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def faults(inputs: Path) -> dict[str, Any]:
    """A sample of a map under every fault of one process."""
    return harness("faults", "--inputs", inputs, "--commands", "sample", "--faults", *sorted(FAULTS.keys() - ANEW))


@pytest.mark.parametrize("name", sorted(FAULTS.keys() - ANEW))
def test_a_command_bears_the_fault(faults: dict[str, Any], name: str) -> None:
    if name in faults["skipped"]:
        pytest.skip(faults["skipped"][name])
    assert faults["by_fault"][name] == 1
    assert [line for line in faults["failures"] if f"under {name}:" in line] == []


def test_no_fault_changes_an_input(faults: dict[str, Any]) -> None:
    assert faults["failures"] == []


def test_kills_end_with_the_same_bytes_and_nothing_beside(inputs: Path) -> None:
    found = harness("kills", "commands", "--inputs", inputs, "--commands", "train-linear", "--kills", 2, "--per-set", 2)
    assert found["kills"] == 2
    assert found["failures"] == []
    assert found["same_bytes"] == found["ended_well"] == found["sets"] >= 1
    assert found["left_over"] == 0


def test_a_row_names_every_command_that_makes_files() -> None:
    assert {row.words[0] for row in BY_NAME.values()} == {
        "simulate", "export", "fetch", "patches", "check", "train", "evaluate", "compare", "map", "area", "sample", "report",
        "export-model", "crossval",
    }  # fmt: skip
