"""From rasters to the patch store, block by block; splits, gaps and statistics at the end.

Work lies in the store's own folder until it is finished: .build/spec.json first, the root zarr.json last. A killed command, run
again, builds the blocks that are missing and ends with the same bytes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cropcam.pipeline import __version__
from cropcam.pipeline.errors import ConfigError, DataError, WorkStoppedError
from cropcam.pipeline.patches import statistics
from cropcam.pipeline.patches.block import Job, build_block, is_done
from cropcam.pipeline.patches.splits import RANDOM_WARNING, assign
from cropcam.pipeline.patches.unfinished import begin, check_place, discard, publish, specification
from cropcam.pipeline.rasters.export_shards import open_shards
from cropcam.pipeline.rasters.files import by_name, changed_since, further_files, stamps_of
from cropcam.pipeline.rasters.label_mosaic import LabelMosaic, open_labels
from cropcam.pipeline.rasters.mosaic import RasterMosaic
from cropcam.pipeline.rasters.own_image import DerivedImage, open_own_image
from cropcam.pipeline.rasters.values import ValueEncoding
from cropcam.pipeline.runtime.atomic import atomic_write, exclusive_lock, kept_if_filled
from cropcam.pipeline.runtime.hashing import blake3_by_name
from cropcam.pipeline.runtime.progress import Progress, silent
from cropcam.pipeline.runtime.tasks import connected, cores, run_in_threads, run_on_cluster
from cropcam.pipeline.store.create import root_json
from cropcam.pipeline.store.patch_store import PatchStore, open_store
from cropcam.pipeline.store.schema import (
    BUILD,
    GAP,
    KEPT,
    NOT_USED,
    PENDING,
    REASONS,
    ROOT,
    SPLITS,
    StoreInfo,
    format_dropped,
    opened,
    table_digest,
)
from cropcam.pipeline.study.study import Study, differences, parse_study

Log = Callable[[str], object]
_MEMORY_BYTES, _HELD = 1200 * 2**20, 3  # threads of this process hold so much, and each three times a block's image


@dataclass(frozen=True)
class Summary:
    """A store's description, patches kept, and whether the store was already there."""

    info: StoreInfo
    count: int
    split_counts: dict[str, int]
    existed: bool


def from_rasters(
    study: Study,
    image: list[Path],
    labels: list[Path],
    store: Path,
    *,
    encoding: ValueEncoding | None = None,
    seed: int = 0,
    scheduler: str | None = None,
    progress: Progress = silent,
    log: Log = silent,
) -> Summary:
    """Build a patch store from the user's own rasters, on the image's own grid.

    Args:
        study: gives legend, band names, patch size and splits; its area is not used.
        image: several single-band files or one multi-band file.
        labels: label rasters of any grid; none for a store of images alone.
        store: where to write; an equal store there is left as it is.
        encoding: what the image's values mean, if not what its tags and type say.
        seed: of the split.
        scheduler: address of a dask.distributed scheduler; threads of this process without one.
        progress: called with (blocks done, blocks in all, note).
        log: called with single lines: warnings, the cluster's dashboard.

    Raises:
        ConfigError: the study has no labels, or drops them by confidence, which own labels do not carry.
        DataError: anything wrong with the rasters, another store stands at `store`, or another process is making it.
        WorkStoppedError: the cluster went away, or the disk is full; the blocks that are done are kept.
    """
    about = study.labels_for("--labels") if labels else None
    if about and about.confidence_min_pct:
        raise ConfigError(
            "labels.confidence_min_pct needs the asset's confidence, which an export applies; own label rasters carry none: set it to 0"
        )
    encoding = encoding or ValueEncoding()
    source = open_own_image([path.absolute() for path in image], study.image, encoding)  # workers may run elsewhere
    source_labels = open_labels([path.absolute() for path in labels], source.grid, study.table, about.band, about.weight) if about else None
    if source.repeated:
        log(f"{', '.join(source.repeated)}: pixels coarser than the finest band's; each is repeated on the finest grid")
    # names that give no band leave it to the order of the files, and the last of labels that overlap counts
    options = {"options": json.dumps(asdict(encoding), sort_keys=True), "order": json.dumps([*_files(source, source_labels)])}
    return _build(study, source, source_labels, store, options, seed, scheduler, progress, log)


