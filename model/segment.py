"""From activation maps to a segmentation.

Axis suffixes: B batch, K class, H/W rows and columns of the image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor


def argmax(scores_BKHW: Tensor) -> Tensor:
    """Class index (B, H, W), uint8, of the highest activation at each pixel.

    Raw activation maps, neither biased nor normalised. A pixel without image data gets an answer too; the caller
    leaves it out.

    Source: the poster's segmentation, "argmax over class activation maps".
    """
    return scores_BKHW.argmax(dim=1).to(torch.uint8)


METHODS: Mapping[str, Callable[[Tensor], Tensor]] = {"cam-argmax": argmax}
DEFAULT = "cam-argmax"
