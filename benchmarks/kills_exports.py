"""SIGKILLs of exports, fetches and watched fetches at random moments, each followed by a rerun. Run by `python -m benchmarks.kills`.

The embedded engine runs in this process; every run is a process of its own, which is killed. Four kinds of sets take turns:

- `drive`: tasks of the service; the killed runs submit and watch.
- `pixels`: pixel requests into a folder.
- `fetch`: an export that has ended comes home; the killed runs fetch.
- `watch`: tasks were started without waiting; the killed runs wait for them and fetch the files of each as it ends.

The last run of each set is not killed. Then the tasks of the set at the engine are counted, and its files, those beside them and hidden
ones too, are compared with an undisturbed run. Every tenth answer of the engine is a fault: 503 on any route, a connection cut after
an export was accepted, and files cut short on their way home.
"""
# ruff: noqa: PLC0415 - the processes that are killed import only what their kind needs

from __future__ import annotations

import argparse
import hashlib
import json
import random
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks import at_least_one
from benchmarks.killed import finish, start
from cropcam.pipeline.study.study import Study, load_study, parse_study

CELL_PX = 256
KINDS = ("drive", "pixels", "fetch", "watch")
HOME = "home"


def small_study(size_px: int) -> Study:
    """A square piece of the demo with one short season."""
    values = load_study("demo").to_dict()
    half = size_px * 30.0 / 111_319.490793 / 2
    values["area"] |= {"bounds": [-90.0 - half, 41.0 - half, -90.0 + half, 41.0 + half]}
    values["image"] |= {"seasons": [["2016-06-01", "2016-08-01"]]}
    return parse_study(values)


def run(kind: str, url: str, place: Path, study: Study) -> None:
    """One whole run, in the process that is killed. "begin" starts the tasks of a set and does not wait."""
    from cropcam.pipeline.earthengine.destinations import Drive
    from cropcam.pipeline.earthengine.error_messages import Backoff
    from cropcam.pipeline.earthengine.export_run import Options, Pace
    from cropcam.pipeline.earthengine.exports import export, follow
    from cropcam.pipeline.earthengine.plan import plan
    from cropcam.pipeline.earthengine.session import open_session

    source, manifest, pace = Drive(place.name), place / "exports.json", Pace(0.1, 0.2)
    backoff = Backoff(first_s=0.02, longest_s=0.2)
    if kind in ("pixels", "drive", "begin"):
        session = open_session(None, url, backoff=backoff, client_retries=0)
    if kind == "pixels":
        from cropcam.pipeline.earthengine.delivery import deliver

        print("ready", flush=True)
        deliver(study, session, place / HOME, window_px=CELL_PX, shard_px=2 * CELL_PX, workers=4)
    elif kind in ("drive", "begin"):
        print("ready", flush=True)
        export(plan(study, source, cell_px=CELL_PX), session, manifest, Options(wait=kind == "drive", pace=pace))
    else:
        from cropcam.pipeline.fetch.download import How
        from cropcam.pipeline.fetch.exported import find_export
        from cropcam.pipeline.fetch.home import bring_home
        from cropcam.pipeline.fetch.places import open_remote

        exported = find_export(study, manifest, source, url)
        if exported is None:
            raise RuntimeError(f"{manifest} records no export to {source}")
        print("ready", flush=True)
        remote = open_remote(source, api_url=url, backoff=backoff)
        look = None
        if kind == "watch":
            look = follow(exported.plan, open_session(None, url, backoff=backoff, client_retries=0), manifest)
        bring_home(study, remote, place / HOME, exported=exported, look=look, how=How(backoff=backoff), pace=pace)


