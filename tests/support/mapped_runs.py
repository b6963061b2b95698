"""A run with every segmentation method, its image as files, and maps of it that are killed."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cropcam.model.runs.checkpoint import BEST
from cropcam.model.runs.config import RunConfig
from cropcam.model.segmentation.methods import LOGIT_ARGMAX, SPECTRAL, Method, Segmenter, save, unfitted
from cropcam.pipeline.runtime.hashing import file_sha256
from cropcam.pipeline.study.study import Study, load_study, parse_study
from support.map_runs import BANDS, as_trained, info_of, make_config, make_run, random_dn, with_attrs
from support.memory_source import LEGEND, make_grid
from support.rasters import write_raster

SIZE_PX, HEIGHT, WIDTH = 16, 150, 130
LAYERS = ("probabilities", "uncertainty", "polygons")
LIMIT_S = 300  # for what takes seconds on an idle machine
# maps in windows of 32 px; stops itself before the function named last, or after each window waits
SCRIPT = """
import os, signal, sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from cropcam.model.inference import wall_to_wall
from cropcam.pipeline.maps import finishing, window_files
from support.mapped_runs import made
folder, out, before = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
def stop(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
if before == "publish":
    publish = finishing.publish
    finishing.publish = lambda made, path, legend=None: stop() if path == out else publish(made, path, legend)
elif before == "discard":
    def half(folder):
        for path in sorted(folder.iterdir())[::2]:
            path.unlink()
        stop()
    window_files.remove = half
elif before:
    setattr(wall_to_wall, before, stop)
print("ready", flush=True)
made(folder, out, progress=lambda *_: time.sleep(0 if before else 0.05))
"""


def study_of_bands() -> Study:
    """The demo study with the bands of `make_config`."""
    values: dict[str, Any] = load_study("demo").to_dict()
    values["image"] = {**values["image"], "bands": list(BANDS)}
    return parse_study(values)


def methods_of(bias_K: Sequence[float]) -> dict[str, Method]:
    spectra = Method(
        SPECTRAL,
        (1.0,) * len(LEGEND),
        tuple(bias_K),
        mean_KC=tuple((0.5 * k - 1, 0.3 * k, -0.2 * k) for k in range(len(LEGEND))),
        cov_CC=((1.0, 0.2, 0.0), (0.2, 0.5, 0.1), (0.0, 0.1, 2.0)),
        temperature=1.4,
    )
    return {**unfitted(bias_K), SPECTRAL: spectra}


def config_of(model: str = "fcn") -> RunConfig:
    return with_attrs(make_config(SIZE_PX, model=model), info_of(study_of_bands(), SIZE_PX))


def make_fitted_run(path: Path, model: str = "fcn") -> Path:
    """A run whose methods are fitted; the spectral one is its default."""
    config = config_of(model)
    network = as_trained(config)
    torch.manual_seed(3)
    network.dense.bias.data.uniform_(-0.5, 0.5)
    make_run(path, network, config)
    save(path, Segmenter(methods_of(network.dense.bias.tolist()), SPECTRAL, "made up"), file_sha256(path / BEST))
    assert LOGIT_ARGMAX in methods_of([0.0] * len(LEGEND))
    return path


def make_image(folder: Path, height: int = HEIGHT, width: int = WIDTH, seed: int = 0) -> list[Path]:
    """Files of a band each, in the order of the run's bands."""
    dn = random_dn(np.random.default_rng(seed), height, width, 0.4)
    paths = [folder / f"scene_20160831_{band}.tif" for band in BANDS]
    return [write_raster(path, values, make_grid(height, width), nodata=0) for path, values in zip(paths, dn, strict=True)]


def made(folder: Path, out: Path, **options: Any) -> Any:
    """The map `out` of FOLDER/run and the image beside it, with every layer, in windows of 32 px."""
    from cropcam.model.inference.wall_to_wall import Outputs, map_raster
    from cropcam.pipeline.rasters.own_image import open_own_image

    image = open_own_image([folder / f"scene_20160831_{band}.tif" for band in BANDS], study_of_bands().image)
    outputs = Outputs(out.with_name("p.tif"), out.with_name("u.tif"), polygons=out.with_name("o.parquet"))
    return map_raster(folder / "run", image, out, outputs=outputs, device="cpu", block_px=32, **options)


def start(folder: Path, out: Path, before: str = "") -> subprocess.Popen[str]:
    """One attempt, killed `before` a function or slow at each window."""
    words = [
        sys.executable,
        "-c",
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n{SCRIPT}",
        str(folder),
        str(out),
        before,
    ]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def windows_done(out: Path) -> int:
    return len(list(out.with_name(f".{out.name}.windows").glob("[0-9]*_*.tif")))


def kill_at_random(folder: Path, out: Path, seed: int) -> int:
    """Kill an attempt at a random moment after it has made a window more than there were; windows that are done then."""
    draw, before = random.Random(seed), windows_done(out)  # noqa: S311 - moments of kills, no secret
    with start(folder, out) as process:
        limit = time.monotonic() + LIMIT_S
        while process.poll() is None and windows_done(out) <= before and time.monotonic() < limit:
            time.sleep(0.005)
        time.sleep(draw.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
    return windows_done(out)
