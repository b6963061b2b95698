"""Normalization: each band by its mean and standard deviation over the training split.

Axis suffixes: B batch, C band, H/W rows and columns.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from cropcam.model.runs.config import RunConfig
from cropcam.pipeline.store.schema import NODATA_DN, OFFSET, SCALE

CLIP = 6.0  # standard deviations: limits the effect of remaining cloud and glint


class Normalization(NamedTuple):
    """Mean and standard deviation of the bands, float32, on the device of the batches.

    Attributes:
        mean_C: reflectance per band over the training split.
        std_C: its standard deviation.
    """

    mean_C: Tensor
    std_C: Tensor

    @classmethod
    def of(cls, config: RunConfig, device: torch.device | str) -> Normalization:
        """The values of a run's training split, on `device`."""
        mean_C, std_C = (torch.tensor(values, dtype=torch.float32, device=device) for values in (config.store.mean, config.store.std))
        return cls(mean_C, std_C)


def standardise(dn_BCHW: Tensor, mean_C: Tensor, std_C: Tensor) -> Tensor:
    """Collection 2 DN (uint16, 0 = nodata) to standardised float32, clipped to +-6; nodata becomes 0, the training mean.

    `mean_C` and `std_C` are those of `Normalization`.
    """
    dn = dn_BCHW.to(torch.float32)
    shape = (1, -1, 1, 1)
    standard = (dn * SCALE + (OFFSET - mean_C.view(shape))) / std_C.view(shape)
    return torch.where(dn == NODATA_DN, 0.0, standard.clamp_(-CLIP, CLIP))
