"""Statistics of a store from the tables and sums of its blocks, without a second pass over the pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.encoding import BandEncoding
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.patches.measure import HISTOGRAM_STEP, bin_edges
from cropcam.pipeline.store.schema import NOT_USED, SPLITS, StoreInfo, opened

_TRAIN = SPLITS.index("train")


def of_store(sums: Path, info: StoreInfo, split_RQ: npt.NDArray[np.uint8], valid_RQ: npt.NDArray[np.float32]) -> dict[str, Any]:
    """The attribute `statistics`; sums are added block by block.

    Args:
        sums: folder of the arrays moments, histogram and, with labels, counts.
        info: of the store.
        split_RQ: split of each patch, 255 = not used.
        valid_RQ: its valid share.

    Raises:
        DataError: sums of values are not finite.
    """
    moments_3C, histogram_CB, pixels_SK = np.zeros((3, len(info.bands))), np.int64(0), np.zeros((len(SPLITS), len(info.classes)), np.int64)
    names = ("moments", "histogram", *(("counts",) if info.has_labels else ()))
    arrays = {name: opened(sums, name) for name in names}
    for block in info.layout.blocks():
        rows = info.layout.rows(block)
        split = split_RQ[rows]
        if not split.size:
            continue
        here = {name: array[rows].read().result() for name, array in arrays.items()}
        moments_3C = moments_3C + here["moments"][split == _TRAIN].sum(axis=0)
        histogram_CB = histogram_CB + here["histogram"][split == _TRAIN].sum(axis=0, dtype=np.int64)
        for index in range(len(SPLITS)) if info.has_labels else ():
            pixels_SK[index] += here["counts"][split == index].sum(axis=0, dtype=np.int64)
    counted = dict(zip(SPLITS, ({name: int(n) for name, n in zip(info.classes.names, row, strict=True)} for row in pixels_SK), strict=True))
    return {
        **_of_bands(moments_3C, info.encoding),
        "histogram": {
            "every_row": HISTOGRAM_STEP,
            "edges": bin_edges(info.encoding.dtype).tolist(),
            "counts": np.asarray(histogram_CB).tolist(),
        },
        **({"class_pixels": counted} if info.has_labels else {}),
        "valid_share": float(valid_RQ[split_RQ != NOT_USED].mean(dtype=np.float64)),
    }


def _of_bands(moments_3C: npt.NDArray[np.float64], encoding: BandEncoding) -> dict[str, Any]:
    pixels, total, squares = moments_3C
    mean = total / np.maximum(pixels, 1)
    with np.errstate(over="ignore", invalid="ignore"):
        std = np.sqrt(np.maximum(squares / np.maximum(pixels, 1) - mean**2, 0))
    if not np.isfinite([mean, std]).all():
        raise DataError(
            "the image holds values too large for a mean and a deviation; is its nodata value without a tag? give it with --nodata"
        )
    scale, offset = np.array(encoding.scale), np.array(encoding.offset)
    return {"split": "train", "pixels": int(pixels.max()), "mean": (mean * scale + offset).tolist(), "std": (std * np.abs(scale)).tolist()}
