"""Spatial blocks of patches, dealt out to train, validation and test.

Neighbouring patches share fields, weather and season; a random split over them would test on what was trained on.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError
from pipeline.store import SPLITS


def deal(
    row: npt.NDArray[np.int32],
    col: npt.NDArray[np.int32],
    block_patches: tuple[int, int],
    fractions: tuple[float, float, float],
    seed: int,
) -> npt.NDArray[np.uint8]:
    """The split of each patch: 0 train, 1 validation, 2 test.

    Non-empty blocks are ranked by a seeded hash of their place and dealt out by the fractions, at least one block per
    split. A patch's split depends on its block alone.

    Args:
        row: patch row on the patch grid, one per patch.
        col: patch column, likewise.
        block_patches: columns and rows of patches per block.
        fractions: train, validation, test; they add up to 1.
        seed: another seed deals the same blocks another way.

    Raises:
        DataError: fewer than three blocks hold a patch.
    """
    blocks, block_of = np.unique(np.stack([row // block_patches[1], col // block_patches[0]], axis=1), axis=0, return_inverse=True)
    count = len(blocks)
    if count < len(SPLITS):
        raise DataError(
            f"{len(row)} patches lie in {count} block{'s' if count != 1 else ''} of {block_patches[0]} x {block_patches[1]} patches; "
            "train, validation and test need at least 3: lower splits.block_patches or widen the area"
        )
    rank = np.argsort(np.argsort([_key(seed, int(block_row), int(block_col)) for block_row, block_col in blocks]))
    validation = max(1, round(fractions[1] * count))
    test = max(1, round(fractions[2] * count))
    while validation + test >= count:  # few blocks: the larger of the two gives way to train
        validation, test = (validation - 1, test) if validation > test else (validation, test - 1)
    split_of_block = np.where(rank < test, 2, np.where(rank < test + validation, 1, 0)).astype(np.uint8)
    return split_of_block[block_of.reshape(-1)]


def _key(seed: int, block_row: int, block_col: int) -> int:
    text = f"{seed}/{block_row}/{block_col}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=7).digest(), "big")