def from_shards(
    study: Study,
    folder: Path,
    store: Path,
    *,
    seed: int = 0,
    scheduler: str | None = None,
    progress: Progress = silent,
    log: Log = silent,
) -> Summary:
    """Build a patch store from the shards of an export, on the study's grid; otherwise as `from_rasters`."""
    return _build(study, *open_shards(folder.absolute(), study), store, {}, seed, scheduler, progress, log)


def _build(
    study: Study,
    source: RasterMosaic | DerivedImage,
    labels: LabelMosaic | None,
    store: Path,
    options: dict[str, str],
    seed: int,
    scheduler: str | None,
    progress: Progress,
    log: Log,
) -> Summary:
    grid, paths = source.grid, [*source.paths, *(labels.paths if labels else ())]
    of_image, of_labels = stamps_of(source.paths), stamps_of(labels.paths if labels else ())
    before = of_image | of_labels
    check_place(store, before)
    store = store.resolve()  # of a link its target is made, not the link replaced
    files = _files(source, labels)
    files |= by_name("image file", further_files(source.paths, of_image))
    files |= by_name("labels file", further_files(labels.paths if labels else (), of_labels))
    digests = {"study": study.digest, **options, **blake3_by_name(files)}
    info = StoreInfo(
        study=study.to_dict(),
        bands=source.bands,
        encoding=source.encoding,
        has_labels=labels is not None,
        classes=study.legend,
        crs=grid.crs,
        transform=grid.transform,
        width=grid.width,
        height=grid.height,
        patch_size_px=study.patches.size_px,
        split_seed=seed,
        code_version=__version__,
        digests=digests,
    )
    if not info.patch_grid.count:
        size = info.patch_size_px
        raise DataError(
            f"{source.names[0]}: {grid.width} x {grid.height} px hold no patch of {size} x {size} px; lower patches.size_px or give a larger raster"
        )
    with kept_if_filled(store.parent), exclusive_lock(store):
        if (store / ROOT).exists() or publish(store):
            return _existing(store, study, info)
        check_place(store, before)  # again: nothing came meanwhile
        job = Job(store, info, source, labels, study.patches.valid_min_share, specification(info))
        if study.splits.method == "random":
            log(f"warning: {RANDOM_WARNING}")
        try:
            begin(store, info, log)
            _run(job, scheduler, progress, log)
            if (changed := changed_since(before, paths)) is not None:
                raise DataError(f"{changed}: changed while the store was built from it; run the same command again")
            return _finish(job, study)
        except WorkStoppedError:
            raise
        except (DataError, ConfigError):
            discard(store)
            raise
        except OSError as error:
            raise WorkStoppedError(
                f"{error.filename or store}: {error.strerror or error}; the blocks that are done are kept: make room, then run the same command again"
            ) from None


