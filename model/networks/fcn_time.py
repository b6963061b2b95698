"""The fully convolutional network over a series of seasons: shared weights, attention over time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cropcam.model.networks.base import Network
from cropcam.model.networks.layers import convolution, initialize
from cropcam.pipeline.errors import ConfigError

FILTERS = (32, 48, 48)
DAYS_PER_YEAR = 365.25
HARMONICS = 2  # of the position in the year: a year and half a year


class SeasonAttention(nn.Module):
    """The mean over a pixel's seasons, weighted by attention with one learned query per head; a missing season has no weight.

    The position of a season, sine and cosine of its day in the year, is added to its features. Each head weighs its own part of the features.
    Simplified from the lightweight temporal attention encoder: the product of query and key is one learned vector per head.

    Source: Garnot, Landrieu 2020, "Lightweight Temporal Self-Attention for Classifying Satellite Images Time Series", arXiv 2007.00586.
    """

    def __init__(self, features: int, days: Sequence[float], heads: int) -> None:
        """`days`: day of the year of each season; without any there is one season at no known place. `heads` divides `features`."""
        super().__init__()
        self.position = nn.Linear(2 * HARMONICS, features, bias=False)
        self.score = nn.Conv2d(features, heads, 1)
        self.place_SP: Tensor
        self.register_buffer("place_SP", places(days), persistent=False)
        self.spread_FG: Tensor  # 1 where a feature is of a head
        self.register_buffer("spread_FG", torch.eye(heads).repeat_interleave(features // heads, dim=0), persistent=False)

    def weights(self, features_SBFHW: Tensor, there_SBHW: Tensor) -> Tensor:
        """The weight of each season by head (S, B, heads, H, W), float32: 0 for a missing one; they add up to 1 where one is there."""
        score_SBGHW = self.score(features_SBFHW.flatten(0, 1)).unflatten(0, features_SBFHW.shape[:2]).float()
        of_place_SG = self.position(self.place_SP).float() @ self.score.weight.flatten(1).float().T  # the score is linear
        there_SB1HW = there_SBHW[:, :, None]
        # the lowest number, not -inf: a pixel without any season gets weights of 0, not NaN
        known_SBGHW = (score_SBGHW + of_place_SG[:, None, :, None, None]).masked_fill(~there_SB1HW, torch.finfo(torch.float32).min)
        return known_SBGHW.softmax(dim=0) * there_SB1HW

    def forward(self, features_SBFHW: Tensor, there_SBHW: Tensor) -> Tensor:
        """Features (B, F, H, W) of the pixels from those of their seasons (S, B, F, H, W), of which `there_SBHW` are not missing."""
        weight_SBGHW = self.weights(features_SBFHW, there_SBHW)
        # a convolution of 1 x 1 and one order in memory, not broadcasting: half the time on a CPU
        weight_PGHW = weight_SBGHW.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        weight_SBFHW = F.conv2d(weight_PGHW, self.spread_FG[:, :, None, None]).unflatten(0, features_SBFHW.shape[:2])
        mean_BFHW = (features_SBFHW * weight_SBFHW).sum(dim=0)
        of_place_FSG = self.position(self.place_SP).T[:, :, None] * self.spread_FG[:, None]
        return mean_BFHW + F.conv2d(weight_SBGHW.transpose(0, 1).flatten(1, 2), of_place_FSG.flatten(1)[:, :, None, None])


class FCNTime(Network):
    """The `fcn` over S seasons: two 3 x 3 convolutions whose weights all seasons share, attention over the seasons of each pixel, a third convolution.

    Bands are those of S seasons, one season behind the other. A season that is missing at a pixel is 0 in all its bands
    (`standardise`) and has no weight there; a pixel is valid where one season is complete.
    """

    stride = 1
    takes_missing_seasons = True

    def __init__(self, bands: int, classes: int, *, season_days: str = "", season_drop: float = 0.5, heads: int = 4) -> None:
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
        if heads < 1 or FILTERS[1] % heads:
            raise ConfigError(f"--model-options heads={heads}: must divide {FILTERS[1]}, the features of a season")
        sizes = (bands // self.seasons, *FILTERS[:2])
        self.encoder = nn.Sequential(*(convolution(*pair, 3) for pair in itertools.pairwise(sizes)))
        self.attention = SeasonAttention(FILTERS[1], days, heads)
        self.last = convolution(FILTERS[1], FILTERS[2], 3)
        self.dense = nn.Linear(FILTERS[2], classes)
        initialize(self)

    def maps(self, x_BCHW: Tensor) -> Tensor:
        """Feature maps (B, 48, H, W)."""
        x_PCHW = torch.cat(x_BCHW.chunk(self.seasons, dim=1)).contiguous(memory_format=torch.channels_last)  # season by season
        there_PHW, sizes = (x_PCHW != 0).any(dim=1), (self.seasons, len(x_BCHW))
        return self.last(self.attention(self._encoded(x_PCHW, there_PHW).unflatten(0, sizes), there_PHW.unflatten(0, sizes)))  # type: ignore[no-any-return]

    def _encoded(self, x_PCHW: Tensor, there_PHW: Tensor) -> Tensor:
        """Features (P, F, H, W) of season images. In training those without any pixel are left out: batch norm would count them."""
        if not self.training:
            return self.encoder(x_PCHW)  # type: ignore[no-any-return]
        seen_P = there_PHW.flatten(1).any(dim=1)
        seen: Tensor = self.encoder(x_PCHW[seen_P])
        size = (len(x_PCHW), *seen.shape[1:])
        blank = torch.empty(size, dtype=seen.dtype, device=seen.device, memory_format=torch.channels_last).zero_()
        return blank.index_put((seen_P,), seen)


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
