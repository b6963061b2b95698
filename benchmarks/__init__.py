"""Measurements, each run as `python -m benchmarks.NAME`; the last line printed is one JSON object of ratios and sizes."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # some compare with the oracles of the tests


def at_least_one(text: str) -> int:
    """How often, how long or how many, from a command line.

    Raises:
        ValueError: below 1, or no whole number; argparse says so.
    """
    if int(text) < 1:
        raise ValueError(text)
    return int(text)
