"""From rasters to the patch store: cut on one grid, keep the complete, count the rest, split by blocks."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from numcodecs import Blosc

from cropcam.pipeline import __version__, statistics
from cropcam.pipeline.chunks import give_back
from cropcam.pipeline.cluster import Workers, connected
from cropcam.pipeline.cutting import Encoded, shares
from cropcam.pipeline.errors import ConfigError, DataError, WorkStoppedError
from cropcam.pipeline.grid import PatchGrid
from cropcam.pipeline.parallel import AHEAD, cores, run_steps
from cropcam.pipeline.parts import Job, Part, plan
from cropcam.pipeline.rasters.export_shards import open_shards
from cropcam.pipeline.rasters.mosaic import LabelMosaic, RasterMosaic, open_image, open_labels
from cropcam.pipeline.rasters.raster import ValueEncoding
from cropcam.pipeline.resume import Work, differing, partial_folder
from cropcam.pipeline.runtime.atomic import exclusive_lock, remove
from cropcam.pipeline.runtime.hashing import blake3_by_name
from cropcam.pipeline.runtime.progress import Progress
from cropcam.pipeline.splits import RANDOM_WARNING, TRAIN, assign
from cropcam.pipeline.spool import Assembly, Left, Spool
from cropcam.pipeline.store.schema import PATCHES_PER_SHARD, SPLITS, StoreInfo, create, finish, format_dropped, open_store
from cropcam.pipeline.study.study import Study, differences, parse_study

Log = Callable[[str], None]
_MEMORY_BYTES = 768 * 2**20  # of pixels that threads of this process hold
_HELD = AHEAD + 0.5  # what a thread holds, in pieces


@dataclass(frozen=True)
class Summary:
    """What `patches` did: the store's description, patches kept, and whether the store was already there."""

    info: StoreInfo
    count: int
    split_counts: dict[str, int]
    existed: bool


@dataclass(frozen=True)
class _Told:
    """Who is told of progress and of what is worth a line."""

    progress: Progress | None
    log: Log | None

    def say(self, text: str) -> None:
        if self.log:
            self.log(text)


def from_rasters(
    study: Study,
    image: list[Path],
    labels: list[Path],
    store: Path,
    *,
    encoding: ValueEncoding | None = None,
    seed: int = 0,
    scheduler: str | None = None,
    progress: Progress | None = None,
    log: Log | None = None,
) -> Summary:
    """Cut the user's own rasters into a patch store, on the image's own grid.

    Work that was interrupted goes on where it stopped and ends with the same bytes. Needs about a gigabyte, whatever the size of the rasters.

    Args:
        study: gives legend, band names, patch size and splits; its area is not used.
        image: several single-band files or one multi-band file.
        labels: CDL rasters of any grid.
        store: where to write; an equal store there is left as it is.
        encoding: what the image's values mean, if not what its tags and type say.
        seed: of the split.
        scheduler: address of a dask.distributed scheduler; threads of this process without one.
        progress: told (parts done, parts in all, note).
        log: told single lines: what is thrown away, warnings, the cluster's dashboard.

    Raises:
        ConfigError: the study drops labels by confidence, which own labels do not carry.
        DataError: anything wrong with the rasters, another store stands at `store`, or another process is making it.
        WorkStoppedError: the cluster went away, or the disk is full.
    """
    if study.labels.confidence_min_pct:
        raise ConfigError(
            "labels.confidence_min_pct needs CDL's confidence, which an export applies; own label rasters carry none: set it to 0"
        )
    encoding = encoding or ValueEncoding()
    source = open_image([path.absolute() for path in image], study.image.layers, encoding)  # workers may run elsewhere
    source_labels = open_labels([path.absolute() for path in labels], source.grid)
    # names that say nothing of bands leave it to the order, and the last of labels that overlap counts
    order = {"order": json.dumps([*_files(source, source_labels)])}
    asked = {"options": json.dumps(asdict(encoding), sort_keys=True), **order}
    return _cut_store(Job(study, source, source_labels), store, seed, asked, scheduler, _Told(progress, log))


