"""Spatial blocks of patches, dealt out to train, validation and test.

Neighbouring patches share fields, weather and season; a random split over them would test on the training data.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PatchGrid
from cropcam.pipeline.store.schema import SPLITS
from cropcam.pipeline.study.polygons import patches_inside
from cropcam.pipeline.study.sections import Splits

Places = npt.NDArray[np.int32]
TRAIN, VALIDATION, TEST = range(3)
RANDOM_WARNING = (
    'splits.method = "random": neighbouring patches stand in different splits and share fields, weather and season; '
    "figures on the test split overstate what a map of another place would reach"
)


def units(row: Places, col: Places, splits: Splits, grid: PatchGrid) -> npt.NDArray[np.int64]:
    """A number per patch, equal where patches are bound to share a split: the same block and the same side of the hold-out."""
    width, height = _block_patches(splits)
    block = (row.astype(np.int64) // height) * (grid.columns // width + 1) + col // width
    if not splits.holdout:
        return block * 2
    return block * 2 + patches_inside(splits.holdout, grid)[row, col]


def assign(row: Places, col: Places, splits: Splits, seed: int, grid: PatchGrid) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """The split of each patch, and whether it lies in the gap between two splits and is left out.

    Patches inside the hold-out are the test split. A patch within `gap_patches` of a patch of a later split (test before
    validation before train) lies in the gap: test patches never do.

    Raises:
        DataError: too few blocks for the splits, or an empty split.
    """
    if splits.holdout:
        inside = patches_inside(splits.holdout, grid)[row, col]
        if not inside.any():
            raise DataError(
                "splits.holdout: no kept patch lies inside these polygons; are they in longitude and latitude, and in the area?"
            )
        if inside.all():
            raise DataError(
                f"splits.holdout: all {len(row):,} kept patches lie inside these polygons; nothing is left to train on: draw them smaller"
            )
        split = np.full(len(row), TEST, np.uint8)
        train, validation, _ = splits.fractions
        whole = train + validation
        split[~inside] = _deal(row[~inside], col[~inside], splits, (train / whole, validation / whole, 0.0), seed)
    else:
        split = _deal(row, col, splits, splits.fractions, seed)
    gap = _gap(row, col, split, splits.gap_patches, grid)
    for index, name in enumerate(SPLITS):
        if not (split[~gap] == index).any():
            raise DataError(
                f"splits.gap_patches = {splits.gap_patches} leaves no {name} patch; lower it or take larger splits.block_patches"
            )
    return split, gap


def deal(
    row: Places, col: Places, block_patches: tuple[int, int], fractions: tuple[float, float, float], seed: int
) -> npt.NDArray[np.uint8]:
    """The split of each patch: 0 train, 1 validation, 2 test.

    Non-empty blocks are ranked by a seeded hash of their place and dealt out by the fractions, at least one block per
    split that has a fraction. A patch's split depends on its block alone.

    Args:
        row: patch row on the patch grid, one per patch.
        col: patch column, likewise.
        block_patches: columns and rows of patches per block.
        fractions: train, validation, test; they add up to 1.
        seed: another seed deals the same blocks another way.

    Raises:
        DataError: fewer blocks hold a patch than there are splits.
    """
    rank, block_of = _ranked(row, col, block_patches, seed, sum(fraction > 0 for fraction in fractions))
    count = len(rank)
    validation = max(1, round(fractions[1] * count))
    test = max(1, round(fractions[2] * count)) if fractions[2] else 0
    while validation + test >= count:  # few blocks: the larger of the two yields to train
        validation, test = (validation - 1, test) if validation > test else (validation, test - 1)
    split_of_block = np.where(rank < test, TEST, np.where(rank < test + validation, VALIDATION, TRAIN)).astype(np.uint8)
    return split_of_block[block_of]


def deal_folds(
    row: Places, col: Places, block_patches: tuple[int, int], folds: int, fold: int, seed: int, has_test: bool = True
) -> npt.NDArray[np.uint8]:
    """The split of each patch in one of `folds` cross-validation rounds; every block is tested in exactly one of them.

    Blocks are ranked as in `deal` and go round the folds: those of fold `fold` are the test split, of the next one
    validation. Without a test split (another rule names it), fold `fold` is validation.
    """
    rank, block_of = _ranked(row, col, block_patches, seed, folds)
    turn = (rank - fold) % folds
    first, second = (TEST, VALIDATION) if has_test else (VALIDATION, TRAIN)
    return np.where(turn == 0, first, np.where(turn == 1, second, TRAIN)).astype(np.uint8)[block_of]


def _deal(row: Places, col: Places, splits: Splits, fractions: tuple[float, float, float], seed: int) -> npt.NDArray[np.uint8]:
    if splits.method == "folds":
        return deal_folds(row, col, splits.block_patches, splits.folds, splits.fold, seed, has_test=fractions[2] > 0)
    return deal(row, col, _block_patches(splits), fractions, seed)


def _block_patches(splits: Splits) -> tuple[int, int]:
    return (1, 1) if splits.method == "random" else splits.block_patches


def _ranked(
    row: Places, col: Places, block_patches: tuple[int, int], seed: int, least: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The rank of each block that holds a patch, by a seeded hash of its place, and the block of each patch."""
    block_row, block_col = row // block_patches[1], col // block_patches[0]
    across = int(block_col.max(initial=0)) + 1  # a single number per block: unique over pairs takes ten times as long
    blocks, block_of = np.unique(block_row.astype(np.int64) * across + block_col, return_inverse=True)
    count = len(blocks)
    if count < least:
        names = "train, validation and test" if least == len(SPLITS) else "train and validation" if least < len(SPLITS) else "the folds"
        raise DataError(
            f"{len(row)} patches lie in {count} block{'s' if count != 1 else ''} of {block_patches[0]} x {block_patches[1]} patches; "
            f"{names} need at least {least}: lower splits.block_patches or widen the area"
        )
    rank = np.argsort(np.argsort([_key(seed, *divmod(int(block), across)) for block in blocks]))
    return rank, block_of


def _gap(row: Places, col: Places, split: npt.NDArray[np.uint8], gap: int, grid: PatchGrid) -> npt.NDArray[np.bool_]:
    left_out = np.zeros(len(row), bool)
    if not gap:
        return left_out
    taken = np.zeros((grid.rows, grid.columns), bool)
    for index in (TEST, VALIDATION, TRAIN):
        members = split == index
        left_out |= members & dilated(taken, gap)[row, col]
        kept = members & ~left_out
        taken[row[kept], col[kept]] = True
    return left_out


def dilated(mask: npt.NDArray[np.bool_], by: int) -> npt.NDArray[np.bool_]:
    """Cells within `by` steps of a marked cell, diagonals included (binary dilation)."""
    wide = mask
    for axis in (0, 1):
        cumulated = np.cumsum(np.insert(wide, 0, False, axis=axis), axis=axis)
        count = wide.shape[axis]
        low, high = np.clip(np.arange(count) - by, 0, count), np.clip(np.arange(count) + by + 1, 0, count)
        wide = np.take(cumulated, high, axis=axis) > np.take(cumulated, low, axis=axis)
    return wide


def _key(seed: int, block_row: int, block_col: int) -> int:
    text = f"{seed}/{block_row}/{block_col}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=7).digest(), "big")
