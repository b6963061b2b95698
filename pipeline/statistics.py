"""Statistics of a whole store from the statistics of its parts, without a second pass over the pixels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.cutting import histogram
from cropcam.pipeline.grid import PatchGrid
from cropcam.pipeline.kernels import BIN_DN, BINS, HISTOGRAM_STEP
from cropcam.pipeline.splits import TRAIN, units
from cropcam.pipeline.store.schema import OFFSET, SCALE, SPLITS
from cropcam.pipeline.study.study import Splits

Small = dict[str, npt.NDArray[Any]]


def of_bands(
    parts: Iterable[Small], split_N: npt.NDArray[np.uint8], gap_N: npt.NDArray[np.bool_], splits: Splits, grid: PatchGrid
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Moments (3, C) of the training split and the histogram (C, BINS) of its blocks, patches in the gap still in the latter.

    Args:
        parts: statistics of each part, in order.
        split_N: split of each patch.
        gap_N: whether it is left out.
        splits: the study's splits, which define a block.
        grid: the patch grid.
    """
    moments: Any = 0
    counted: Any = 0
    start = 0
    for small in parts:
        stop = start + len(small["row"])
        train = split_N[start:stop] == TRAIN
        moments = moments + small["moments"][train & ~gap_N[start:stop]].sum(axis=0, dtype=np.uint64)
        chosen = np.unique(units(small["row"], small["col"], splits, grid)[train])
        counted = counted + small["histogram"][np.isin(small["units"], chosen)].sum(axis=0, dtype=np.int64)
        start = stop
    return moments, counted


def without(counted_CB: npt.NDArray[np.int64], patches: Iterator[npt.NDArray[np.uint16]]) -> npt.NDArray[np.int64]:
    """A histogram without the pixels of given patches (C, y, x)."""
    for patch in patches:
        counted_CB = counted_CB - histogram(patch)
    return counted_CB


def attributes(moments: npt.NDArray[np.uint64], counted_CB: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Mean and standard deviation of reflectance per band over the valid pixels of the training split, and histograms of DN."""
    pixels, total, squares = moments.astype(np.float64)
    mean = total / np.maximum(pixels, 1)
    std = np.sqrt(np.maximum(squares / np.maximum(pixels, 1) - mean**2, 0))
    return {
        "split": "train",
        "pixels": int(pixels.max()),
        "mean": (mean * SCALE + OFFSET).tolist(),
        "std": (std * SCALE).tolist(),
        "histogram": {"bins": BINS, "bin_dn": BIN_DN, "every_row": HISTOGRAM_STEP, "counts": counted_CB.tolist()},
    }


def of_classes(
    names: tuple[str, ...], counts_NK: npt.NDArray[np.uint32], valid_N: npt.NDArray[np.float32], split_N: npt.NDArray[np.uint8]
) -> dict[str, Any]:
    """Labelled pixels per class and split, and the mean valid share."""
    per_split = {
        split: dict(zip(names, counts_NK[split_N == index].sum(axis=0, dtype=np.int64).tolist(), strict=True))
        for index, split in enumerate(SPLITS)
    }
    return {"class_pixels": per_split, "valid_share": float(valid_N.mean(dtype=np.float64))}


def percentiles(statistics: dict[str, Any], shares: tuple[float, ...] = (0.02, 0.5, 0.98)) -> list[list[float]]:
    """Percentiles of reflectance of the training split, per band, to the width of a histogram bin."""
    about = statistics["histogram"]
    values = []
    for counts in about["counts"]:
        cumulated = np.cumsum(counts)
        bins = [int(np.searchsorted(cumulated, share * cumulated[-1])) for share in shares]
        values.append([(min(n, about["bins"] - 1) + 0.5) * about["bin_dn"] * SCALE + OFFSET for n in bins])
    return values
