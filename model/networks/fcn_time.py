"""The fully convolutional network over a series of seasons: shared weights, attention over time."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cropcam.model.networks.base import Network
from cropcam.model.networks.layers import convolution, initialize
from cropcam.pipeline.errors import ConfigError

FILTERS = (32, 48, 48)
DAYS_PER_YEAR = 365.25
HARMONICS = 2  # of the position in the year: a year and half a year


class SeasonAttention(nn.Module):
    """Means over a pixel's seasons, one per head, weighted by attention with one learned query per head; a missing season has no weight.

    Simplified from the lightweight temporal attention encoder: the product of query and key is one learned vector per head, the
    position of a season has a part of its own in the score, and every head weighs all features.

    Source: Garnot, Landrieu 2020, "Lightweight Temporal Self-Attention for Classifying Satellite Images Time Series", arXiv 2007.00586.
    """

    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.score = nn.Conv2d(features, heads, 1)
        self.of_place = nn.Linear(2 * HARMONICS, heads, bias=False)

    def weights(self, features_SBFHW: Tensor, place_SP: Tensor, there_SBHW: Tensor) -> Tensor:
        """The weight of each season by head (S, B, heads, H, W), float32: 0 for a missing one; they add up to 1 where one is there."""
        score_PGHW: Tensor = self.score(features_SBFHW.flatten(0, 1)).float()
        of_place_SG: Tensor = self.of_place(place_SP).float()
        score_SBGHW = score_PGHW.view(*there_SBHW.shape[:2], *score_PGHW.shape[1:]) + of_place_SG[:, None, :, None, None]
        there_SB1HW = there_SBHW[:, :, None]
        # the lowest number, not -inf: a pixel without any season gets weights of 0, not NaN
        return score_SBGHW.masked_fill(~there_SB1HW, torch.finfo(torch.float32).min).softmax(dim=0) * there_SB1HW

    def forward(self, features_SBFHW: Tensor, place_SP: Tensor, there_SBHW: Tensor) -> Tensor:
        """Features (B, heads x F, H, W), head by head, from those of the seasons (S, B, F, H, W).

        Args:
            features_SBFHW: of each season.
            place_SP: its place in the year (`places`).
            there_SBHW: False where it is missing.
        """
        weight_SBGHW = self.weights(features_SBFHW, place_SP, there_SBHW).to(features_SBFHW.dtype)
        features, weights = features_SBFHW.unbind(), weight_SBGHW.unbind()
        # season by season: a product of all of them and its sum take twice as long on a CPU
        means = []
        for head in range(self.heads):
            terms = [of_season * weight[:, head : head + 1] for of_season, weight in zip(features, weights, strict=True)]
            means.append(functools.reduce(torch.add, terms))
        return torch.cat(means, dim=1)


class FCNTime(Network):
    """The `fcn` over S seasons: two 3 x 3 convolutions whose weights all seasons share, attention over the seasons of each pixel, a 1 x 1 convolution.

    Bands are those of S seasons, one season behind the other. A season that is missing at a pixel is 0 in all its bands
    (`standardise`) and has no weight there; a pixel is valid where one season is complete. The place of a season in the year, sine and
    cosine of its middle day, is added to what the first convolution gives. 7 bands a season and 5 classes: 23,540 parameters, of any number of seasons.
    """

    stride = 1
    context_px = 2
    takes_missing_seasons = True

    def __init__(self, bands: int, classes: int, *, season_days: str = "", season_drop: float = 0.25, heads: int = 3) -> None:
        """`season_days` are the days of the year in the middle of the seasons, as 122/183/253; a run takes them from its store.

        Raises:
            ConfigError: an option is not possible.
        """
        super().__init__()
        days = _days(season_days)
        self.seasons, self.season_drop = max(len(days), 1), season_drop
        if bands % self.seasons:
            raise ConfigError(f"--model fcn-time: {bands} bands are not those of {self.seasons} seasons, as many of each")
        if not 0 <= season_drop <= 1:
            raise ConfigError(
                f"--model-options season_drop={season_drop:g}: must be from 0 to 1, the share of training patches that lose seasons"
            )
        if heads < 1:
            raise ConfigError(f"--model-options heads={heads}: must be at least 1")
        self.place_SP: Tensor
        self.register_buffer("place_SP", places(days), persistent=False)
        self.first, self.second = convolution(bands // self.seasons, FILTERS[0], 3), convolution(FILTERS[0], FILTERS[1], 3)
        self.place = nn.Linear(2 * HARMONICS, FILTERS[0], bias=False)
        self.attention = SeasonAttention(FILTERS[1], heads)
        self.last = convolution(heads * FILTERS[1], FILTERS[2], 1)
        self.dense = nn.Linear(FILTERS[2], classes)
        initialize(self)

    def maps(self, x_BCHW: Tensor) -> Tensor:
        """Feature maps (B, 48, H, W)."""
        x_PCHW = torch.cat(x_BCHW.chunk(self.seasons, dim=1)).contiguous(memory_format=torch.channels_last)  # season by season
        there_PHW, size = (x_PCHW != 0).any(dim=1), (self.seasons, x_BCHW.shape[0])
        features_PFHW = self._of_seasons(x_PCHW, there_PHW)
        features_SBFHW, there_SBHW = (values.view(*size, *values.shape[1:]) for values in (features_PFHW, there_PHW))
        return self.last(self.attention(features_SBFHW, self.place_SP, there_SBHW))  # type: ignore[no-any-return]

    def _of_seasons(self, x_PCHW: Tensor, there_PHW: Tensor) -> Tensor:
        """Features (P, 48, H, W) of season images. In training those without any pixel are left out: batch norm would count them."""
        place_PF = self.place(self.place_SP).repeat_interleave(x_PCHW.shape[0] // self.seasons, dim=0)
        if not self.training:
            return self._encoded(x_PCHW, place_PF)
        seen_P = there_PHW.flatten(1).any(dim=1)
        seen = self._encoded(x_PCHW[seen_P], place_PF[seen_P])
        size = (len(x_PCHW), *seen.shape[1:])
        blank = torch.empty(size, dtype=seen.dtype, device=seen.device, memory_format=torch.channels_last).zero_()
        return blank.index_put((seen_P,), seen)

    def _encoded(self, x_PCHW: Tensor, place_PF: Tensor) -> Tensor:
        placed = self.first[0](x_PCHW) + place_PF[:, :, None, None]
        return self.second(self.first[1:](placed))  # type: ignore[no-any-return]


def places(days: Sequence[float]) -> Tensor:
    """Sine and cosine of each day's place in the year and of its double (S, 4), float32; a row of 0 without any day."""
    if not days:
        return torch.zeros(1, 2 * HARMONICS)
    angle_SH = 2 * math.pi / DAYS_PER_YEAR * torch.tensor(days, dtype=torch.float64)[:, None] * torch.arange(1, HARMONICS + 1)
    return torch.cat([angle_SH.sin(), angle_SH.cos()], dim=1).float()


def _days(text: str) -> list[float]:
    try:
        return [float(day) for day in text.split("/")] if text else []
    except ValueError:
        raise ConfigError(f"--model-options season_days={text}: must be days of the year, as 122/183/253") from None