def _run(job: Job, scheduler: str | None, progress: Progress, log: Log) -> None:
    """Build every block that is not done."""
    info, layout = job.info, job.info.layout
    threads = max(1, min(cores(), _MEMORY_BYTES // (_HELD * _block_bytes(info))))
    reason = opened(job.store, "reason", strict=False).read().result()
    blocks = list(layout.blocks(abreast=threads))
    todo = [
        block for block in blocks if not is_done(job.store, layout, block, reason, has_labels=info.has_labels, has_weight=info.has_weight)
    ]
    started, kept, finished = time.monotonic(), int(((reason == KEPT) | (reason == GAP)).sum()), len(blocks) - len(todo)
    before = kept

    def done(count: int) -> None:
        nonlocal kept, finished
        kept, finished = kept + count, finished + 1
        progress(finished, len(blocks), f"{kept:,} patches kept, {(kept - before) / max(time.monotonic() - started, 1e-9):,.0f}/s")

    if not scheduler:
        run_in_threads(partial(build_block, job), todo, threads, done)
        return
    with connected(scheduler) as client:
        log(f"dashboard: {client.dashboard_link}")
        run_on_cluster(client, partial(build_block, job), todo, done)


def _block_bytes(info: StoreInfo) -> int:
    return len(info.bands) * info.layout.block_px**2 * np.dtype(info.encoding.dtype).itemsize


def _finish(job: Job, study: Study) -> Summary:
    """Splits, gaps and statistics; then everything but the store is removed, and the root written."""
    store, info, grid = job.store, job.info, job.info.patch_grid
    reason_RQ = opened(store, "reason").read().result()
    reason_RQ[reason_RQ == GAP] = KEPT  # of a run that was killed here
    row_N, col_N = (place.astype(np.int32) for place in np.nonzero(reason_RQ == KEPT))
    if not row_N.size:
        raise DataError(
            f"none of {grid.count:,} patches is complete ({format_dropped(_dropped(reason_RQ))}); lower patches.valid_min_share "
            f"({study.patches.valid_min_share}), or check that image and labels have data in the same place"
        )
    split_N, is_gap_N = assign(row_N, col_N, study.splits, info.split_seed, grid)
    split_RQ = np.full(reason_RQ.shape, NOT_USED, np.uint8)
    split_RQ[row_N, col_N] = np.where(is_gap_N, NOT_USED, split_N)
    reason_RQ[row_N[is_gap_N], col_N[is_gap_N]] = GAP
    valid_RQ = opened(store, "valid").read().result()
    tables = {"split": split_RQ, "reason": reason_RQ, "valid": valid_RQ}
    if info.has_labels:
        tables["share"] = opened(store, "share").read().result()
    info = replace(
        info,
        dropped=_dropped(reason_RQ),
        tables={name: table_digest(values) for name, values in sorted(tables.items())},
        statistics=statistics.of_store(store / BUILD, info, split_RQ, valid_RQ),
    )
    for name, values in (("split", split_RQ), ("reason", reason_RQ)):
        opened(store, name).write(values).result()
    atomic_write(store / PENDING, root_json(store, info))
    publish(store)
    return _summary(PatchStore(store, info), existed=False)


def _dropped(reason_RQ: npt.NDArray[np.uint8]) -> dict[str, int]:
    return {name: int((reason_RQ == index).sum()) for index, name in enumerate(REASONS) if index != KEPT}


def _files(source: RasterMosaic | DerivedImage, labels: LabelMosaic | None) -> dict[str, Path]:
    """The rasters by name."""
    return by_name("image", source.paths) | by_name("labels", labels.paths if labels else ())


def _existing(path: Path, study: Study, asked: StoreInfo) -> Summary:
    """An equal store is done; another one is never overwritten."""
    store = open_store(path)
    info = store.info
    changed = differences(parse_study(info.study, str(path)).to_dict(), study.to_dict())
    changed += [f"split seed: {info.split_seed} against {asked.split_seed}"] if info.split_seed != asked.split_seed else []
    keys = sorted({*info.digests, *asked.digests} - {"study"})
    changed += [f"input {key} differs" for key in keys if info.digests.get(key) != asked.digests.get(key)]
    if changed:
        raise DataError(f"{path}: made otherwise ({'; '.join(changed[:3])}); choose another --store, or delete this one")
    return _summary(store, existed=True)


def _summary(store: PatchStore, *, existed: bool) -> Summary:
    counts = {name: int((store.split_N == index).sum()) for index, name in enumerate(SPLITS)}
    return Summary(store.info, len(store), counts, existed)
