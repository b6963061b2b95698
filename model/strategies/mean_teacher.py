"""Mean teacher: a network trained on the pseudo-labels of the exponential moving average of its own weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from cropcam.model.losses.objectives import ModelOutputs, Targets
from cropcam.model.networks import Network
from cropcam.model.networks.cam import argmax_classes, pixel_maps
from cropcam.model.runtime.distributed import Term
from cropcam.model.strategies.base import Strategy
from cropcam.pipeline.legend import UNLABELLED

DECAY = 0.99  # of the average per step: about the last 100 steps
BURN_IN_FRACTION = 0.3  # of the epochs: before, the teacher is too weak
_FLIPS = ((2,), (3,), (2, 3))


class MeanTeacher(Strategy):
    """Adds a cross-entropy with the pseudo-labels of a teacher, the exponential moving average of the network's weights.

    The pseudo-label of a pixel is the class of the teacher's largest logit; classes are mutually exclusive. The weak-label loss rises as the network becomes more confident, although pixel accuracy improves: the last epoch is selected.

    Source: Tarvainen, Valpola 2017, "Mean teachers are better role models", arXiv 1703.01780.
    """

    keep_last_epoch = True

    def __init__(self, network: Network, *, weight: float, epochs: int, steps_per_epoch: int) -> None:
        """The teacher starts as a copy of `network`, before it is compiled or wrapped for several processes. `weight` is that of the loss term."""
        self.first_epoch = math.ceil(BURN_IN_FRACTION * epochs)
        self._weight, self._first_step = weight, self.first_epoch * steps_per_epoch
        self._step = 0
        self._teacher = AveragedModel(network, multi_avg_fn=self._average, use_buffers=True).requires_grad_(False).eval()
        self._teacher.n_averaged += 1  # the initial weights count, so that the first update averages instead of copying

    def loss_terms(self, x_BCHW: Tensor, outputs: ModelOutputs, targets: Targets, step: int | None) -> Sequence[Term]:
        """The weighted pseudo-label loss, in training from `first_epoch` on; in validation always, so that epochs can be compared."""
        if step is not None and step < self._first_step:
            return ()
        if not len(x_BCHW):
            return [(0 * outputs.logits_BKHW.sum(), lambda: torch.zeros(()))]
        pseudo_label_BHW = argmax_classes(self.logits_on_flipped(x_BCHW, step or 0)).masked_fill(~targets.valid_BHW, UNLABELLED)
        entropy_BHW = F.cross_entropy(
            outputs.logits_BKHW, pseudo_label_BHW, ignore_index=UNLABELLED, reduction="none"
        )  # as in `pixel_loss`
        pixels = targets.valid_BHW.sum()
        return [(self._weight * entropy_BHW.sum() / pixels.clamp(min=1), lambda: pixels)]

    @torch.no_grad()
    def after_step(self, network: Network, step: int) -> None:
        """Update the teacher; early steps weigh more, so that the initial weights fade."""
        self._step = step
        self._teacher.update_parameters(network)

    @torch.no_grad()
    def logits_on_flipped(self, x_BCHW: Tensor, step: int) -> Tensor:
        """The teacher's class logits (B, K, H, W), float32, on the patches flipped by rows, by columns or by both in turn, and flipped back."""
        network, dims = self._network, _FLIPS[step % len(_FLIPS)]
        cams_BKHW = pixel_maps(network, network.maps(x_BCHW.flip(dims)), *x_BCHW.shape[2:]).float()
        return cams_BKHW.flip(dims) + network.dense.bias[:, None, None]

    def state_dict(self) -> dict[str, Tensor]:
        """The teacher's weights and buffers."""
        return {f"teacher.{name}": tensor for name, tensor in self._network.state_dict().items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state_dict`."""
        self._network.load_state_dict({name.removeprefix("teacher."): tensor for name, tensor in state.items()})

    @property
    def _network(self) -> Network:
        network = self._teacher.module
        assert isinstance(network, Network)
        return network

    def _average(self, teacher: Sequence[Tensor], student: Sequence[Tensor], _updates: Tensor | int) -> None:
        # by the step, not the count of updates: a resumed run has the same weight
        keep = min(DECAY, (1 + self._step) / (10 + self._step))
        for average, value in zip(teacher, student, strict=True):
            if average.is_floating_point():
                average.lerp_(value, 1 - keep)
            else:
                average.copy_(value)
