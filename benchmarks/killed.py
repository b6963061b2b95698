"""Processes of a benchmark that are killed: started at the moment before their work, and finished."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def start(module: str, *words: str) -> subprocess.Popen[bytes]:
    """A module in a process of its own; returns once it has printed a line, its imports done."""
    process = subprocess.Popen([sys.executable, "-m", module, *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if process.stdout:
        process.stdout.readline()
    return process


def finish(process: subprocess.Popen[bytes]) -> None:
    """Wait for the end of a run.

    Raises:
        RuntimeError: it failed.
    """
    _, errors = process.communicate(timeout=300)
    if process.returncode:
        raise RuntimeError(f"it failed: {errors.decode()[-2000:]}")
