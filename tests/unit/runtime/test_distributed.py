"""Several processes: shards, the loss of a global batch, and batch norm against torch's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from cropcam.model.networks import build
from cropcam.model.runtime.distributed import SINGLE_PROCESS, Ranks, SyncedBatchNorm, init_distributed, wrap_ddp
from cropcam.pipeline.errors import ConfigError

CPU = torch.device("cpu")


@pytest.fixture
def group(tmp_path: Path) -> Iterator[None]:
    """A process group of this process alone."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@given(size=st.integers(0, 50), count=st.integers(1, 9))
def test_shards_cover_a_batch_in_order(size: int, count: int) -> None:
    shards = [list(range(size))[Ranks(rank, count).shard(size)] for rank in range(count)]
    assert [patch for shard in shards for patch in shard] == list(range(size))
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_a_single_process_reduces_nothing() -> None:
    terms = [(torch.tensor(2.0), lambda: torch.tensor(3)), (torch.tensor(5.0), lambda: torch.tensor(1))]
    loss, stop = SINGLE_PROCESS.reduce_loss(terms, True, CPU)
    assert (loss.item(), stop) == (7.0, True)
    assert SINGLE_PROCESS.sums([1.0, 2.0], CPU) == [1.0, 2.0]
    network = build("fcn", 2, 3)
    assert wrap_ddp(network, SINGLE_PROCESS, CPU) == (network, network)


def test_the_mean_over_ranks_is_the_loss_of_the_global_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two ranks with 3 and 1 labels: each rank's loss is weighted by its labels; a term without labels is 0."""
    losses, labels, stops = ((2.0, 4.0), (6.0, 1.0)), ((3, 0), (1, 0)), (False, True)

    def all_reduce(total: Tensor) -> None:
        total.copy_(torch.tensor([4.0, 0.0, 1.0]))

    monkeypatch.setattr(dist, "all_reduce", all_reduce)
    reduced = []
    for rank in range(2):
        terms = [
            (torch.tensor(loss), lambda count=count: torch.tensor(count)) for loss, count in zip(losses[rank], labels[rank], strict=True)
        ]
        loss, stop = Ranks(rank, 2).reduce_loss(terms, stops[rank], CPU)
        assert stop
        reduced.append(loss.item())
    assert sum(reduced) / 2 == pytest.approx((3 * 2.0 + 1 * 6.0) / 4)


@pytest.mark.usefixtures("group")
def test_synced_batch_norm_is_torchs_batch_norm() -> None:
    torch.manual_seed(0)
    expected, synced = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    synced.__class__ = SyncedBatchNorm
    for module in (expected, synced):
        nn.init.uniform_(module.weight, 0.5, 2, generator=torch.Generator().manual_seed(1))
    x_BCHW = torch.randn(4, 3, 5, 6) * 3 + 2
    gradients = []
    for module in (expected, synced):
        x = x_BCHW.clone().requires_grad_()
        module(x).square().mul(torch.arange(6.0)).sum().backward()
        gradients.append((x.grad, module.weight.grad, module.bias.grad))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-4)
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(synced.state_dict()[name], value)
    torch.testing.assert_close(synced.eval()(x_BCHW), expected.eval()(x_BCHW))


def test_without_torchrun_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with init_distributed(CPU) as (ranks, device):
        assert (ranks, device, ranks.is_main) == (SINGLE_PROCESS, CPU, True)


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with (
        pytest.raises(ConfigError, match=r"torchrun started process 2 on a machine with 1 GPUs; lower --nproc-per-node"),
        init_distributed(torch.device("cuda")),
    ):
        pass
