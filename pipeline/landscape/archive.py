"""Writes a simulated archive: one folder per asset, complete or absent, resumable after a kill."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.io import DatasetWriter

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid, Window, tiles
from cropcam.pipeline.landscape.assets import MAKER, asset_folder, create, finish, is_complete, label_asset, label_year, raster_window
from cropcam.pipeline.landscape.frames import Frame, Scene, is_wide_and_low, scenes
from cropcam.pipeline.landscape.scenes import Block, Ground, covered, label_grid, labels
from cropcam.pipeline.landscape.spectra import BANDS
from cropcam.pipeline.legend_sources import cdl
from cropcam.pipeline.runtime.atomic import exclusive_lock
from cropcam.pipeline.runtime.progress import Progress, silent
from cropcam.pipeline.runtime.provenance import provenance
from cropcam.pipeline.study.study import Study

LANDSCAPE_VERSION = 1  # incremented when the pixels of a study and seed change
SCENE_BANDS = (*(f"SR_B{band}" for band in range(1, BANDS + 1)), "QA_PIXEL", "QA_RADSAT")
LABEL_BANDS = ("cropland", "confidence")
DATES_AT_ONCE = 12  # scenes of a frame written side by side, so that their land is worked out once
BLOCK_PX = 512
_CACHE_BYTES = 64 * 2**20
_NODATA = {"QA_PIXEL": 1, "QA_RADSAT": None}  # of bands whose nodata is not 0
_NOT_COMPARED = ("study", "study_digest", "code_version")  # recorded, but they decide no pixel


@dataclass(frozen=True)
class ArchiveSummary:
    """Result of `simulate`: asset ids, numbers of written and of existing assets."""

    archive: Path
    assets: tuple[str, ...]
    written: int
    existing: int


def simulate(study: Study, archive: Path, seed: int = 0, progress: Progress = silent, *, block_px: int = BLOCK_PX) -> ArchiveSummary:
    """An archive of simulated Landsat scenes and CDL for the study's area and period.

    Works block by block: memory does not grow with the area. Pixel values depend on the study's area, period,
    collections and label asset and on the seed only, not on `block_px`. Complete assets are kept and each new
    asset is published by renaming, so a killed run resumes where it stopped.

    Args:
        study: decides area, period, collections and the label year.
        archive: folder, made if absent.
        seed: another seed, another land.
        progress: called with (blocks done, blocks in all, asset id).
        block_px: side of the blocks in pixels; multiples of 256 write fastest.

    Raises:
        ConfigError: the study cannot be simulated (not Landsat, not CDL, not in the contiguous United States).
        DataError: the archive holds assets of another study, seed or maker, cannot be written, or another process writes it.
    """
    year, planned = label_year(label_asset(study)), scenes(study)
    made_by = identity(study, seed)
    try:
        _check_archive(archive, made_by)
        written = 0
        if _jobs(study, planned, archive):  # a complete archive may be read-only
            archive.mkdir(parents=True, exist_ok=True)
            with exclusive_lock(archive / "simulate"):
                written = _write(_jobs(study, planned, archive), archive, made_by, seed, year, progress, block_px)
        assets = (*(scene.asset for scene in planned), label_asset(study))
    except OSError as error:
        raise DataError(
            f"{archive}: cannot be written: {error}; see to space and rights, then run simulate again, it goes on where it stopped"
        ) from error
    return ArchiveSummary(archive, assets, written, len(assets) - written)


def _write(
    jobs: Sequence[_SceneJob | _LabelJob],
    archive: Path,
    made_by: Mapping[str, Any],
    seed: int,
    year: int,
    progress: Progress,
    block_px: int,
) -> int:
    """Run the jobs; return the number of assets."""
    done, total = 0, sum(job.blocks(block_px) for job in jobs)
    with rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES):
        for job in jobs:
            for note in job.run(archive, made_by, seed, year, block_px):
                done += 1
                progress(done, total, note)
    return sum(len(job.assets) for job in jobs)


def identity(study: Study, seed: int) -> dict[str, Any]:
    """Provenance of an archive, as every asset.json has it under "made_by"."""
    return {
        **provenance(study.name, study_digest=study.digest),
        "maker": MAKER,
        "landscape_version": LANDSCAPE_VERSION + is_wide_and_low(study.area.bounds),  # in version 2 only the rows of these areas moved
        "seed": seed,
        "area.bounds": list(study.area.bounds),
        "image.collections": list(study.image.collections),
        "period": [min(start for start, _ in study.image.seasons), max(end for _, end in study.image.seasons)],
        "labels.asset": label_asset(study),
    }


def _check_archive(archive: Path, made_by: Mapping[str, Any]) -> None:
    if archive.exists() and not archive.is_dir():
        raise DataError(f"{archive}: is a file; name a folder")
    for file in sorted(archive.rglob("asset.json")):
        if file.parent.name.startswith("."):  # unfinished
            continue
        try:
            recorded = json.loads(file.read_text("utf-8")).get("made_by")
        except (ValueError, AttributeError):
            recorded = None
        if not isinstance(recorded, dict) or recorded.get("maker") != MAKER:
            raise DataError(f"{file}: not made by {MAKER}; give the simulated archive a folder of its own")
        for key, value in made_by.items():
            if key not in _NOT_COMPARED and recorded.get(key) != value:
                raise DataError(
                    f"{file.parent}: made with {key} = {recorded.get(key)!r}, now {value!r}; use another folder or remove this one"
                )


class _SceneJob:
    """Several dates of one frame, written together."""

    def __init__(self, frame: Frame, passes: Sequence[Scene]) -> None:
        self.frame, self.passes = frame, passes
        self.assets = tuple(scene.asset for scene in passes)

    def blocks(self, block_px: int) -> int:
        return _block_count(self.frame.grid, block_px)

    def run(self, archive: Path, made_by: Mapping[str, Any], seed: int, year: int, block_px: int) -> Iterator[str]:  # noqa: ARG002 - one shape for both jobs
        clouds, pixels = np.zeros(len(self.passes)), np.zeros(len(self.passes))
        with ExitStack() as stack:
            folders = [stack.enter_context(asset_folder(archive / asset)) for asset in self.assets]
            with ExitStack() as files:
                writers = [
                    {
                        band: files.enter_context(create(folder, band, self.frame.grid, "uint16", _NODATA.get(band, 0)))
                        for band in SCENE_BANDS
                    }
                    for folder in folders
                ]
                for window in tiles(self.frame.grid.shape_yx, (block_px, block_px)):
                    ground = Ground(self.frame, window, seed)
                    for i, scene in enumerate(self.passes):
                        block = ground.block(scene)
                        _write_block(writers[i], block, window)
                        pixels[i] += int((block.qa_pixel != 1).sum())
                        clouds[i] += int((block.qa_pixel >> 3 & 1).sum())
                    yield self.assets[0]
            for i, scene in enumerate(self.passes):
                cover = round(100 * clouds[i] / max(pixels[i], 1), 2)
                finish(folders[i], archive / scene.asset, SCENE_BANDS, self.frame.grid, _scene_properties(scene, cover), made_by)


class _LabelJob:
    """The CDL of the study."""

    def __init__(self, asset: str, study: Study) -> None:
        self.assets = (asset,)
        self.grid = label_grid(study.area.bounds)
        self._bounds = study.area.bounds

    def blocks(self, block_px: int) -> int:
        return _block_count(self.grid, block_px)

    def run(self, archive: Path, made_by: Mapping[str, Any], seed: int, year: int, block_px: int) -> Iterator[str]:
        final = archive / self.assets[0]
        with asset_folder(final) as folder:
            with (
                create(folder, "cropland", self.grid, "uint8", 0) as cropland,
                create(folder, "confidence", self.grid, "uint8", 0) as confidence,
            ):
                cropland.write_colormap(1, dict.fromkeys(range(256), (0, 0, 0, 255)) | _colors())
                for window in tiles(self.grid.shape_yx, (block_px, block_px)):
                    part = self.grid.window(window)
                    codes, sure = labels(part, seed, year)
                    inside = covered(part, self._bounds)
                    cropland.write(np.where(inside, codes, 0).astype(np.uint8), 1, window=raster_window(window))
                    confidence.write(np.where(inside, sure, 0).astype(np.uint8), 1, window=raster_window(window))
                    yield self.assets[0]
            start = int(datetime.datetime(year, 1, 1, tzinfo=datetime.UTC).timestamp()) * 1000
            end = int(datetime.datetime(year + 1, 1, 1, tzinfo=datetime.UTC).timestamp()) * 1000
            properties = {"system:time_start": start, "system:time_end": end, "system:index": str(year)}
            finish(folder, final, LABEL_BANDS, self.grid, properties, made_by)


def _jobs(study: Study, planned: Sequence[Scene], archive: Path) -> list[_SceneJob | _LabelJob]:
    jobs: list[_SceneJob | _LabelJob] = []
    if not is_complete(archive / label_asset(study)):
        jobs.append(_LabelJob(label_asset(study), study))
    for frame, passes in groupby(planned, key=lambda scene: scene.frame):
        left = [scene for scene in passes if not is_complete(archive / scene.asset)]
        jobs += [_SceneJob(frame, left[i : i + DATES_AT_ONCE]) for i in range(0, len(left), DATES_AT_ONCE)]
    return jobs


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


def _write_block(writers: Mapping[str, DatasetWriter], block: Block, window: Window) -> None:
    place = raster_window(window)
    for band in range(BANDS):
        writers[SCENE_BANDS[band]].write(block.dn[band], 1, window=place)
    writers["QA_PIXEL"].write(block.qa_pixel, 1, window=place)
    writers["QA_RADSAT"].write(block.qa_radsat, 1, window=place)


def _colors() -> dict[int, tuple[int, int, int, int]]:
    return {item.code: (*item.color, 255) for item in cdl().codes if item.color}


def _block_count(grid: PixelGrid, block_px: int) -> int:
    return math.ceil(grid.height / block_px) * math.ceil(grid.width / block_px)
