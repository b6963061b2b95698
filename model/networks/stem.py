"""A stem that puts any number of bands onto an encoder of other bands."""

from __future__ import annotations

from torch import Tensor, nn

from cropcam.model.networks.layers import convolution, initialize


class BandStem(nn.Module):
    """Any number of bands onto those of an encoder trained on other images: a 3 x 3 and a 1 x 1 convolution, then batch norm.

    The output has mean 0 and deviation 1 per band, as pretrained encoders expect, and the size of the input. The stem is trained with
    the network, also where the encoder is frozen. 10 bands onto 3, width 16: 1,526 parameters.
    """

    def __init__(self, bands: int, encoder_bands: int, *, width: int = 16) -> None:
        super().__init__()
        self.layers = nn.Sequential(convolution(bands, width, 3), convolution(width, encoder_bands, 1, relu=False))
        initialize(self)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Encoder bands (B, encoder_bands, H, W) from standardised bands (B, bands, H, W)."""
        return self.layers(x_BCHW)  # type: ignore[no-any-return]
