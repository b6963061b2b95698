"""A run's classifier of patches as one torch module, from stored values to presence and activation maps: the poster's model in a form that other programs run.

Bands and patch size are the run's. Axis suffixes: B batch, C band, F feature, K class, H/W rows and columns, h/w of map cells.
"""

from __future__ import annotations

from torch import Tensor, nn

from cropcam.model.data.normalization import Normalization, standardise
from cropcam.model.losses.objectives import ModelOutputs
from cropcam.model.networks import Network, NetworkOutput
from cropcam.model.runs.config import RunConfig

_TENSORS = tuple(name for name in Normalization._fields if name not in ("seasons", "has_nodata"))


class PatchProgram(nn.Module):
    """Stored values (B, C, H, W) to logits of presence (B, K), present above 0, and activation maps (B, K, H, W) without the bias."""

    def __init__(self, network: Network, config: RunConfig) -> None:
        super().__init__()
        self.network, self._objective, self._min_share = network, config.objective, config.labels.presence_min_share
        normalization = Normalization.of(config, "cpu")
        self._seasons, self._has_nodata = normalization.seasons, normalization.has_nodata
        for name in _TENSORS:
            self.register_buffer(name, getattr(normalization, name))

    def forward(self, dn_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and activation maps."""
        normalization = Normalization(
            **{name: getattr(self, name) for name in _TENSORS}, seasons=self._seasons, has_nodata=self._has_nodata
        )
        x_BCHW, valid_BHW = standardise(dn_BCHW, normalization)
        maps_BFhw = self.network.maps(x_BCHW)  # an exported program cannot branch on whether all pixels are valid, as the network does
        logits_BK = self.network.dense(self.network.pooled(maps_BFhw, valid_BHW))
        outputs = ModelOutputs(self.network, NetworkOutput(logits_BK, maps_BFhw), valid_BHW)
        return self._objective.presence_logits(outputs, self._min_share), outputs.cams_BKHW