def digests(folder: Path) -> dict[str, str]:
    """sha256 of every file below a folder, hidden leftovers too."""
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def measure(kills: int, seed: int, size_px: int, per_set: int, *, with_faults: bool) -> dict[str, Any]:
    """Kill `kills` runs; counts of kills, sets, tasks and failures."""
    from cropcam.pipeline.emulator import Fault, Faults, serve
    from cropcam.pipeline.landscape import simulate

    rng, study = random.Random(seed), small_study(size_px)  # noqa: S311 - moments, not secrets
    counts, killed = Counter[str](), Counter[str]()
    started = time.monotonic()
    many = 10**9
    with tempfile.TemporaryDirectory() as text:
        folder, faults = Path(text), Faults()
        simulate(study, folder / "archive", seed=seed)
        with serve(folder / "archive", out=folder / "engine", faults=faults) as server:

            def child(kind: str, place: Path) -> subprocess.Popen[bytes]:
                place.mkdir(parents=True, exist_ok=True)
                return start("benchmarks.kills_exports", kind, server.url, str(place), str(size_px))

            def prepare(kind: str, place: Path) -> None:
                """What a set needs before its killed runs: an export that has ended, or tasks that run."""
                if kind in ("fetch", "watch"):
                    finish(child("drive" if kind == "fetch" else "begin", place))

            def files(kind: str, place: Path) -> dict[str, str]:
                return digests(server.out / "drive" / place.name if kind == "drive" else place / HOME)

            wanted, whole_s = {}, {}
            for kind in KINDS:
                place = folder / f"undisturbed-{kind}"
                prepare(kind, place)
                process, begun = child(kind, place), time.monotonic()
                finish(process)
                whole_s[kind] = time.monotonic() - begun
                wanted[kind] = files(kind, place)
            if with_faults:
                faults.order(
                    vars(fault)
                    for fault in (
                        Fault("image:export", "disconnect", after=4, every=10, count=many),
                        Fault("drive:media", "truncate", after=4, every=10, count=many),
                        Fault("*", "unavailable", after=9, every=10, count=many),
                    )
                )
            while sum(killed.values()) < kills:
                kind = KINDS[counts["sets"] % len(KINDS)]
                place = folder / f"set-{counts['sets']}"
                counts["sets"] += 1
                prepare(kind, place)
                for _ in range(rng.randint(1, per_set)):
                    if sum(killed.values()) == kills:
                        break
                    process = child(kind, place)
                    try:
                        process.communicate(timeout=rng.uniform(0.0, 1.0) * whole_s[kind])
                        break
                    except subprocess.TimeoutExpired:
                        process.kill()
                        process.communicate()
                        killed[kind] += 1
                finish(child(kind, place))
                counts["wrong"] += files(kind, place) != wanted[kind]
            twice, tasks = _count(server.out, len(wanted["drive"]))
    return {
        "kills": sum(killed.values()), "of_kind": dict(killed), "sets": counts["sets"], "tasks": tasks, "submitted_twice": twice,
        "sets_with_other_bytes": counts["wrong"], "with_faults": with_faults,
        "undisturbed_s": {kind: round(value, 2) for kind, value in whole_s.items()}, "seconds": round(time.monotonic() - started, 1),
    }  # fmt: skip


def _count(engine: Path, expected: int) -> tuple[int, int]:
    """How many operations the engine's journal holds beyond one per task, and how many in all."""
    bodies = [json.loads(path.read_text("utf-8"))["body"] for path in (engine / "operations").glob("*.json")]
    places = Counter(
        (body["fileExportOptions"]["driveDestination"]["folder"], body["fileExportOptions"]["driveDestination"]["filenamePrefix"])
        for body in bodies
    )
    per_set = Counter(folder for folder, _ in places)
    missing = sum(expected - count for count in per_set.values())
    if missing:
        raise RuntimeError(f"{missing} tasks were never submitted")
    return sum(count - 1 for count in places.values()), len(bodies)


def main() -> None:
    """One run in the process that is killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=(*KINDS, "begin"))
    parser.add_argument("url")
    parser.add_argument("place", type=Path)
    parser.add_argument("size_px", type=at_least_one)
    args = parser.parse_args()
    run(args.kind, args.url, args.place, small_study(args.size_px))


if __name__ == "__main__":
    main()
