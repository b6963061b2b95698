"""Turns one forward pass into the layers of a map: logits of the classes, and further layers where they are asked for.

Axis suffixes: B batch, C band, F feature, K class, L layer, Y/X rows and columns, y/x rows and columns of map cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, cat, channels_last

from cropcam.model.data.normalization import Normalization, standardise
from cropcam.model.networks import Network
from cropcam.model.networks.cam import pixel_maps
from cropcam.model.segmentation.methods import Method
from cropcam.model.transfer.pixels import distance_map
from cropcam.model.transfer.tally import Limits


class Pass(NamedTuple):
    """The outputs of a forward pass over values.

    Attributes:
        layers_BLYX: logits of the K classes, then, if asked for, the K activations and the feature distance.
        x_BCYX: standardised bands.
        valid_BYX: pixels with image data.
        maps_BFyx: the network's maps.
    """

    layers_BLYX: Tensor
    x_BCYX: Tensor
    valid_BYX: Tensor
    maps_BFyx: Tensor


@dataclass(frozen=True)
class Layers:
    """A network in evaluation mode, and the layers that are read from its maps."""

    network: Network
    method: Method
    normalization: Normalization
    distance: Limits | None = None
    activations: bool = False

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.network.dense.out_features

    @property
    def count(self) -> int:
        """Number of layers."""
        return self.classes * (1 + self.activations) + (self.distance is not None)

    def __call__(self, values_BCYX: Tensor, *, refine: bool) -> Pass:
        """Forward pass over physical values, NaN = missing. Without `refine` the logits are affine in the maps, to be refined and calibrated later."""
        x_BCYX, valid_BYX = standardise(values_BCYX, self.normalization)
        height, width = x_BCYX.shape[2:]
        maps_BFyx = self.network(x_BCYX.contiguous(memory_format=channels_last), pooled=False).maps_BFhw
        cams_BKYX = pixel_maps(self.network, maps_BFyx, height, width)
        parts = [self.method.logits(cams_BKYX, x_BCYX, valid_BYX) if refine else self.method.affine(cams_BKYX)]
        if self.activations:
            parts.append(cams_BKYX + self.network.dense.bias[:, None, None])
        if self.distance:
            distance_BYX = distance_map(self.network, maps_BFyx, self.distance.distance, height, width) / self.distance.far
            parts.append(distance_BYX[:, None])
        return Pass(cat(parts, dim=1) if len(parts) > 1 else parts[0], x_BCYX, valid_BYX, maps_BFyx)
