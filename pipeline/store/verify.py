"""Verification of a store: places, splits, shares and checksums are computed again, statistics are not. A picture of the splits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.legend import IS_CDL, UNLABELLED
from cropcam.pipeline.runtime.atomic import atomic_path
from cropcam.pipeline.runtime.progress import Progress, silent
from cropcam.pipeline.shardfile import file_checksum
from cropcam.pipeline.splits import TEST, TRAIN, VALIDATION, dilated, units
from cropcam.pipeline.store.schema import NODATA_DN, PATCHES_PER_SHARD, SPLITS, StoreInfo, open_store, shard_path
from cropcam.pipeline.study.study import Study, parse_study

SPLIT_COLORS = {"train": (70, 120, 180), "validation": (230, 160, 40), "test": (200, 60, 90)}
DROPPED_COLOR = (225, 225, 225)
_HELD_BYTES = 2**26  # of pixels that are decoded together
_UNREADABLE = (OSError, RuntimeError, ValueError, KeyError)  # errors of zarr and its codecs for damaged bytes


@dataclass(frozen=True)
class Report:
    """Counts of checked items, and the problems; the store is sound where `problems` is empty."""

    patches: int
    shards: int
    checksums: bool
    problems: tuple[str, ...]


def check(store: Path, *, progress: Progress = silent) -> Report:
    """Verify a whole store, one zarr shard at a time.

    Args:
        store: a patch store.
        progress: called with (zarr shards done, in total, note).

    Raises:
        DataError: the store cannot be opened.
    """
    dataset, info = open_store(store)
    try:
        study = parse_study(info.study, str(store))
    except ConfigError as error:
        raise DataError(f"{store}: the study in its attributes is damaged: {error}") from None
    small = _small(store, dataset, "row", "col", "share", "valid", "split")
    problems = list(_places(small, info))
    problems += _splits(small, info, study) if _are_inside(small, info) else []
    count = -(-len(small["row"]) // PATCHES_PER_SHARD)
    for number in range(count):
        problems += _checksum(store, info, number)
        problems += _shard(store, dataset, info, small, number)
        progress(number + 1, count, f"{len(problems)} problems" if problems else "sound so far")
    return Report(len(small["row"]), count, bool(info.checksums), tuple(problems))


def _small(store: Path, dataset: xr.Dataset, *names: str) -> dict[str, npt.NDArray[Any]]:
    try:
        return {name: dataset[name].to_numpy() for name in names}
    except _UNREADABLE as error:
        raise DataError(f"{store}: one of {', '.join(names)} cannot be read ({_line(error)}); cut the store again") from None


def _line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _places(small: dict[str, npt.NDArray[Any]], info: StoreInfo) -> Iterator[str]:
    grid = info.patch_grid
    place = small["row"].astype(np.int64) * grid.columns + small["col"]
    if (np.diff(place) <= 0).any():
        yield "patches are not in row-major order, or one stands twice"
    if not _are_inside(small, info):
        yield f"row or col lies outside the grid of {grid.columns} x {grid.rows} patches"
    dropped = sum(info.dropped.values())
    if len(place) + dropped != grid.count:
        yield f"{len(place):,} patches kept and {dropped:,} dropped are not the grid's {grid.count:,}"


def _are_inside(small: dict[str, npt.NDArray[Any]], info: StoreInfo) -> bool:
    grid = info.patch_grid
    return all(((small[name] >= 0) & (small[name] < end)).all() for name, end in (("row", grid.rows), ("col", grid.columns)))


def _splits(small: dict[str, npt.NDArray[Any]], info: StoreInfo, study: Study) -> Iterator[str]:
    split, row, col, grid = small["split"], small["row"], small["col"], info.patch_grid
    if split.size and split.max() >= len(SPLITS):
        yield f"split holds {split.max()}; known are 0..{len(SPLITS) - 1} ({', '.join(SPLITS)})"
        return
    for index, name in enumerate(SPLITS):
        if not (split == index).any():
            yield f"no patch lies in the {name} split"
    unit = units(row, col, study.splits, grid)
    pairs = np.unique(np.stack([unit, split.astype(np.int64)]), axis=1)
    mixed = pairs.shape[1] - len(np.unique(unit))
    if mixed:
        yield f"{mixed} blocks hold patches of several splits: the splits are not disjoint in space"
    places = {index: np.zeros((grid.rows, grid.columns), bool) for index in (TRAIN, VALIDATION, TEST)}
    for index, marks in places.items():
        marks[row[split == index], col[split == index]] = True
    gap = study.splits.gap_patches
    for first, second in ((TRAIN, VALIDATION), (TRAIN, TEST), (VALIDATION, TEST)):
        near = int((places[first] & dilated(places[second], gap)).sum()) if gap else 0
        if near:
            yield f"{near} {SPLITS[first]} patches lie within {gap} patches of the {SPLITS[second]} split"


def _checksum(store: Path, info: StoreInfo, number: int) -> Iterator[str]:
    for name in ("image", "label"):
        expected = info.checksums.get(name)
        path = shard_path(store, name, number)
        if expected is None:
            if not path.is_file():
                yield f"{path}: the zarr shard is missing"
        elif number >= len(expected):
            yield f"{path}: no checksum in the store's attributes"
        elif (checksum := file_checksum(path)) != expected[number]:
            yield f"{path}: crc32c {checksum or 'of no file'}, written was {expected[number]}"


def _shard(store: Path, dataset: xr.Dataset, info: StoreInfo, small: dict[str, npt.NDArray[Any]], number: int) -> Iterator[str]:
    stop = min((number + 1) * PATCHES_PER_SHARD, len(small["row"]))
    step = max(1, _HELD_BYTES // (info.patch_size_px**2 * (2 * len(info.bands) + 1)))
    for start in range(number * PATCHES_PER_SHARD, stop, step):
        here = slice(start, min(start + step, stop))
        where = f"patches {here.start}..{here.stop - 1}"
        try:
            image, label = (dataset[name][here].to_numpy() for name in ("image", "label"))
        except _UNREADABLE as error:
            yield f"{store}: {where} cannot be read: {_line(error)}"
            return
        yield from _pixels(image, label, info, {name: values[here] for name, values in small.items()}, where)


def _pixels(
    image: npt.NDArray[np.uint16], label: npt.NDArray[np.uint8], info: StoreInfo, small: dict[str, npt.NDArray[Any]], where: str
) -> Iterator[str]:
    if not (is_code := IS_CDL[label]).all():
        yield f"{where}: label codes that no CDL uses: {', '.join(map(str, np.unique(label[~is_code])[:5]))}"
    index = info.classes.index(label)
    counts = np.stack([(index == k).sum(axis=(1, 2)) for k in range(len(info.classes))], axis=1)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    if not np.allclose(share, small["share"], rtol=0, atol=1e-6):
        yield f"{where}: class shares are not those of the labels"
    valid = ((image != NODATA_DN).all(axis=1) & (index != UNLABELLED)).mean(axis=(1, 2))
    if not np.allclose(valid, small["valid"], rtol=0, atol=1e-6):
        yield f"{where}: valid shares are not those of image and labels"
    if (unlabelled := int((counts.sum(axis=1) == 0).sum())) > 0:
        yield f"{where}: {unlabelled} have no label at all"


def picture_path(store: Path, out: Path | None) -> Path:
    """The path of the picture: `out`, else a PNG beside the store. Call it before `check`, which may take minutes.

    Raises:
        ConfigError: a folder, or neither a PNG nor an SVG.
    """
    if out is None:
        return store.with_name(f"{store.name.removesuffix('.zarr')}-splits.png")
    if out.is_dir():
        raise ConfigError(f"--out {out}: is a folder; give the file name of the picture, for example {out / 'splits.png'}")
    if out.suffix.lower() not in (".png", ".svg"):
        raise ConfigError(f"--out {out}: the picture is a PNG or an SVG; end the name in .png or .svg")
    return out


def draw(store: Path, picture: Path) -> None:
    """A picture (PNG or SVG) of the patch grid, north up: one square per patch, coloured by split, grey where patches were dropped.

    Raises:
        DataError: the store cannot be opened, its patches lie outside the grid, or the picture cannot be written.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - only for the picture
    from matplotlib.patches import Patch  # noqa: PLC0415

    dataset, info = open_store(store)
    small = _small(store, dataset, "row", "col", "split")
    if not _are_inside(small, info):
        raise DataError(f"{store}: patches lie outside the grid: no picture")
    grid = info.patch_grid
    squares = np.full((grid.rows, grid.columns, 3), DROPPED_COLOR, np.uint8)
    entries = []
    for index, (name, color) in enumerate(SPLIT_COLORS.items()):
        members = small["split"] == index
        squares[small["row"][members], small["col"][members]] = color
        entries.append((f"{name}: {int(members.sum()):,}", color))
    entries.append((f"dropped: {grid.count - len(small['row']):,}", DROPPED_COLOR))
    figure = Figure(figsize=(9, 9 * max(0.25, min(1.5, grid.rows / grid.columns)) + 1), layout="constrained")
    axes = figure.subplots()
    axes.imshow(squares, interpolation="nearest", aspect="equal")
    axes.set(
        title=f"{info.name}: {len(small['row']):,} of {grid.count:,} patches",
        xlabel="patch column, from the west",
        ylabel="patch row, from the north",
    )
    handles = [Patch(facecolor="#{:02x}{:02x}{:02x}".format(*color), label=label) for label, color in entries]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    try:
        with atomic_path(picture) as temp_path:
            figure.savefig(temp_path, dpi=150)
    except (OSError, ValueError) as error:
        raise DataError(f"{picture}: the picture cannot be written ({error}); choose another place with --out") from None
