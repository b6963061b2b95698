"""Verification of a store: every chunk is read and every table computed again from the pixels, statistics are not. A picture of the splits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from cropcam.pipeline.code_table import hex_color
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.patches.measure import measure
from cropcam.pipeline.patches.splits import TEST, TRAIN, VALIDATION, dilated, units
from cropcam.pipeline.runtime.atomic import atomic_path
from cropcam.pipeline.runtime.outputs import Output, check_outputs, is_marked
from cropcam.pipeline.runtime.progress import Progress, silent
from cropcam.pipeline.store.create import root_json
from cropcam.pipeline.store.patch_store import PatchStore, open_store, readable
from cropcam.pipeline.store.schema import GAP, KEPT, MOST_PCT, NOT_USED, REASONS, ROOT, SPLITS, StoreInfo, table_digest
from cropcam.pipeline.study.study import Study, parse_study
from cropcam.pipeline.text_files import read_json

Tables = dict[str, npt.NDArray[Any]]
SPLIT_COLORS = {"train": (70, 120, 180), "validation": (230, 160, 40), "test": (200, 60, 90)}
DROPPED_COLOR = (225, 225, 225)


@dataclass(frozen=True)
class Report:
    """Counts of checked items, and the problems; the store is sound where `problems` is empty."""

    patches: int
    blocks: int
    problems: tuple[str, ...]


_METADATA: dict[str, dict[str, Any]] = {".png": {"Software": "cropcam"}, ".svg": {"Creator": "cropcam", "Date": None}}
_MARKS = (b"Software\0cropcam", b"<dc:title>cropcam</dc:title>")  # as they lie in the file


def check(path: Path, *, progress: Progress = silent) -> Report:
    """Verify a whole store, one block at a time.

    Args:
        path: a patch store.
        progress: called with (blocks done, in total, note).

    Raises:
        DataError: the store cannot be opened, or a table is damaged.
    """
    store = open_store(path)
    info = store.info
    try:
        study = parse_study(info.study, str(path))
    except ConfigError as error:
        raise DataError(f"{path}: the study in its attributes is damaged: {error}") from None
    unchecked = PatchStore(path, replace(info, tables={}))  # here a table that was changed is one problem of several
    tables = {name: unchecked.table(name) for name in ("valid", "split", "reason", *(("share",) if info.has_labels else ()))}
    problems = [*_coordinates(path, info), *_tables(store, tables), *_splits(unchecked, study)]
    blocks = list(info.layout.blocks())
    for done, block in enumerate(blocks, 1):
        problems += _block(store, tables, block, study.patches.valid_min_share)
        progress(done, len(blocks), f"{len(problems)} problems" if problems else "sound so far")
    return Report(len(unchecked), len(blocks), tuple(problems))


def _coordinates(path: Path, info: StoreInfo) -> Iterator[str]:
    with readable(path, ROOT):
        is_same = read_json(path / ROOT, "a patch store") == json.loads(root_json(path, info))
    if not is_same:
        yield f"{path / ROOT}: its copy of the arrays' metadata is not theirs"
        return
    expected: dict[str, npt.ArrayLike] = {
        **dict(zip(("x", "y"), info.pixel_grid.centres(), strict=True)),
        "band": info.bands,
        "season": info.seasons,
    }
    expected |= info.encoding.coordinates()
    for name, values in expected.items():
        with readable(path, name):
            found = np.asarray(zarr.open_array(path / name, mode="r")[:])
        if not np.array_equal(found, values, equal_nan=found.dtype.kind == "f"):
            yield f"{path / name}: not what the store's attributes make it"


def _tables(store: PatchStore, tables: Tables) -> Iterator[str]:
    split, reason = tables["split"], tables["reason"]
    for name, digest in store.info.tables.items():
        if name in tables and table_digest(tables[name]) != digest:
            yield f"{store.path / name}: was changed after the store was made"
    for name, values, known in (("split", split, (*range(len(SPLITS)), NOT_USED)), ("reason", reason, range(len(REASONS)))):
        if not np.isin(values, known).all():
            yield f"{store.path / name}: holds {values[~np.isin(values, known)][0]}, which means nothing"
    if ((split != NOT_USED) != (reason == KEPT)).any():
        yield f"{store.path}: split and reason differ in which patches are kept"
    dropped = {name: int((reason == index).sum()) for index, name in enumerate(REASONS) if index != KEPT}
    if dropped != store.info.dropped:
        yield f"{store.path}: the attributes count {store.info.dropped} patches dropped, the tables {dropped}"


def _splits(store: PatchStore, study: Study) -> Iterator[str]:
    split, row, col, grid = store.split_N, store.row_N.astype(np.int32), store.col_N.astype(np.int32), store.info.patch_grid
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


def _block(store: PatchStore, tables: Tables, block: tuple[int, int], valid_min_share: float) -> Iterator[str]:
    info = store.info
    window, rows = info.layout.window(block), info.layout.rows(block)
    try:
        image_CYX = store.read(window)
        label_YX = store.read_labels(window) if info.has_labels else None
        weight_YX = store.read_weights(window) if info.has_weight else None
    except DataError as error:
        yield str(error)
        return
    where = (
        f"block {block[0]}, {block[1]} (rows {window.row}..{window.row + window.height}, columns {window.col}..{window.col + window.width})"
    )
    classes = info.classes
    if label_YX is not None and not (is_code := classes.table.known[label_YX]).all():
        yield f"{where}: label codes that {classes.table.title} does not have: {', '.join(map(str, np.unique(label_YX[~is_code])[:5]))}"
    if weight_YX is not None and (weight_YX > MOST_PCT).any():
        yield f"{where}: a weight of {weight_YX.max()}; weights are per cents, 0 to {MOST_PCT}"
    if weight_YX is not None and label_YX is not None and ((weight_YX > 0) & ~classes.table.labels[label_YX]).any():
        yield f"{where}: weights where there is no label"
    found = measure(image_CYX, label_YX, info.patch_size_px, info.encoding, classes.lookup(), len(classes), valid_min_share)
    here = {name: values[rows] for name, values in tables.items()}
    here["reason"] = np.where(here["reason"] == GAP, KEPT, here["reason"])
    for name, of in (("share", "class shares are not those of the labels"), ("valid", "valid shares are not those of image and labels"),
                     ("reason", "reasons for dropping patches are not those of image and labels")):  # fmt: skip
        if name in here and not np.allclose(here[name], found[name], rtol=0, atol=1e-6, equal_nan=True):
            yield f"{where}: {of}"


def picture_path(store: Path, out: Path | None) -> Path:
    """The path of the picture: `out`, else a PNG beside the store. Call it before `check`, which may take minutes.

    Raises:
        ConfigError: neither a PNG nor an SVG.
        DataError: another file, or a folder, is there.
    """
    picture = store.with_name(f"{store.name.removesuffix('.zarr')}-splits.png") if out is None else out
    check_outputs([Output(picture, "--out", "picture", _is_picture)], [store])
    return picture


def _is_picture(path: Path) -> bool:
    """Whether a file is a picture that `draw` made."""
    return any(is_marked(path, mark) for mark in _MARKS)


def draw(store: Path, picture: Path) -> None:
    """A picture (PNG or SVG) of the patch grid, north up: one square per patch, coloured by split, grey where patches were dropped.

    Raises:
        DataError: the store cannot be opened, or the picture cannot be written.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - only for the picture
    from matplotlib.patches import Patch  # noqa: PLC0415

    opened_store = open_store(store)
    info, split = opened_store.info, opened_store.table("split")
    grid, kept = info.patch_grid, len(opened_store)
    squares = np.full((grid.rows, grid.columns, 3), DROPPED_COLOR, np.uint8)
    entries = []
    for index, (name, color) in enumerate(SPLIT_COLORS.items()):
        members = split == index
        squares[members] = color
        entries.append((f"{name}: {int(members.sum()):,}", color))
    entries.append((f"dropped: {grid.count - kept:,}", DROPPED_COLOR))
    figure = Figure(figsize=(9, 9 * max(0.25, min(1.5, grid.rows / grid.columns)) + 1), layout="constrained")
    axes = figure.subplots()
    axes.imshow(squares, interpolation="nearest", aspect="equal")
    axes.set(
        title=f"{info.name}: {kept:,} of {grid.count:,} patches",
        xlabel="patch column, from the west",
        ylabel="patch row, from the north",
    )
    axes.title.set_parse_math(False)  # a name may hold dollar signs
    handles = [Patch(facecolor=hex_color(color), label=label) for label, color in entries]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    try:
        with atomic_path(picture) as temp_path:
            figure.savefig(temp_path, dpi=150, metadata=_METADATA[picture.suffix.lower()])
    except (OSError, ValueError) as error:
        raise DataError(f"{picture}: the picture cannot be written ({error}); choose another place with --out") from None
