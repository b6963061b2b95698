"""Writes a simulated archive: one folder per asset, complete or absent, resumable after a kill."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import rasterio

from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.landscape import embedding, hls, label_assets, landsat, sentinel
from cropcam.pipeline.landscape.assets import MAKER, label_asset, label_year
from cropcam.pipeline.landscape.frames import COLLECTIONS, is_wide_and_low
from cropcam.pipeline.runtime.atomic import exclusive_lock
from cropcam.pipeline.runtime.progress import Progress, silent
from cropcam.pipeline.runtime.provenance import provenance
from cropcam.pipeline.study.study import Study
from cropcam.pipeline.text_files import read_json_object

LANDSCAPE_VERSION = 1  # incremented when the pixels of a study and seed change
DATES_AT_ONCE = 12  # scenes of a frame written side by side, so that their land is worked out once
BLOCK_PX = 512
_CACHE_BYTES = 64 * 2**20
_NOT_COMPARED = ("study", "study_digest", "code_version")  # recorded, but they decide no pixel


class Job(Protocol):
    """Assets that are written together."""

    assets: tuple[str, ...]

    def blocks(self, block_px: int) -> int:
        """How many blocks `run` goes through."""
        ...

    def run(self, archive: Path, made_by: Mapping[str, Any], seed: int, year: int, block_px: int) -> Iterator[str]:
        """Write the assets; yields an asset's id after each block."""
        ...


@dataclass(frozen=True)
class ArchiveSummary:
    """Result of `simulate`: asset ids, numbers of written and of existing assets."""

    archive: Path
    assets: tuple[str, ...]
    written: int
    existing: int


def simulate(study: Study, archive: Path, seed: int = 0, progress: Progress = silent, *, block_px: int = BLOCK_PX) -> ArchiveSummary:
    """An archive of simulated scenes and labels for the study's area and period: of each collection that the study names.

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
        ConfigError: the study cannot be simulated: another collection or legend, or not in the contiguous United States.
        DataError: the archive holds assets of another study, seed or maker, cannot be written, or another process writes it.
    """
    year, planned = label_year(label_asset(study)), _assets(study)
    made_by = identity(study, seed)
    try:
        _check_archive(archive, made_by)
        written = 0
        if _jobs(study, archive):  # a complete archive may be read-only
            archive.mkdir(parents=True, exist_ok=True)
            with exclusive_lock(archive / "simulate"):
                written = _write(_jobs(study, archive), archive, made_by, seed, year, progress, block_px)
        assets = tuple(planned)
    except OSError as error:
        raise DataError(
            f"{archive}: cannot be written: {error}; see to space and rights, then run simulate again, it goes on where it stopped"
        ) from error
    return ArchiveSummary(archive, assets, written, len(assets) - written)


def _write(
    jobs: Sequence[Job],
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
        "period": [day.isoformat() for day in study.image.period],
        "labels.asset": label_asset(study),
    }


def _check_archive(archive: Path, made_by: Mapping[str, Any]) -> None:
    if archive.exists() and not archive.is_dir():
        raise DataError(f"{archive}: is a file; name a folder")
    for file in sorted(archive.rglob("asset.json")):
        if file.parent.name.startswith("."):  # unfinished
            continue
        try:
            recorded = read_json_object(file, "the record of an asset").get("made_by")
        except DataError:
            recorded = None
        if not isinstance(recorded, dict) or recorded.get("maker") != MAKER:
            raise DataError(f"{file}: not made by {MAKER}; give the simulated archive a folder of its own")
        for key, value in made_by.items():
            if key not in _NOT_COMPARED and recorded.get(key) != value:
                raise DataError(
                    f"{file.parent}: made with {key} = {recorded.get(key)!r}, now {value!r}; use another folder or remove this one"
                )


def _jobs(study: Study, archive: Path) -> list[Job]:
    found: list[Job] = []
    found += label_assets.jobs(study, archive)
    for make in _makers(study):
        found += make.jobs(study, archive, DATES_AT_ONCE)
    return found


def _assets(study: Study) -> list[str]:
    labels = [label_asset(study)] if study.labels else []
    return [*(asset for make in _makers(study) for asset in make.assets(study)), *labels]


def _makers(study: Study) -> list[Any]:
    """The modules that make the study's collections.

    Raises:
        ConfigError: a collection that cannot be simulated.
    """
    of = dict.fromkeys(COLLECTIONS, landsat) | dict.fromkeys(hls.COLLECTIONS, hls)
    of |= {sentinel.COLLECTION: sentinel, embedding.COLLECTION: embedding}
    for collection in study.image.collections:
        if collection not in of:
            raise ConfigError(f"image.collections: {collection!r} cannot be simulated; only {', '.join(of)}")
    return list(dict.fromkeys(of[collection] for collection in study.image.collections))
