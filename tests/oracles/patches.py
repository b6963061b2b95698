"""The figures of patches by plain numpy, patch by patch: what the compiled loop and whole builds are compared with."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.legend import UNLABELLED, Legend

Figures = dict[str, npt.NDArray[Any]]
Nodata = tuple[float | None, ...]


def has_value(pixels_CYX: npt.NDArray[Any], nodata: Nodata) -> npt.NDArray[np.bool_]:
    """Whether each pixel of each band is neither nodata nor NaN."""
    return np.stack(
        [
            ~np.isnan(band.astype(np.float64)) & (True if value is None or np.isnan(value) else band != band.dtype.type(value))
            for band, value in zip(pixels_CYX, nodata, strict=True)
        ]
    )


def figures(
    image_CYX: npt.NDArray[Any], label_YX: npt.NDArray[np.uint8] | None, size: int, nodata: Nodata, legend: Legend, minimum: float
) -> Figures:
    """As `cropcam.pipeline.patches.measure.measure`, without the histogram."""
    bands, height, width = image_CYX.shape
    rows, cols, classes = height // size, width // size, len(legend)
    found: Figures = {
        "valid": np.zeros((rows, cols)),
        "reason": np.zeros((rows, cols), int),
        "moments": np.zeros((rows, cols, 3, bands)),
        "share": np.full((rows, cols, classes), np.nan),
        "counts": np.zeros((rows, cols, classes), int),
    }
    for row, col in product(range(rows), range(cols)):
        part = np.s_[row * size : (row + 1) * size, col * size : (col + 1) * size]
        pixels = image_CYX[:, *part]
        there = has_value(pixels, nodata)
        seen = there.all(axis=0)
        index = None if label_YX is None else legend.index(label_YX[part])
        both = seen if index is None else seen & (index != UNLABELLED)
        kept = [float(mask.mean()) >= minimum - 1e-9 and mask.any() for mask in (seen, both)]
        found["valid"][row, col] = both.mean()
        found["reason"][row, col] = 1 if not kept[0] else 2 if not kept[1] else 0
        values = np.where(there, pixels, 0).astype(np.float64 if pixels.dtype.kind == "f" else object)
        found["moments"][row, col] = np.array([there.sum(axis=(1, 2)), values.sum(axis=(1, 2)), (values**2).sum(axis=(1, 2))], np.float64)
        if index is not None:
            counts = np.array([(index == k).sum() for k in range(classes)])
            found["counts"][row, col] = counts
            if counts.sum():
                found["share"][row, col] = counts / counts.sum()
    return found


def histogram(values: npt.NDArray[Any], edges: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Counts of values by bins; those beyond the ends in the outer bins. Bins of floats hold their edge that is nearer to 0."""
    values = np.asarray(values, np.float64)
    if (np.diff(edges) == np.diff(edges)[0]).all():
        return np.histogram(values, edges)[0]
    above = edges[edges > 0]
    up, down = (np.histogram(np.minimum(side[side >= above[0]], above[-1]), above)[0] for side in (values, -values))
    return np.concatenate([down[::-1], [(np.abs(values) < above[0]).sum()], up])
