"""Measurements, each run as `python -m benchmarks.NAME`; the last line printed is one JSON object of ratios and sizes."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # some use the oracles of the tests


def at_least_one(text: str) -> int:
    """A count from a command line.

    Raises:
        ValueError: below 1, or no whole number; argparse reports it.
    """
    if int(text) < 1:
        raise ValueError(text)
    return int(text)
