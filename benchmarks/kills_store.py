"""A hundred random SIGKILLs while a store is cut: the same store in the end, byte for byte.

    python -m benchmarks.kills_store [--kills 100] [--each 10] [--seed 0]

Kills are dealt out over several stores, `--each` of them per store. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from kill_runs import fingerprint, inputs, kill_and_finish, start


def main() -> None:
    """Kill, compare, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--each", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        inputs(folder)
        with start(folder, "whole.zarr") as process:
            process.wait()
        whole, equal, resumed = fingerprint(folder / "whole.zarr"), 0, 0
        stores = args.kills // args.each
        for number in range(stores):
            shards = kill_and_finish(folder, f"killed-{number}.zarr", args.each, args.seed + number, delay_s=0.008 * args.each)
            equal += fingerprint(folder / f"killed-{number}.zarr") == whole
            resumed += sum(count > 0 for count in shards)
            print(f"store {number}: zarr shards after each kill {shards}", file=sys.stderr)
    print(
        json.dumps(
            {
                "kills": stores * args.each,
                "stores": stores,
                "equal": equal,
                "kills_with_work_to_keep": resumed,
                "seconds": round(time.monotonic() - started),
            }
        )
    )


if __name__ == "__main__":
    main()
