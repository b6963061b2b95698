"""From the patch store to batches.

Axis suffixes: B batch, C band, H/W rows and columns.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.store import NODATA_DN, OFFSET, SCALE

CLIP = 6.0  # standard deviations: left-over cloud and glint must not drive the network


def standardise(dn_BCHW: Tensor, mean_C: Tensor, std_C: Tensor) -> Tensor:
    """Collection 2 DN (uint16) to standardised float32, clipped to +-6; nodata becomes 0, the training mean.

    Args:
        dn_BCHW: DN, 0 = nodata.
        mean_C: mean reflectance of the training split per band.
        std_C: standard deviation of the same.
    """
    dn = dn_BCHW.to(torch.float32)
    shape = (1, -1, 1, 1)
    standard = (dn * SCALE + (OFFSET - mean_C.view(shape))) / std_C.view(shape)
    return torch.where(dn == NODATA_DN, 0.0, standard.clamp_(-CLIP, CLIP))