def from_shards(
    study: Study,
    folder: Path,
    store: Path,
    *,
    seed: int = 0,
    scheduler: str | None = None,
    progress: Progress | None = None,
    log: Log | None = None,
) -> Summary:
    """Cut the shards of an export into a patch store, on the study's grid; otherwise as `from_rasters`."""
    source, labels = open_shards(folder.absolute(), study)
    return _cut_store(Job(study, source, labels), store, seed, {}, scheduler, _Told(progress, log))


def _cut_store(job: Job, store: Path, seed: int, asked: dict[str, str], scheduler: str | None, told: _Told) -> Summary:
    source, grid, study = job.source, job.grid, job.study
    if not grid.count:
        size = grid.size_px
        raise DataError(
            f"{source.names[0]}: {source.grid.width} x {source.grid.height} px hold no patch of {size} x {size} px; lower patches.size_px or give a larger raster"
        )
    digests, files = {"study": study.digest, **asked}, _files(source, job.labels)
    if store.is_dir() and not any(store.iterdir()):
        store.rmdir()  # an empty folder made beforehand
    if store.exists():
        found = _existing(store, study, digests | blake3_by_name(files), seed)
        if (left := partial_folder(store)).exists():
            with suppress(DataError, OSError), exclusive_lock(store):  # a process that delivered it was killed, or is at it still
                remove(left)
        return found
    store.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(exclusive_lock(store))
        workers = stack.enter_context(connected(scheduler)) if scheduler else None
        work = Work(store, _asked(study, asked, seed), files, workers.each if workers else None)
        if work.changed:
            told.say(f"starting over: unfinished work found here was begun with another {', another '.join(work.changed[:3])}")
        if study.splits.method == "random":
            told.say(f"warning: {RANDOM_WARNING}")
        if workers:
            told.say(f"dashboard: {workers.dashboard}")
        stack.callback(give_back)
        try:
            _work(job, work, workers, told.progress)
            info, split = _finish(job, work, seed, digests | work.digests())
        except WorkStoppedError:
            raise
        except (DataError, ConfigError):
            work.forget()
            raise
        except OSError as error:
            work.without_metadata()
            raise WorkStoppedError(
                f"{error.filename or store}: {error.strerror or error}; what is done is kept beside the store: make room, then run the same command again"
            ) from None
        work.deliver(store)
    return _summary(info, split, existed=False)


def _work(job: Job, work: Work, workers: Workers | None, progress: Progress | None) -> None:
    """Cut every part that is not done yet."""
    parts, started = plan(job), time.monotonic()
    todo = parts[work.rewind() :]
    before = work.count

    def told(part: Part) -> None:
        if progress:
            rate = (work.count - before) / max(time.monotonic() - started, 1e-9)
            progress(part.index + 1, len(parts), f"{work.count:,} patches kept, {rate:,.0f}/s")

    if workers:
        spool = Spool.begin(work.folder / "spool")
        assembly = Assembly(spool, workers.submit)

        def take(part: Part, found: Encoded | Left) -> None:
            work.add(assembly.take(found), assembly.shard)
            told(part)

        workers.run_steps(job, todo, take, spool.leave)
        work.flush()
        workers.everywhere(give_back)
        spool.end()
    else:
        piece = (
            2
            * len(job.source.bands)
            * max((piece.bottom - piece.top) * (piece.right - piece.left) for part in parts for piece in part.pieces)
        )

        def add(part: Part, found: Encoded) -> None:
            work.add(found)
            told(part)

        run_steps(job, todo, add, max(1, min(cores(), int(_MEMORY_BYTES / (_HELD * piece)))))
        work.flush()


