"""Start-up of the command line against a bare interpreter, and time and memory of the demo.

    python -m benchmarks.first_light [--demo]

`help_ratio` is the median over pairs of `cli.py --help` divided by `python -c pass`; the demo is run in a fresh folder.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]


def seconds(*words: str) -> float:
    """Wall time of one process."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *words], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    pairs = [(seconds("cli.py", "--help"), seconds("-c", "pass")) for _ in range(11)][1:]
    figures: dict[str, float] = {
        "help_ratio": round(median(start / bare for start, bare in pairs), 2),
        "help_s": round(median(start for start, _ in pairs), 4),
    }
    if "--demo" in sys.argv:
        with tempfile.TemporaryDirectory() as folder:
            figures["demo_s"] = round(seconds("cli.py", "demo", "--out", str(Path(folder) / "demo")), 1)
        figures["demo_peak_GiB"] = round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20, 2)
    print(json.dumps({**figures, "cores": len(os.sched_getaffinity(0))}))


if __name__ == "__main__":
    main()
