"""Pixel accuracy by how many seasons of the year are seen: what a map would be worth before the year is over.

Axis suffixes: N patch, B patch of a batch, G spatial block, S season; of resamples S the sample itself followed by its resamples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from cropcam.model.evaluation import metrics
from cropcam.model.evaluation.bootstrap import Bootstrap, with_intervals
from cropcam.model.evaluation.truth import Truth
from cropcam.model.networks import Network
from cropcam.model.runs.config import RunConfig
from cropcam.model.segmentation.methods import Method
from cropcam.model.segmentation.predictions import forward_batches
from cropcam.pipeline.legend import UNLABELLED
from cropcam.pipeline.store.patch_store import PatchStore

Indices = npt.NDArray[np.int64]


def seasons_seen(
    network: Network, config: RunConfig, store: PatchStore, truth: Truth, block_N: Indices, device: torch.device, method: Method
) -> dict[str, Any]:
    """`seasons_seen` for the `segmentation` part of metrics.json; empty for a network that needs every season, or of one season.

    One entry for the first 1, 2, ... S seasons in time order: `seasons` (their number), `season` (the last of them, START/END),
    `pixel_accuracy` with its interval, and `pixels`, the labelled pixels with a complete season among them. It costs S passes over the patches.

    Args:
        network: in evaluation mode on `device`.
        config: of its run.
        store: its seasons are the run's.
        truth: of the patches to score.
        block_N: the spatial block of each of them, from 0.
        device: of the passes.
        method: the segmentation.
    """
    if config.seasons == 1:
        return {}
    seasons: list[list[str]] = store.info.study["image"]["seasons"]
    entries = []
    for count in range(1, len(seasons) + 1):
        seen_S = first_seen(seasons, count)
        correct_G2 = _counts(network, config, store, truth, block_N, device, method, seen_S)
        counts_S2 = Bootstrap.of(len(correct_G2)).sums(correct_G2)
        accuracy = with_intervals({"pixel_accuracy": metrics.ratio(counts_S2[:, 0], counts_S2[:, 1])})
        newest = in_time_order(seasons)[count - 1]
        entries.append({"seasons": count, "season": "/".join(seasons[newest]), **accuracy, "pixels": int(correct_G2[:, 1].sum())})
    return {"seasons_seen": entries}


def in_time_order(seasons: Sequence[Sequence[str]]) -> list[int]:
    """Indices of the seasons [START, END], by their end, then by their start: an image is there when its season is over.

    >>> in_time_order([["2016-06-01", "2016-08-01"], ["2016-04-01", "2016-06-01"]])
    [1, 0]
    """
    return sorted(range(len(seasons)), key=lambda index: (seasons[index][1], seasons[index][0]))


def first_seen(seasons: Sequence[Sequence[str]], count: int) -> list[bool]:
    """Whether each season is among the first `count` in time."""
    first = in_time_order(seasons)[:count]
    return [index in first for index in range(len(seasons))]


@torch.inference_mode()
def _counts(
    network: Network,
    config: RunConfig,
    store: PatchStore,
    truth: Truth,
    block_N: Indices,
    device: torch.device,
    method: Method,
    seen_S: Sequence[bool],
) -> npt.NDArray[np.int64]:
    """Correct and labelled pixels of each block (G, 2)."""
    counts_G2, first = np.zeros((int(block_N.max(initial=-1)) + 1, 2), np.int64), 0
    for patches_B, x_BCHW, outputs in forward_batches(network, config, store, truth.patches_N, device, seen_S):
        predicted_BHW = method(outputs.cams_BKHW, x_BCHW, outputs.valid_BHW).cpu().numpy()
        truth_BHW = truth.classes(patches_B)
        known_BHW = outputs.valid_BHW.cpu().numpy() & (truth_BHW != UNLABELLED)
        both_B2 = np.stack([(known_BHW & (predicted_BHW == truth_BHW)).sum(axis=(1, 2)), known_BHW.sum(axis=(1, 2))], axis=1)
        np.add.at(counts_G2, block_N[first : first + len(patches_B)], both_B2)
        first += len(patches_B)
    return counts_G2
