"""Landsat scenes of an archive: several dates of one frame, written together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.io import DatasetWriter

from cropcam.pipeline.grid import Window, tiles
from cropcam.pipeline.landscape import atmosphere as sky
from cropcam.pipeline.landscape.assets import asset_folder, block_count, create, finish, in_parts, is_complete, raster_window
from cropcam.pipeline.landscape.frames import COLLECTIONS, Frame, Scene, scenes
from cropcam.pipeline.landscape.scenes import Block, Ground
from cropcam.pipeline.landscape.spectra import BANDS
from cropcam.pipeline.study.study import Study

_OLI = {f"SR_B{band + 1}": band for band in range(BANDS)}  # band: its index among the landscape's spectra
_TM = {"SR_B1": 1, "SR_B2": 2, "SR_B3": 3, "SR_B4": 4, "SR_B5": 5, "SR_B7": 6}
_QA = ("QA_PIXEL", "QA_RADSAT")
_NODATA = {"QA_PIXEL": 1, "QA_RADSAT": None}  # of bands whose nodata is not 0
_TM_QA = np.uint16(0xFFFF & ~(1 << sky.CIRRUS) & ~(3 << 14))  # no cirrus, and no confidence of it


def bands_of(collection: str) -> dict[str, int]:
    """The reflective bands of a collection, and where each stands in the landscape's spectra."""
    return _TM if COLLECTIONS[collection][0] in ("LE07", "LT05") else _OLI


class SceneJob:
    """Several dates of one frame, written together."""

    def __init__(self, frame: Frame, passes: Sequence[Scene]) -> None:
        self._frame, self._passes = frame, passes
        self.assets = tuple(scene.asset for scene in passes)

    def blocks(self, block_px: int) -> int:
        """How many blocks `run` goes through."""
        return block_count(self._frame.grid, block_px)

    def run(self, archive: Path, made_by: Mapping[str, Any], seed: int, year: int, block_px: int) -> Iterator[str]:  # noqa: ARG002 - one shape for all jobs
        """Write the scenes; yields the first asset's id after each block."""
        clouds, pixels = np.zeros(len(self._passes)), np.zeros(len(self._passes))
        with ExitStack() as stack:
            folders = [stack.enter_context(asset_folder(archive / asset)) for asset in self.assets]
            with ExitStack() as files:
                writers = [
                    {
                        band: files.enter_context(create(folder, band, self._frame.grid, "uint16", _NODATA.get(band, 0)))
                        for band in (*bands_of(scene.collection), *_QA)
                    }
                    for folder, scene in zip(folders, self._passes, strict=True)
                ]
                for window in tiles(self._frame.grid.shape_yx, (block_px, block_px)):
                    ground = Ground(self._frame, window, seed)
                    for i, scene in enumerate(self._passes):
                        block = ground.block(scene)
                        _write_block(writers[i], block, window, bands_of(scene.collection))
                        pixels[i] += int((block.qa_pixel != 1).sum())
                        clouds[i] += int((block.qa_pixel >> 3 & 1).sum())
                    yield self.assets[0]
            for i, scene in enumerate(self._passes):
                cover = round(100 * clouds[i] / max(pixels[i], 1), 2)
                grids = dict.fromkeys((*bands_of(scene.collection), *_QA), self._frame.grid)
                finish(folders[i], archive / scene.asset, grids, _scene_properties(scene, cover), made_by)


def jobs(study: Study, archive: Path, dates_at_once: int) -> list[SceneJob]:
    """The scenes of the study's area and period that the archive lacks."""
    found = []
    for frame, passes in groupby(scenes(study), key=lambda scene: scene.frame):
        left = [scene for scene in passes if not is_complete(archive / scene.asset)]
        found += [SceneJob(frame, part) for part in in_parts(left, dates_at_once)]
    return found


def assets(study: Study) -> list[str]:
    """Ids of all assets that `jobs` makes in an empty archive."""
    return [scene.asset for scene in scenes(study)]


def _scene_properties(scene: Scene, cloud_cover_pct: float) -> dict[str, Any]:
    return {
        "system:time_start": scene.time_start_ms,
        "system:index": scene.index,
        "CLOUD_COVER": cloud_cover_pct,
        "DATE_ACQUIRED": scene.date.isoformat(),
        "SPACECRAFT_ID": f"LANDSAT_{int(scene.index[2:4])}",
        "WRS_PATH": scene.frame.path,
        "WRS_ROW": scene.frame.row,
        "UTM_ZONE": scene.frame.zone,
    }


def _write_block(writers: Mapping[str, DatasetWriter], block: Block, window: Window, bands: Mapping[str, int]) -> None:
    place, is_oli = raster_window(window), len(bands) == BANDS
    for name, band in bands.items():
        writers[name].write(block.dn[band], 1, window=place)
    saturated = (
        block.qa_radsat
        if is_oli
        else sum((block.qa_radsat >> np.uint16(band) & np.uint16(1)) << np.uint16(int(name[-1]) - 1) for name, band in bands.items())
    )
    writers["QA_PIXEL"].write(block.qa_pixel if is_oli else block.qa_pixel & _TM_QA, 1, window=place)
    writers["QA_RADSAT"].write(saturated, 1, window=place)
