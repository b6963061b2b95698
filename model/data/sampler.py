"""The order of the patches of a split and their flips: functions of their arguments alone, on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

# Patches of a bag that are kept together, a quarter of the default batch: with one bag in a batch each step pulls the network to that bag
# alone (16 polygons of a real scene, 400 steps: accuracy .33, with four bags in a batch .73).
BAG_RUN = 8
WINDOW_BLOCKS = 8  # blocks of a streamed store that are shuffled together: few files are read at a time
Indices = npt.NDArray[np.int64]


class Plan(NamedTuple):
    """One pass over a split."""

    index_N: Indices  # patches in order
    flip_N2: npt.NDArray[np.bool_]  # whether each patch of that order is flipped top-bottom and left-right
    # whether rows and columns are swapped after that: with flips, a quarter turn; None = never
    transpose_N: npt.NDArray[np.bool_] | None = None
    seen_NS: npt.NDArray[np.bool_] | None = None  # the seasons of each patch that count as there; None = all


def plan_epoch(
    count: int,
    seed: int,
    epoch: int,
    *,
    bag_N: Indices | None = None,
    block_N: Indices | None = None,
    rot90: bool = False,
    seasons: int = 1,
    season_drop: float = 0.0,
) -> Plan:
    """Order and flips of one training epoch, and the seasons that its patches lose.

    Flips are exact symmetries of a north-up grid, also of EPSG:4326, where pixels are not square and quarter turns are no symmetry.
    Bags stay together, in runs of at most `BAG_RUN` patches; longer runs come first, so bags whose size divides the batch size are not split.

    `epoch` is from 0, `block_N` the block of each patch in the store, of streamed images (`window_order`). `rot90` also swaps rows
    and columns of half of the patches. Of `seasons`, a share `season_drop` of the patches loses some (`seasons_seen`).
    """
    random = np.random.default_rng([seed, epoch])
    order_N, flip_N2 = random.permutation(count), random.random((count, 2)) < 0.5
    if bag_N is not None:
        order_N = order_N[np.argsort(bag_N[order_N], kind="stable")]  # by bag, at random within each
        place_N = np.arange(count) - np.searchsorted(bag_N[order_N], bag_N[order_N])
        run_N = np.unique(np.stack([bag_N[order_N], place_N // BAG_RUN]), axis=1, return_inverse=True)[1].ravel()
        rank_R = random.permutation(run_N.max() + 1)
        order_N = order_N[np.lexsort([rank_R[run_N], -np.bincount(run_N)[run_N]])]
    transpose_N = random.random(count) < 0.5 if rot90 else None
    seen_NS = seasons_seen(random, count, seasons, season_drop) if season_drop and seasons > 1 else None
    return Plan(order_N if block_N is None else window_order(block_N, seed, epoch), flip_N2, transpose_N, seen_NS)


def seasons_seen(random: np.random.Generator, count: int, seasons: int, drop: float) -> npt.NDArray[np.bool_]:
    """The seasons that each of `count` patches keeps (N, S): all, or, for a share `drop` of them, a random 1 to S - 1."""
    lost_N = np.where(random.random(count) < drop, random.integers(1, seasons, count), 0)
    return random.random((count, seasons)).argsort(axis=1) >= lost_N[:, None]


def joined_plans(plans: Sequence[Plan]) -> Plan:
    """Several passes, one behind the other."""
    if len(plans) == 1:
        return plans[0]
    turned = [plan.transpose_N for plan in plans if plan.transpose_N is not None]
    seen = [plan.seen_NS for plan in plans if plan.seen_NS is not None]
    return Plan(
        np.concatenate([plan.index_N for plan in plans]),
        np.concatenate([plan.flip_N2 for plan in plans]),
        np.concatenate(turned) if turned else None,
        np.concatenate(seen) if seen else None,
    )


def window_order(block_N: Indices, seed: int, epoch: int) -> Indices:
    """Patches in windows of `WINDOW_BLOCKS` random blocks, shuffled within each window. Arguments as of `plan_epoch`."""
    random = np.random.default_rng([seed, epoch])
    by_block = np.argsort(block_N, kind="stable")
    blocks = np.split(by_block, np.flatnonzero(np.diff(block_N[by_block])) + 1)
    order = random.permutation(len(blocks))
    windows = (order[first : first + WINDOW_BLOCKS] for first in range(0, len(blocks), WINDOW_BLOCKS))
    return np.concatenate([random.permutation(np.concatenate([blocks[index] for index in window])) for window in windows])


def plan_in_order(count: int, bag_N: Indices | None = None) -> Plan:
    """Every patch once, unflipped: in the store's order, bags together."""
    order_N = np.arange(count) if bag_N is None else np.argsort(bag_N, kind="stable")
    return Plan(order_N, np.zeros((count, 2), np.bool_))
