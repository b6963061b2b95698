"""Stored values to what a network reads: each band by its mean and standard deviation over the training split."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cropcam.model.runs.config import RunConfig
from cropcam.pipeline.encoding import BandEncoding

_NOT_MISSING = 1e-6  # stands for a value that is the mean: a 0 is a missing one
CLIP = 6.0  # standard deviations: limits the effect of remaining cloud and glint
_EXACT = {torch.int32, torch.uint32, torch.int64, torch.uint64, torch.float64}  # types whose values float32 rounds


class Normalization(NamedTuple):
    """What standardises stored values: mean and standard deviation of the bands in the physical unit, and the values' encoding; on the device of the batches."""

    mean_C: Tensor  # float32, over the training split
    std_C: Tensor
    scale_C: Tensor  # physical value = stored value x scale + offset
    offset_C: Tensor
    nodata_C: Tensor  # float64; NaN where a band has no nodata value, or NaN
    seasons: int = 1  # groups of bands, one behind the other: a pixel is valid where one of them is complete
    has_nodata: bool = True  # whether a number is nodata; else NaN alone is

    @classmethod
    def of(cls, config: RunConfig, device: torch.device | str, encoding: BandEncoding | None = None) -> Normalization:
        """The values of a run's training split, on `device`, for values of `encoding`; without one, of the run's store.

        A network that takes missing seasons sees all of them in one scale: mean and deviation of a band are those over its seasons.
        """
        encoding, seasons = encoding or config.store.encoding, config.seasons
        mean, std = (config.store.mean, config.store.std) if seasons == 1 else over_seasons(config.store.mean, config.store.std, seasons)
        numbers = (mean, std, encoding.scale, encoding.offset)
        mean_C, std_C, scale_C, offset_C = (torch.tensor(values, dtype=torch.float32, device=device) for values in numbers)
        nodata = [math.nan if value is None else value for value in encoding.nodata]
        nodata_C = torch.tensor(nodata, dtype=torch.float64, device=device)
        return cls(mean_C, std_C, scale_C, offset_C, nodata_C, seasons, not all(map(math.isnan, nodata)))


def over_seasons(mean: Sequence[float], std: Sequence[float], seasons: int) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each band over all seasons, repeated for each season, from those of each layer; a season counts once.

    >>> over_seasons([1.0, 3.0], [0.0, 0.0], 2)
    ([2.0, 2.0], [1.0, 1.0])
    """
    mean_SC, std_SC = (np.reshape(values, (seasons, -1)) for values in (mean, std))
    mean_C = mean_SC.mean(axis=0)
    std_C = np.sqrt((std_SC**2 + (mean_SC - mean_C) ** 2).mean(axis=0))
    return mean_C.tolist() * seasons, std_C.tolist() * seasons


def physical_encoding(bands: int) -> BandEncoding:
    """Of values in the physical unit: float32, NaN = missing."""
    return BandEncoding.uniform("float32", bands, 1.0, 0.0, math.nan)


def has_value(values_BCHW: Tensor, normalization: Normalization) -> Tensor:
    """Whether each stored value is one (B, C, H, W): neither nodata nor NaN."""
    number = values_BCHW.to(torch.float64 if values_BCHW.dtype in _EXACT else torch.float32)
    if not normalization.has_nodata:
        return number == number  # noqa: PLR0124 - not NaN, in one pass
    nodata = normalization.nodata_C.to(number.dtype).view(1, -1, 1, 1)
    is_value = number != nodata
    return is_value & ~number.isnan() if values_BCHW.dtype.is_floating_point else is_value


def complete_seasons(values_BCHW: Tensor, normalization: Normalization) -> Tensor:
    """Whether each season of a pixel has a value in every band (B, S, H, W)."""
    return _by_season(has_value(values_BCHW, normalization), normalization.seasons)


def standardise(values_BCHW: Tensor, normalization: Normalization, seen_BSHW: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Stored values to standardised float32, clipped to +-6, and the valid pixels (B, H, W): those with a value in every band.

    A missing value becomes 0, the training mean.

    Of several seasons (`Normalization.seasons`) one complete one makes a pixel valid. The values of an incomplete season are all 0, and no
    other value is, so that a network sees which seasons are missing. `seen_BSHW`, broadcast, is False where a season counts as missing.
    """
    mean_C, std_C, scale_C, offset_C = (values[:, None, None] for values in normalization[:4])
    is_value, number_BCHW = has_value(values_BCHW, normalization), values_BCHW.to(torch.float32)
    standard = (number_BCHW * scale_C).add_(offset_C - mean_C).div_(std_C).clamp_(-CLIP, CLIP)
    if normalization.seasons == 1 and seen_BSHW is None:
        return standard.masked_fill_(~is_value, 0.0), is_value.all(dim=1)
    complete_BSHW = _by_season(is_value, normalization.seasons)
    if seen_BSHW is not None:
        complete_BSHW = complete_BSHW & seen_BSHW
    is_value = complete_BSHW.repeat_interleave(values_BCHW.shape[1] // normalization.seasons, dim=1)
    return torch.where(is_value, standard.masked_fill(standard == 0, _NOT_MISSING), 0.0), complete_BSHW.any(dim=1)


def keep_some(complete_BSHW: Tensor, seen_BS: Tensor) -> Tensor:
    """Which seasons of each pixel are seen (B, S, H, W) where `seen_BS` drops some; a patch that would keep no pixel at all keeps all seasons."""
    seen_BSHW = complete_BSHW & seen_BS[:, :, None, None]
    return torch.where(seen_BSHW.flatten(1).any(dim=1)[:, None, None, None], seen_BSHW, complete_BSHW)


def _by_season(is_value_BCHW: Tensor, seasons: int) -> Tensor:
    size, bands, height, width = is_value_BCHW.shape
    return is_value_BCHW.view(size, seasons, bands // seasons, height, width).all(dim=2)
