"""One block of a patch store: read its window, measure it, write its zarr shards, then its rows of the tables.

A block is a unit of work that needs no order: what it writes depends on its place alone, and `reason`, written last, marks it as done.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.patches.measure import measure
from cropcam.pipeline.patches.unfinished import SPEC
from cropcam.pipeline.rasters.label_mosaic import LabelMosaic
from cropcam.pipeline.rasters.mosaic import RasterMosaic
from cropcam.pipeline.rasters.own_image import DerivedImage
from cropcam.pipeline.runtime.memory import keep_freed_memory
from cropcam.pipeline.runtime.tasks import worker_threads
from cropcam.pipeline.store.schema import BUILD, NOT_MEASURED, Layout, StoreInfo, opened

SUMS = ("moments", "histogram", "counts")
_CACHE_MB = 96


@dataclass(frozen=True)
class Job:
    """What every block of a store needs. Picklable.

    Attributes:
        store: the store's folder, which holds `spec` in .build/spec.json.
        info: its metadata so far.
        source: the image.
        labels: its labels on the same grid, if there are any.
        valid_min_share: least share of valid pixels of a kept patch.
        spec: text of the specification.
    """

    store: Path
    info: StoreInfo
    source: RasterMosaic | DerivedImage
    labels: LabelMosaic | None
    valid_min_share: float
    spec: str


def build_block(job: Job, block: tuple[int, int]) -> int:
    """Build one block; the number of patches kept.

    Raises:
        DataError: an input file is damaged, or this machine does not see the store.
        OSError: the disk refuses.
    """
    _check_place(job)
    _keep_memory()
    info, layout = job.info, job.info.layout
    window, rows = layout.window(block), layout.rows(block)
    with rasterio.Env(GDAL_CACHEMAX=_CACHE_MB):
        image_CYX = job.source.read(window)
        label_YX = None if job.labels is None else job.labels.read(window)
        weight_YX = None if job.labels is None or label_YX is None else job.labels.read_weights(window, label_YX)
    _check_place(job)  # again: the command that began this may have been killed since, and another store begun in its place
    writes = [_array(job, "image")[:, *window.slices].write(image_CYX)]
    if label_YX is not None:
        writes.append(_array(job, "label")[window.slices].write(label_YX))
    if weight_YX is not None:
        writes.append(_array(job, "weight")[window.slices].write(weight_YX))
    figures = measure(image_CYX, label_YX, info.patch_size_px, info.encoding, info.classes.lookup(), len(info.classes), job.valid_min_share)
    _finished(job.store, writes)
    if figures["reason"].size:
        _check_place(job)
        tables = {name: values for name, values in figures.items() if name != "reason"}
        _finished(job.store, [_array(job, name)[rows].write(values) for name, values in tables.items()])
        _finished(job.store, [_array(job, "reason")[rows].write(figures["reason"])])
    return int((figures["reason"] == 0).sum())


def is_done(
    store: Path, layout: Layout, block: tuple[int, int], reason: npt.NDArray[np.uint8], *, has_labels: bool, has_weight: bool = False
) -> bool:
    """Whether a block was built: its rows of `reason` are there, or, where it holds no whole patch, its zarr shards."""
    rows = reason[layout.rows(block)]
    if rows.size:
        return bool((rows != NOT_MEASURED).all())
    row, col = map(str, block)
    others = (*(("label",) if has_labels else ()), *(("weight",) if has_weight else ()))
    shards = [store / "image" / "c" / "0" / row / col, *(store / name / "c" / row / col for name in others)]
    return all(shard.is_file() for shard in shards)


def _array(job: Job, name: str) -> Any:  # noqa: ANN401 - tensorstore.TensorStore
    return _opened(job.store / BUILD if name in SUMS else job.store, name, job.spec)


@lru_cache(maxsize=16)
def _opened(folder: Path, name: str, _spec: str) -> Any:  # noqa: ANN401
    return opened(folder, name, threads=worker_threads())  # once per process: its metadata follow from the specification


def _finished(store: Path, writes: list[Any]) -> None:
    for write in writes:
        try:
            write.result()
        except ValueError as error:  # tensorstore has no exceptions of its own
            raise OSError(0, str(error).splitlines()[0], str(store)) from None


def _check_place(job: Job) -> None:
    spec = job.store / BUILD / SPEC
    try:
        is_here = spec.read_text("utf-8") == job.spec
    except OSError:
        is_here = False
    if not is_here:
        raise DataError(
            f"{job.store}: is not on a disk that {socket.gethostname()} shares; give --store a folder that every worker can write"
        )


@cache
def _keep_memory() -> None:
    """Let this process's malloc keep tens of megabytes that were freed: the buffers of a block are the next block's."""
    keep_freed_memory(32 * 2**20, heap_bytes=64 * 2**20)
