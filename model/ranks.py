"""Several processes that train one network, as `torchrun` starts them: who does what, and sums over all of them.

Each rank takes its part of every global batch, so that the batches are those of one process. Gradients are summed over
ranks by torch's DistributedDataParallel; losses and counts are summed here, in float64.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist

from pipeline.errors import ConfigError


@dataclass(frozen=True)
class Ranks:
    """This process among `count`; alone it is rank 0 of 1."""

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this one writes and speaks."""
        return self.rank == 0

    def part(self, size: int) -> slice:
        """This rank's part of a global batch of `size`: parts differ by at most one and cover it in order.

        >>> [Ranks(rank, 3).part(8) for rank in range(3)]
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

    def wait(self) -> None:
        """Until every rank has come here."""
        if self.count > 1:
            dist.barrier()


ALONE = Ranks()


@contextmanager
def joined(device: torch.device) -> Iterator[tuple[Ranks, torch.device]]:
    """This process's place among those that torchrun started, and its device; NCCL between GPUs, gloo between CPUs.

    Raises:
        ConfigError: more processes than GPUs on this machine.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield ALONE, device
        return
    if device.type == "cuda":
        local = int(os.environ.get("LOCAL_RANK", "0"))
        if local >= torch.cuda.device_count():
            raise ConfigError(
                f"torchrun started process {local + 1} on a machine with {torch.cuda.device_count()} GPUs; lower --nproc-per-node"
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size()), device
    finally:
        dist.destroy_process_group()