def _finish(job: Job, work: Work, seed: int, digests: dict[str, str]) -> tuple[StoreInfo, npt.NDArray[np.uint8]]:
    """Splits, statistics, small arrays and, last, metadata."""
    study, grid, dropped = job.study, job.grid, work.dropped
    if not work.count:
        raise DataError(_nothing_left(grid, dropped, study))
    parts = list(work.small("row", "col", "counts", "valid"))
    small = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    split, gap = assign(small["row"], small["col"], study.splits, seed, grid)
    moments, counted = statistics.of_bands(work.small("row", "col", "moments", "units", "histogram"), split, gap, study.splits, grid)
    checksums = work.checksums
    if gap.any():
        counted = statistics.without(counted, _decoded(work, gap & (split == TRAIN), (len(job.source.bands), grid.size_px, grid.size_px)))
        checksums = work.without(gap)
        dropped["gap"] = int(gap.sum())
        small, split = {name: values[~gap] for name, values in small.items()}, split[~gap]
    info = StoreInfo(
        study=study.to_dict(),
        bands=job.source.bands,
        classes=study.legend,
        crs=job.source.grid.crs,
        transform=job.source.grid.transform,
        width=job.source.grid.width,
        height=job.source.grid.height,
        patch_size_px=grid.size_px,
        split_seed=seed,
        dropped=dict(dropped),
        statistics=statistics.attributes(moments, counted)
        | statistics.of_classes(study.legend.names, small["counts"], small["valid"], split),
        digests=digests,
        code_version=__version__,
        checksums={"algorithm": "crc32c", **checksums},
    )
    arrays = {"row": small["row"], "col": small["col"], "share": shares(small["counts"]), "valid": small["valid"], "split": split}
    group = create(work.store, len(split), len(job.source.bands), len(study.legend), grid.size_px, overwrite=False)
    for name, values in arrays.items():
        group[name][:] = values  # type: ignore[index]
    finish(group, len(split), info)
    return info, split


def _decoded(work: Work, wanted: npt.NDArray[np.bool_], shape: tuple[int, int, int]) -> Iterator[npt.NDArray[np.uint16]]:
    blosc = Blosc()
    for chunk, is_wanted in zip(work.patches("image"), wanted, strict=True):
        if is_wanted:
            yield np.frombuffer(blosc.decode(chunk), "<u2").reshape(shape)


def _asked(study: Study, options: Mapping[str, str], seed: int) -> dict[str, str]:
    """Everything the bytes of a store depend on beside its input files, by name."""
    keys = {f"{section}.{key}": json.dumps(value) for section, values in study.to_dict().items() for key, value in values.items()}
    code = {"code": f"{__version__}, {PATCHES_PER_SHARD} patches per zarr shard", "classes": json.dumps(list(study.classes))}
    return {**keys, **options, **code, "split seed": str(seed)}


def _files(source: RasterMosaic, labels: LabelMosaic) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for kind, paths in (("image", source.paths), ("labels", labels.paths)):
        seen: Counter[str] = Counter()
        for path in paths:
            seen[path.name] += 1  # files of several folders may share a name
            found[f"{kind}:{path.name}" + (f" ({seen[path.name]})" if seen[path.name] > 1 else "")] = path
    return found


def _existing(store: Path, study: Study, digests: dict[str, str], seed: int) -> Summary:
    """An equal store is done; another one is never overwritten."""
    dataset, info = open_store(store)
    changed = differences(parse_study(info.study, str(store)).to_dict(), study.to_dict())
    changed += [f"split seed: {info.split_seed} against {seed}"] if info.split_seed != seed else []
    changed += [f"input {key} differs" for key in differing(info.digests, digests) if key != "study"]
    if changed:
        raise DataError(f"{store}: made otherwise ({'; '.join(changed[:3])}); choose another --store, or delete this one")
    return _summary(info, dataset["split"].to_numpy(), existed=True)


def _summary(info: StoreInfo, split: npt.NDArray[np.uint8], existed: bool) -> Summary:
    return Summary(info, len(split), {name: int((split == index).sum()) for index, name in enumerate(SPLITS)}, existed)


def _nothing_left(grid: PatchGrid, dropped: Counter[str], study: Study) -> str:
    return f"none of {grid.count:,} patches is complete ({format_dropped(dropped)}); lower patches.valid_min_share ({study.patches.valid_min_share}), or check that image and labels have data in the same place"
