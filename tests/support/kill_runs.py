"""Building that is killed again and again: a process per attempt, the same inputs, the same bytes in the end."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.study.study import Study, load_study, parse_study
from support.builds import small_blocks
from support.rasters import UTM, random_codes, random_dn, write_raster

LIMIT_S = 300  # for what takes seconds on an idle machine
BLOCK = 8  # patches along the side of a block

GRID = PixelGrid(UTM.crs, UTM.transform, 1210, 1615)
WHOLE = (80, 8)  # blocks with patches, and blocks below the last whole patch
SCRIPT = f"""
import os, sys, time
from pathlib import Path
from cropcam.pipeline.patches import block
from cropcam.pipeline.patches.build import from_rasters
from cropcam.pipeline.store import schema
from cropcam.pipeline.study.study import load_study
schema.BLOCK_PATCHES = {BLOCK}
folder, delay_s, scheduler = Path(sys.argv[1]), float(sys.argv[2]), sys.argv[4] or None
array = block._array
def slow(job, name):
    if name == "moments":  # the zarr shards of the block are there, its rows are not
        os.write(1, b"between\\n")  # at once: threads that print at the same time mix their lines
        time.sleep(delay_s)
    return array(job, name)
block._array = slow
print("ready", flush=True)
study, image, labels = load_study(str(folder / "study.toml")), [folder / "image.tif"], [folder / "cdl.tif"]
progress = lambda *_: time.sleep(delay_s if scheduler else 0)  # the workers of a cluster are not slowed
from_rasters(study, image, labels, folder / sys.argv[3], scheduler=scheduler, progress=progress)
"""


class Kill(NamedTuple):
    """What a killed attempt left: blocks whose rows are there, and blocks whose zarr shards are there without rows."""

    done: int
    between: int


def inputs(folder: Path, gap_patches: int = 0) -> Study:
    """An image with nodata, labels and a study file; 4,800 patches of 20 px in blocks of 8 x 8."""
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
    """One attempt, on threads or on the cluster of `scheduler`; each block takes `delay_s` longer, between its zarr shards and its rows."""
    words = [sys.executable, "-c", SCRIPT, str(folder), str(delay_s), name, scheduler]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def same_blocks(patch: pytest.MonkeyPatch) -> None:
    """Blocks as large in this process as in the attempts."""
    small_blocks(patch, BLOCK)


def progress_of(store: Path) -> Kill:
    """How far a store is, by its files."""
    shards, rows = (sum(path.is_file() and path.name.isdigit() for path in (store / name / "c").rglob("*")) for name in ("image", "reason"))
    return Kill(rows, shards - rows)


def kill_and_finish(folder: Path, name: str, kills: int, seed: int = 0, delay_s: float = 0.05, scheduler: str = "") -> list[Kill]:
    """Kill `kills` attempts, then let one finish; what each kill left.

    Each is killed at a random moment, every second one not before it has finished a block: on a busy machine none may get that far in a second.

    Raises:
        AssertionError: an attempt was done before it could be killed, or the last one failed.
    """
    draw, left = random.Random(seed), [Kill(0, 0)]  # noqa: S311 - moments of kills, no secret
    while len(left) <= kills:
        with start(folder, name, delay_s, scheduler) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(draw.uniform(0.02, 1.0))
            while len(left) % 2 == 0 and process.poll() is None and progress_of(folder / name).done <= left[-1].done:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
        if (folder / name / "zarr.json").exists():
            raise AssertionError("done before it was killed; make it slower")
        left.append(progress_of(folder / name))
    with start(folder, name, scheduler=scheduler) as process:
        error = process.stderr.read() if process.stderr else ""
    assert process.returncode == 0, error
    return left[1:]
