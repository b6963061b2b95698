"""The state of a run in training is written and restored, and files of other runs are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cropcam.model.networks import Network, build
from cropcam.model.runs.checkpoint import BEST, HISTORY, LAST, load_tensors, save_tensors
from cropcam.model.runs.checkpointer import Checkpointer, RunningTotals, TrainingProgress
from cropcam.model.runs.config import RunConfig
from cropcam.model.runs.history import Row
from cropcam.model.strategies.base import Strategy
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.store.schema import StoreInfo
from support.runs import make_config


@pytest.fixture
def config(store: Path, info: StoreInfo) -> RunConfig:
    return make_config(store, info)


def rows(*losses: float) -> list[Row]:
    return [Row(epoch, 0.5, 0.25, loss, 0.3, 0.1, 1.2, 99.0, 0.25) for epoch, loss in enumerate(losses, 1)]


def checkpointer(run: Path, config: RunConfig, seed: int = 0, *, writes: bool = True, last: bool = False) -> tuple[Checkpointer, Network]:
    torch.manual_seed(seed)
    network, strategy = build("baseline", 7, 5), Strategy()
    strategy.keep_last_epoch = last
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.randn(1, 7, 8, 8)).logits_BK.sum().backward()
    optimizer.step()
    run.mkdir(exist_ok=True)
    return Checkpointer(run, config, network, optimizer, strategy, writes=writes), network


def test_an_epoch_is_restored(tmp_path: Path, config: RunConfig) -> None:
    saved, network = checkpointer(tmp_path / "run", config)
    saved.save_epoch(TrainingProgress(rows(0.5)))
    restored, other = checkpointer(tmp_path / "run", config, seed=1)
    assert restored.restore() == TrainingProgress(rows(0.5))
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in network.state_dict().items())


def test_the_middle_of_an_epoch_has_its_batches_and_sums(tmp_path: Path, config: RunConfig) -> None:
    saved, _ = checkpointer(tmp_path / "run", config)
    saved.save_epoch(TrainingProgress(rows(0.5)))
    done = TrainingProgress(rows(0.5), 3, RunningTotals(1 / 3, 12.0, 5.0, 60.0))
    saved.save_middle(done)
    restored, _ = checkpointer(tmp_path / "run", config, seed=1)
    assert restored.restore() == done


@pytest.mark.parametrize(("last", "epoch"), [(False, "1"), (True, "2")])
def test_best_is_the_selected_epoch(tmp_path: Path, config: RunConfig, last: bool, epoch: str) -> None:
    saved, _ = checkpointer(tmp_path / "run", config, last=last)
    saved.save_epoch(TrainingProgress(rows(0.5)))
    saved.save_epoch(TrainingProgress(rows(0.5, 0.7)))
    assert load_tensors(tmp_path / "run" / BEST)[1]["epoch"] == epoch
    assert load_tensors(tmp_path / "run" / LAST)[1]["epoch"] == "2"


def test_a_run_killed_before_best_is_completed(tmp_path: Path, config: RunConfig) -> None:
    saved, _ = checkpointer(tmp_path / "run", config)
    saved.save_epoch(TrainingProgress(rows(0.5)))
    before = (tmp_path / "run" / BEST).read_bytes()
    (tmp_path / "run" / BEST).unlink()
    assert checkpointer(tmp_path / "run", config, seed=1)[0].restore().rows == rows(0.5)
    assert (tmp_path / "run" / BEST).read_bytes() == before


def test_only_the_writing_process_writes(tmp_path: Path, config: RunConfig) -> None:
    reader, _ = checkpointer(tmp_path / "run", config, writes=False)
    reader.save_epoch(TrainingProgress(rows(0.5)))
    assert list((tmp_path / "run").iterdir()) == []
    assert reader.restore() == TrainingProgress()


def test_files_that_are_not_of_one_run_are_refused(tmp_path: Path, config: RunConfig, store: Path, info: StoreInfo) -> None:
    run = tmp_path / "run"
    saved, network = checkpointer(run, config)
    saved.save_epoch(TrainingProgress(rows(0.5)))
    saved.save_epoch(TrainingProgress(rows(0.5, 0.7)))
    other = make_config(store, info, labels="shares", loss="shares")
    with pytest.raises(DataError, match=r"last\.safetensors: another run's checkpoint: its labels is presence, this run's shares"):
        checkpointer(run, other)[0].restore()
    save_tensors(run / BEST, dict(network.state_dict()), {"epoch": "2"})
    with pytest.raises(DataError, match=r"best\.safetensors: not the selected epoch of history\.csv"):
        saved.restore()
    (run / HISTORY).unlink()
    with pytest.raises(DataError, match=r"history\.csv: no such file; train into another folder"):
        saved.restore()
    (run / LAST).unlink()
    with pytest.raises(DataError, match=r"last\.safetensors: missing, though best\.safetensors is there"):
        saved.restore()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sums": "[1, 2"}, r"the progress of its epoch is missing"),
        ({"sums": "[NaN, 1, 1, 1]"}, r"the progress of its epoch is missing"),
        ({"batches": "-1"}, r"the progress of its epoch is missing"),
        ({"epoch": "x"}, r"its epoch is missing"),
        ({"epoch": "-1"}, r"its epoch is missing"),
        ({"epoch": "99999999999999999999"}, r"is of epoch 99999999999999999999, the run is of 4 epochs"),
        ({"epoch": "2147483648"}, r"is of epoch 2147483648, the run is of 4 epochs"),
    ],
)
def test_damaged_metadata_are_refused(tmp_path: Path, config: RunConfig, change: dict[str, str], message: str) -> None:
    saved, _ = checkpointer(tmp_path / "run", config)
    saved.save_epoch(TrainingProgress(rows(0.5)))
    tensors, metadata = load_tensors(tmp_path / "run" / LAST)
    save_tensors(tmp_path / "run" / LAST, tensors, metadata | change)
    with pytest.raises(DataError, match=rf"last\.safetensors: {message}; train into another folder"):
        saved.restore()


def test_running_totals_are_weighted_means() -> None:
    sums = RunningTotals()
    assert (sums.loss, sums.accuracy) == (0, 0)
    sums.add(1.0, 4, 3, 4)
    sums.add(4.0, 2, 0, 2)
    assert (sums.loss, sums.accuracy) == (2.0, 0.5)
    assert RunningTotals(*sums.values()) == sums
