"""In which order the patches of a split come, and how each is flipped: a function of its arguments alone, on every machine.

Axis suffix: N patch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cropcam.model.data.prefetch import Order

BAG_RUN = 32  # patches of a group that are kept together


class Plan(NamedTuple):
    """One pass over a split.

    Attributes:
        index_N: patches in order.
        flip_N2: for each place in that order, whether the patch is flipped top-bottom and left-right.
        turn_N: the same for swapping rows and columns after that, which makes quarter turns of flips; None = never.
        ends: streamed: where windows end in the order.
    """

    index_N: npt.NDArray[np.int64]
    flip_N2: npt.NDArray[np.bool_]
    turn_N: npt.NDArray[np.bool_] | None = None
    ends: tuple[int, ...] = ()


def plan_epoch(
    count: int,
    seed: int,
    epoch: int,
    bag_N: npt.NDArray[np.int64] | None = None,
    *,
    quarter_turns: bool = False,
    order: Order | None = None,
) -> Plan:
    """The order and the flips of one training epoch: a function of its arguments alone, on every machine.

    Flips are exact symmetries of a north-up grid, EPSG:4326 included, where a pixel is taller than wide and quarter turns
    are none. Both flips together are the half turn. Groups stay together, in runs of at most `BAG_RUN` patches; longer runs come first,
    so that groups of one size that divides a batch's are never parted, whatever few patches are left over.

    Args:
        count: patches.
        seed: of the run.
        epoch: from 0.
        bag_N: the group of each patch.
        quarter_turns: also swap rows and columns of half of the patches: all eight symmetries of the square.
        order: the order, where streaming decides it.
    """
    random = np.random.default_rng([seed, epoch])
    order_N, flip_N2 = random.permutation(count), random.random((count, 2)) < 0.5
    if bag_N is not None:
        order_N = order_N[np.argsort(bag_N[order_N], kind="stable")]  # by group, at random within each
        place_N = np.arange(count) - np.searchsorted(bag_N[order_N], bag_N[order_N])
        run_N = np.unique(np.stack([bag_N[order_N], place_N // BAG_RUN]), axis=1, return_inverse=True)[1].ravel()
        turn_R = random.permutation(run_N.max() + 1)
        order_N = order_N[np.lexsort([turn_R[run_N], -np.bincount(run_N)[run_N]])]
    turn_N = random.random(count) < 0.5 if quarter_turns else None
    return Plan(order_N, flip_N2, turn_N) if order is None else Plan(order.position_N, flip_N2, turn_N, order.ends)


def plan_in_order(count: int, bag_N: npt.NDArray[np.int64] | None = None, order: Order | None = None) -> Plan:
    """Every patch once, unflipped: in the store's order, groups together."""
    order_N = np.arange(count) if bag_N is None else np.argsort(bag_N, kind="stable")
    return Plan(order_N, np.zeros((count, 2), np.bool_), None, () if order is None else order.ends)


def plan_passes(plans: Sequence[Plan], count: int) -> Plan:
    """One plan after the other, as far as `count` patches."""
    sizes = [len(plan.index_N) for plan in plans]
    starts = np.cumsum([0, *sizes[:-1]])
    ends = [int(start) + end for start, plan in zip(starts, plans, strict=True) for end in plan.ends]
    return Plan(
        np.concatenate([plan.index_N for plan in plans])[:count],
        np.concatenate([plan.flip_N2 for plan in plans])[:count],
        None if plans[0].turn_N is None else np.concatenate([plan.turn_N for plan in plans])[:count],
        tuple(sorted({min(end, count) for end in ends})),
    )
