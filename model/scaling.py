"""What a network sees of an image: standardised bands and, where the run is told so, bands that say nothing twice.

The seven bands of Landsat vary nearly together: four of seven directions hold 1 % of Dakota's variance, and the crops differ there.
Whitening gives each direction the same weight, so that a network need not find the small ones first.
Axis suffixes: N patch, P pixel, B batch, C band, H/W rows and columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from torch import Tensor

from model.checkpoint import RunConfig
from pipeline.store import NODATA_DN, OFFSET, SCALE, evenly, split_indices

CLIP = 6.0  # standard deviations: left-over cloud and glint must not drive the network
SAMPLE_PATCHES = 512  # that the whitening is found on: a million pixels
_READ_PATCHES = 64
_LEAST = 0.01  # of a band's variance: a direction with less is mostly noise, and is not raised to the size of the others


class Scaling(NamedTuple):
    """What `standardise` needs, float32, on the device where batches are wanted.

    Attributes:
        mean_C: reflectance per band over the training split.
        std_C: the standard deviation of the same.
        mix_CC: of standardised bands, from `whitening`; None = as they are.
    """

    mean_C: Tensor
    std_C: Tensor
    mix_CC: Tensor | None = None

    @classmethod
    def of(cls, config: RunConfig, device: torch.device | str) -> Scaling:
        """As the run was told."""
        mean_C, std_C = (torch.tensor(values, dtype=torch.float32, device=device) for values in (config.mean, config.std))
        return cls(mean_C, std_C, torch.tensor(config.whitening, dtype=torch.float32, device=device) if config.whitening else None)


def standardise(dn_BCHW: Tensor, mean_C: Tensor, std_C: Tensor, mix_CC: Tensor | None = None) -> Tensor:
    """Collection 2 DN (uint16) to standardised float32, clipped to +-6; nodata becomes 0, the training mean.

    Args:
        dn_BCHW: DN, 0 = nodata.
        mean_C: mean reflectance of the training split per band.
        std_C: standard deviation of the same.
        mix_CC: each row makes one of C mixtures of the bands, clipped to +-6 again; None = the bands themselves.
    """
    dn = dn_BCHW.to(torch.float32)
    shape = (1, -1, 1, 1)
    standard = (dn * SCALE + (OFFSET - mean_C.view(shape))) / std_C.view(shape)
    bands_BCHW = torch.where(dn == NODATA_DN, 0.0, standard.clamp_(-CLIP, CLIP))
    if mix_CC is None:
        return bands_BCHW
    return torch.matmul(mix_CC, bands_BCHW.flatten(2)).view(bands_BCHW.shape).clamp_(-CLIP, CLIP)


def whitening(dataset: xr.Dataset, mean: tuple[float, ...], std: tuple[float, ...]) -> tuple[tuple[float, ...], ...]:
    """The symmetric matrix (C, C) after which standardised training pixels vary alike in every direction: (R + 0.01)^(-1/2).

    R are the mean products of the standardised bands over the valid pixels of at most 512 evenly spread patches of the training split. Without a
    valid pixel there, the bands stay as they are.

    Source: Kessy, Lewin, Strimmer 2018, "Optimal Whitening and Decorrelation", arXiv 1512.00809: ZCA-cor, with a ridge.

    Args:
        dataset: the store.
        mean: reflectance per band over the training split.
        std: its standard deviation.

    Raises:
        DataError: no patch lies in the training split.
    """
    scaling = Scaling(torch.tensor(mean), torch.tensor(std))
    total_CC, pixels = np.zeros((len(mean),) * 2), 0
    for bands_PC in _sampled(dataset, scaling):
        total_CC += bands_PC.T @ bands_PC
        pixels += len(bands_PC)
    if not pixels:
        return ()
    variance_C, direction_CC = np.linalg.eigh(total_CC / pixels)
    mix_CC = (direction_CC * (variance_C.clip(min=0) + _LEAST) ** -0.5) @ direction_CC.T
    return tuple(tuple(map(float, row_C)) for row_C in mix_CC)


def _sampled(dataset: xr.Dataset, scaling: Scaling) -> Iterator[npt.NDArray[np.float64]]:
    train_N = split_indices(dataset, "train")
    some_N = train_N[evenly(len(train_N), SAMPLE_PATCHES)]
    for start in range(0, len(some_N), _READ_PATCHES):
        dn_NCHW = dataset["image"][some_N[start : start + _READ_PATCHES]].to_numpy()
        valid_NHW = (dn_NCHW != NODATA_DN).all(axis=1)
        yield standardise(torch.from_numpy(dn_NCHW), *scaling).movedim(1, -1).numpy()[valid_NHW].astype(np.float64)
