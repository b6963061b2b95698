"""How far the outputs of an exported file differ from those of the module it was written from. Axis suffixes: B batch, K class, H/W rows and columns."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from cropcam.pipeline.maps.windows import NODATA_CLASS


@torch.no_grad()
def difference(module: nn.Module, predict: Callable[[Tensor], tuple[Tensor, Tensor]], dn_BCHW: Tensor) -> float:
    """The largest difference of two outputs, relative to the largest value of each; NaN, which no tolerance accepts, where shapes, types or missing values differ.

    Classes are the index of the highest probability, or another one that is as high within the tolerance.
    """
    expected, actual = module(dn_BCHW), predict(dn_BCHW)
    if any(one.shape != other.shape or one.dtype != other.dtype for one, other in zip(expected, actual, strict=True)):
        return float("nan")
    found = [_of_floats(one, other) for one, other in zip(expected, actual, strict=True) if one.is_floating_point()]
    if not expected[1].is_floating_point():
        found.append(_of_classes(expected[0], expected[1], actual[1]))
    return max(found) if all(value == value for value in found) else float("nan")  # noqa: PLR0124 - not NaN


def _of_floats(expected: Tensor, actual: Tensor) -> float:
    known = expected.isfinite()
    if not torch.equal(known, actual.isfinite()) or not torch.equal(expected.isnan(), actual.isnan()) or not known.any():
        return float("nan")
    return float((expected[known] - actual[known]).abs().max() / expected[known].abs().max().clamp_min(1e-12))


def _of_classes(probability_BKHW: Tensor, expected_BHW: Tensor, actual_BHW: Tensor) -> float:
    """How far the probability of the file's classes lies below the highest; NaN where they have data elsewhere."""
    known_BHW = expected_BHW != NODATA_CLASS
    if not torch.equal(known_BHW, actual_BHW != NODATA_CLASS) or bool((actual_BHW[known_BHW] >= probability_BKHW.shape[1]).any()):
        return float("nan")
    chosen_BHW = probability_BKHW.gather(1, actual_BHW.long().masked_fill(~known_BHW, 0)[:, None])[:, 0]
    return float((probability_BKHW.amax(dim=1) - chosen_BHW)[known_BHW].max())
