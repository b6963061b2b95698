"""Cutting that is killed again and again: a process per attempt, the same inputs, the same bytes in the end."""

from __future__ import annotations

import hashlib
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.resume import journal, partial_folder
from cropcam.pipeline.study.study import Study, load_study, parse_study
from support.rasters import UTM, random_codes, random_dn, write_raster

LIMIT_S = 300  # for what takes seconds on an idle machine

GRID = PixelGrid(UTM.crs, UTM.transform, 1210, 1615)
SCRIPT = """
import sys, time
from pathlib import Path
from cropcam.pipeline import parts, resume
from cropcam.pipeline.store import schema as store
from cropcam.pipeline.patches import from_rasters
from cropcam.pipeline.study.study import load_study
parts._BAND_BYTES = 1
store.PATCHES_PER_SHARD = 64
add = resume.Work.add
def slow(self, *found):
    print("adding", flush=True)
    time.sleep(float(sys.argv[2]))
    add(self, *found)
resume.Work.add = slow
folder = Path(sys.argv[1])
print("ready", flush=True)
study, image, labels = load_study(str(folder / "study.toml")), [folder / "image.tif"], [folder / "cdl.tif"]
from_rasters(study, image, labels, folder / sys.argv[3], scheduler=sys.argv[4] or None)
"""


def inputs(folder: Path, gap_patches: int = 0) -> Study:
    """An image with nodata, labels and a study file; about 3,800 patches of 20 px in zarr shards of 64, in a hundred parts."""
    values = load_study("demo").to_dict()
    values["image"] |= {"bands": ["SR_B4", "SR_B5"]}
    values["patches"] |= {"size_px": 20}
    values["splits"] |= {"block_patches": [7, 7], "gap_patches": gap_patches}
    study = parse_study(values)
    dn, codes = random_dn((2, *GRID.shape_yx)), random_codes(GRID.shape_yx)
    dn[:, 300:420, 100:700] = 0
    write_raster(folder / "image.tif", dn, GRID, tiled=True, blockxsize=16, blockysize=16)
    write_raster(folder / "cdl.tif", codes, GRID)
    (folder / "study.toml").write_text(study.to_toml())
    return study


def start(folder: Path, name: str, delay_s: float = 0.0, scheduler: str = "") -> subprocess.Popen[str]:
    """One attempt, on threads or on the cluster of `scheduler`; each part takes `delay_s` longer."""
    words = [sys.executable, "-c", SCRIPT, str(folder), str(delay_s), name, scheduler]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def kill_and_finish(folder: Path, name: str, kills: int, seed: int = 0, delay_s: float = 0.05, scheduler: str = "") -> list[int]:
    """Kill `kills` attempts, then let one finish; finished zarr shards found after each kill.

    Each is killed at a random moment, every second one not before it has finished a zarr shard: on a busy machine none may get that far in a second.
    Finished is what `cropcam.pipeline.resume` calls so: its checksum stands in the journal, and from which input files it is made is known.
    """
    draw, shards = random.Random(seed), [0]  # noqa: S311 - moments of kills, no secret
    partial = partial_folder(folder / name)

    def finished() -> int:
        return sum("shard" in line for line in journal(partial)) if (partial / "digests.json").exists() else 0

    while len(shards) <= kills:
        with start(folder, name, delay_s, scheduler) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(draw.uniform(0.02, 1.0))
            while len(shards) % 2 == 0 and process.poll() is None and finished() <= shards[-1]:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
        if (folder / name).exists():
            raise AssertionError("done before it was killed; make it slower")
        shards.append(finished())
    with start(folder, name, scheduler=scheduler) as process:
        error = process.stderr.read() if process.stderr else ""
    assert process.returncode == 0, error
    return shards[1:]


def fingerprint(store: Path) -> dict[str, str]:
    """sha256 of every file of a store."""
    return {
        str(path.relative_to(store)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(store.rglob("*")) if path.is_file()
    }
