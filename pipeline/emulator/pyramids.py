"""Pyramids of an asset's band: which level a request reads, and how a level follows from the one below.

Source: Earth Engine guide "Scale": each pixel of a level is the aggregate of 2 x 2 pixels of the level below, up to the
level that fits 256 x 256 px; a request reads "the pyramid level with the closest scale less than or equal to" its own.
REST reference, PyramidingPolicy: what an aggregate is; a mask becomes the mean of the four masks, except with SAMPLE.

Not documented, and therefore unconfirmed: that scales are compared by their nominal size; that a level lies on the
upper left corner of the raster; that whole numbers are rounded once, half up, at the level that is read. Here a mask is
whole or nothing: a pixel of a level is valid where any pixel below is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.projections import Projection
from cropcam.pipeline.grid import PixelGrid, Window

Policy = Literal["MEAN", "SAMPLE", "MIN", "MAX", "MODE", "MEDIAN"]
POLICIES: tuple[Policy, ...] = get_args(Policy)
Floats = npt.NDArray[np.floating[Any]]
TOP_PX = 256  # the sides of the topmost level are at most this
_ROUNDING = 1e-9  # relative, of a ratio of scales
_STRIP_PX = 1 << 20  # native pixels that are aggregated at a time
# names of integer bands that hold bit fields or codes: QA_PIXEL, QA60, pixel_qa, MSK_CLDPRB, SCL, Fmask, cropland, land_cover, classification
_DISCRETE = re.compile(r"QA|.*_QA|MSK_.*|SCL|Fmask|crop|cropland|.*land_?cover|.*label.*|.*class.*|Map|QA[_\d].*", re.IGNORECASE)


def policy_of(name: str, dtype: npt.DTypeLike, properties: Mapping[str, Any]) -> Policy:
    """The policy of a band that names none: SAMPLE for whole numbers that are bits or codes, else MEAN.

    Codes are bands with a property NAME_class_values, as the catalogue marks them, or with a name such as QA_PIXEL, SCL,
    Fmask or cropland. The service's own choice for each catalogue band is not published.
    """
    is_discrete = f"{name}_class_values" in properties or _DISCRETE.fullmatch(name) is not None
    return "SAMPLE" if is_discrete and np.dtype(dtype).kind in "iub" else "MEAN"


def parse_policy(value: str) -> Policy:
    """A policy by its name in any case.

    Raises:
        EngineError: there is none of that name.
    """
    if value.upper() not in POLICIES:
        raise EngineError(f"Invalid pyramiding policy '{value}': it must be one of {', '.join(POLICIES)}.")
    return cast("Policy", value.upper())


def level_of(native: PixelGrid, requested: PixelGrid) -> int:
    """The level that a requested grid reads: 0 below twice the native scale, 1 below four times it, and so on.

    It follows from the scales at the origins of both CRSs, so that it is the same for every window of a grid.
    """
    ratio = _scale_m(requested.crs, requested.transform) / _scale_m(native.crs, native.transform)
    if ratio < 2 * (1 - _ROUNDING):
        return 0
    top = max(0, math.ceil(math.log2(max(native.shape_yx) / TOP_PX)))
    return min(math.floor(math.log2(ratio * (1 + _ROUNDING))), top)


def level_grid(native: PixelGrid, level: int) -> PixelGrid:
    """The pixels of a level; those at the right and bottom may reach beyond the raster."""
    a, _, c, _, e, f = native.transform
    step = 1 << level
    return PixelGrid(native.crs, (a * step, 0.0, c, 0.0, e * step, f), -(-native.width // step), -(-native.height // step))


def strips(window: Window, level: int) -> Iterator[Window]:
    """A window of a level in rows whose native pixels are about a million."""
    rows = max(1, _STRIP_PX // (window.width << 2 * level))
    for row in range(window.row, window.row + window.height, rows):
        yield Window(row, window.col, min(rows, window.row + window.height - row), window.width)


def native_window(window: Window, level: int, native: PixelGrid) -> Window:
    """The pixels of the raster below a window of a level."""
    row, col = window.row << level, window.col << level
    return Window(row, col, min(window.height << level, native.height - row), min(window.width << level, native.width - col))


def aggregate(
    values: npt.NDArray[Any], valid: npt.NDArray[np.bool_], level: int, policy: Policy
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Pixels of a level, in the type of the values, and whether each is valid.

    Args:
        values: (y, x), beginning on a pixel of the level.
        valid: of the same shape.
        level: number of halvings.
        policy: how four pixels become one.
    """
    step = 1 << level
    if policy == "SAMPLE":
        return values[::step, ::step], valid[::step, ::step]
    padding = [(0, -side % step) for side in values.shape]
    found: Floats = np.pad(np.where(valid, values, 0).astype(np.float64), padding)
    weights: Floats = np.pad(valid.astype(np.float64), padding)
    for _ in range(level):
        found, weights = _halved(found, weights, policy)
    whole = np.floor(found + 0.5) if values.dtype.kind in "iub" else found
    return whole.astype(values.dtype), weights > 0


def _halved(values: Floats, weights: Floats, policy: Policy) -> tuple[Floats, Floats]:
    """The next level: four pixels become one, each weighted by its mask; the mask becomes their mean."""
    corners = ((0, 0), (0, 1), (1, 0), (1, 1))
    four = np.stack([values[row::2, col::2] for row, col in corners])
    weight = np.stack([weights[row::2, col::2] for row, col in corners])
    total = weight.sum(axis=0)
    if policy == "MEAN":
        result = (four * weight).sum(axis=0) / np.where(total > 0, total, 1)
    elif policy in ("MIN", "MAX"):
        fill, choose = (np.inf, np.min) if policy == "MIN" else (-np.inf, np.max)
        result = choose(np.where(weight > 0, four, fill), axis=0)
    else:
        order = np.argsort(np.where(weight > 0, four, np.inf), axis=0, kind="stable")
        four, weight = np.take_along_axis(four, order, 0), np.take_along_axis(weight, order, 0)
        result = _mode(four, weight) if policy == "MODE" else _median(four, weight)
    return np.where(total > 0, result, 0), total / 4


def _mode(four: Floats, weight: Floats) -> Floats:
    """The value with the largest sum of weights, the smallest of equals; values ascend along the first axis."""
    sums = np.stack([np.where(four == one, weight, 0).sum(axis=0) for one in four])
    return np.asarray(np.take_along_axis(four, sums.argmax(axis=0)[None], 0)[0])


def _median(four: Floats, weight: Floats) -> Floats:
    """The value at half of the sum of weights, the mean of the two that meet there; values ascend along the first axis."""
    below = np.cumsum(weight, axis=0)
    half = below[-1] / 2
    first = np.take_along_axis(four, (below >= half).argmax(axis=0)[None], 0)[0]
    second = np.take_along_axis(four, (below > half).argmax(axis=0)[None], 0)[0]
    return np.asarray((first + second) / 2)


@lru_cache(maxsize=1024)
def _scale_m(crs: str, transform: tuple[float, float, float, float, float, float]) -> float:
    return Projection(crs, transform).nominal_scale_m
