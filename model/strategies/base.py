"""The hooks of a training strategy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from cropcam.model.losses.objectives import ModelOutputs, Targets
from cropcam.model.networks import Network
from cropcam.model.runtime.distributed import Term


class Strategy:
    """Plain supervised training: every hook does nothing. A subclass overrides the hooks it needs."""

    keep_last_epoch: bool = False  # whether the last epoch is selected instead of the epoch of the lowest validation loss
    first_epoch: int = 0  # epoch (from 0) from which the strategy adds to the loss; `patience` counts from there

    def loss_terms(self, x_BCHW: Tensor, outputs: ModelOutputs, targets: Targets, step: int | None) -> Sequence[Term]:  # noqa: ARG002
        """Terms added to the loss of a batch, each with its number of labels; the same number of terms for an empty batch.

        `x_BCHW` is standardised; `step` is the step of the run, from 0, and None in validation.
        """
        return ()

    def after_step(self, network: Network, step: int) -> None:
        """Called after every optimizer step."""

    def state_dict(self) -> dict[str, Tensor]:
        """The tensors that the next step depends on, for `last.safetensors`."""
        return {}

    def state_shapes(self) -> dict[str, torch.Size]:
        """Names and shapes of `state_dict`, to check a checkpoint before it is loaded."""
        return {name: tensor.shape for name, tensor in self.state_dict().items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state_dict`."""
