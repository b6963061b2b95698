"""The values around each pixel, for classifiers of single pixels."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from cropcam.pipeline.errors import ConfigError

SIZES = (1, 3, 5)


class Neighbourhood(nn.Module):
    """The values of the `size` x `size` pixels around each pixel, `size` 1, 3 or 5. Beyond the patch they are 0, as where the image has no data.

    Raises:
        ConfigError: another size.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        if size not in SIZES:
            raise ConfigError(
                f"--model-options neighbourhood={size}: must be {', '.join(map(str, SIZES[:-1]))} or {SIZES[-1]}, pixels of a side"
            )
        self.size = size

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Features (B, C x size^2, H, W), band by band, each from the upper left."""
        if self.size == 1:
            return x_BCHW
        features_BFP = F.unfold(x_BCHW, self.size, padding=self.size // 2)
        return features_BFP.view(len(x_BCHW), -1, *x_BCHW.shape[2:])
