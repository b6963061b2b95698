"""Data-parallel training by the processes of `torchrun`.

Each rank has its shard of every global batch, so the batches are those of one process. torch's DistributedDataParallel averages the
gradients; losses and counts are summed here, in float64.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from cropcam.model.networks import Network
from cropcam.pipeline.errors import ConfigError

Term = tuple[Tensor, Callable[[], Tensor]]  # of a loss: a mean over labels, and their number


@dataclass(frozen=True)
class Ranks:
    """The rank of this process among `count`; a single process is rank 0 of 1."""

    rank: int = 0
    count: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and logs."""
        return self.rank == 0

    def shard(self, size: int) -> slice:
        """This rank's part of a global batch of `size`; parts are in order and differ by at most one patch.

        >>> [Ranks(rank, 3).shard(8) for rank in range(3)]
        [slice(0, 3, None), slice(3, 6, None), slice(6, 8, None)]
        """
        small, more = divmod(size, self.count)
        start = self.rank * small + min(self.rank, more)
        return slice(start, start + small + (self.rank < more))

    def sums(self, values: Sequence[float], device: torch.device) -> list[float]:
        """Each value summed over all ranks."""
        if self.count == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=device)
        dist.all_reduce(total)
        return total.tolist()

    def reduce_loss(self, terms: Sequence[Term], stop: bool, device: torch.device) -> tuple[Tensor, bool]:
        """The loss of this rank's part of a global batch, and whether any rank has `stop`.

        Each term is a mean over this rank's labels. It is weighted by this rank's share of all labels, times the number of ranks: then
        the mean over ranks is the loss of the global batch.
        """
        if self.count == 1:
            return torch.stack([loss for loss, _ in terms]).sum() if len(terms) > 1 else terms[0][0], stop
        labels = [count().item() for _, count in terms]
        *totals, stopping = self.sums([*labels, stop], device)
        weights = [self.count * own / total if total else 0.0 for own, total in zip(labels, totals, strict=True)]
        return torch.stack([weight * loss for weight, (loss, _) in zip(weights, terms, strict=True)]).sum(), stopping > 0

    def barrier(self) -> None:
        """Wait for every rank."""
        if self.count > 1:
            dist.barrier()


SINGLE_PROCESS = Ranks()


class SyncedBatchNorm(nn.BatchNorm2d):
    """Batch norm over the global batch, on any device (torch's SyncBatchNorm needs a GPU). A rank's part may be empty."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Normalized maps (B, C, H, W)."""
        if not self.training:
            return super().forward(input)
        x_BCHW = input.float()
        count = x_BCHW.new_full((1,), x_BCHW.numel() / x_BCHW.shape[1])
        total = _summed(torch.cat([x_BCHW.sum(dim=(0, 2, 3)), count]))
        mean_C, count = total[:-1] / total[-1], total[-1].detach()
        centred_BCHW = x_BCHW - mean_C[:, None, None]
        var_C = _summed(centred_BCHW.square().sum(dim=(0, 2, 3))) / count
        with torch.no_grad():
            assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None  # noqa: PT018
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean_C, self.momentum or 0.1)
            self.running_var.lerp_(var_C * (count / (count - 1).clamp(min=1)), self.momentum or 0.1)
        scale_C = self.weight * torch.rsqrt(var_C + self.eps)
        return (centred_BCHW * scale_C[:, None, None] + self.bias[:, None, None]).to(input.dtype)


class _Summed(torch.autograd.Function):
    # all_reduce with a gradient: that of a sum over ranks is the sum of the gradients over ranks
    @staticmethod
    def forward(_context: Any, values: Tensor) -> Tensor:  # noqa: ANN401
        summed = values.clone()
        dist.all_reduce(summed)
        return summed

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401
        return _Summed.forward(context, gradient)


def _summed(values: Tensor) -> Tensor:
    return _Summed.apply(values)  # type: ignore[no-any-return, no-untyped-call]


def wrap_ddp(network: Network, ranks: Ranks, device: torch.device) -> tuple[Network, nn.Module]:
    """The network, and the module to call in training: gradients are averaged over ranks, batch norm is over the global batch.

    The same module twice for a single process. Names of weights do not change.
    """
    if ranks.count == 1:
        return network, network
    if device.type == "cuda":
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    else:
        for module in network.modules():
            if type(module) is nn.BatchNorm2d:
                module.__class__ = SyncedBatchNorm  # the same state, another forward
    ids = [device.index] if device.type == "cuda" else None
    return network, nn.parallel.DistributedDataParallel(network, device_ids=ids, broadcast_buffers=False)


@contextmanager
def init_distributed(device: torch.device) -> Iterator[tuple[Ranks, torch.device]]:
    """The rank of this process among those of torchrun, and its device; NCCL between GPUs, gloo between CPUs.

    Raises:
        ConfigError: more processes than GPUs on this machine.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield SINGLE_PROCESS, device
        return
    if device.type == "cuda":
        local = int(os.environ.get("LOCAL_RANK", "0"))
        if local >= torch.cuda.device_count():
            gpus = torch.cuda.device_count()
            raise ConfigError(f"torchrun started process {local + 1} on a machine with {gpus} GPUs; lower --nproc-per-node")
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size()), device
    finally:
        dist.destroy_process_group()
