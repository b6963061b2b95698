"""Training options: each has its effect, and every interruption and every number of processes ends the same."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from cropcam.model.data import loading
from cropcam.model.runs.checkpoint import BEST, HISTORY, LAST, load_tensors, save_tensors
from cropcam.model.runs.config import load_config
from cropcam.model.runs.history import TIMINGS
from cropcam.model.training import trainer
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.runtime.atomic import exclusive_lock
from cropcam.pipeline.runtime.progress import Progress
from cropcam.pipeline.store.patch_store import open_store
from support.runs import train
from support.store_parts import all_labels, replace_values
from support.stores import make_store

EPOCHS = 2
SETTINGS: dict[str, Any] = {"model": "baseline", "batch_size": 5, "seed": 3, "device": "cpu", "precision": "fp32", "epochs": EPOCHS}
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("options") / "patches.zarr"
    make_store(path, count=30, size_px=12, nodata_share=0.3)
    return path


def history(run: Path) -> pd.DataFrame:
    return pd.read_csv(run / HISTORY).drop(columns=list(TIMINGS))


def weights(run: Path, name: str = LAST) -> dict[str, torch.Tensor]:
    return load_tensors(run / name)[0]


def assert_same(run: Path, whole: Path) -> None:
    ours, theirs = weights(run), weights(whole)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    pd.testing.assert_frame_equal(history(run), history(whole), check_exact=True)


def assert_close(run: Path, whole: Path, tolerance: float) -> None:
    pd.testing.assert_frame_equal(history(run), history(whole), rtol=tolerance, atol=tolerance)
    ours, theirs = weights(run, BEST), weights(whole, BEST)
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor, rtol=tolerance, atol=tolerance, msg=name)


def test_golden_loss_curve(store: Path, tmp_path: Path) -> None:
    """fp32 on a CPU: these figures may move in their last digits from machine to machine, not more."""
    train(store, tmp_path / "run", **SETTINGS)
    found = history(tmp_path / "run")
    np.testing.assert_allclose(found["train_loss"], GOLDEN["train_loss"], rtol=2e-3)
    np.testing.assert_allclose(found["validation_loss"], GOLDEN["validation_loss"], rtol=2e-3)


GOLDEN = {"train_loss": [0.744935, 0.499074], "validation_loss": [0.625485, 0.513863]}

OPTIONS: list[dict[str, Any]] = [
    {
        "model": "fcn",
        "labels": "pixels",
        "optimizer": "sgd",
        "schedule": "cosine",
        "warmup_epochs": 0.5,
        "grad_clip_norm": 1.0,
    },
    {
        "model": "unet",
        "labels": "majority",
        "optimizer": "adam",
        "label_smoothing": 0.1,
        "class_weights": "balanced",
        "channels_last": True,
    },
    {
        "labels": "presence",
        "class_weights": "balanced",
        "label_smoothing": 0.1,
        "schedule": "step",
        "rot90": True,
        "data_loading": "stream",
    },
    {
        "model": "fcn",
        "labels": "points",
        "class_weights": "balanced",
        "label_smoothing": 0.1,
        "precision": "bf16",
        "data_loading": "stream",
    },
    {"model": "fcn", "labels": "presence", "presence_min_share": 0.1, "pseudo_label_weight": 2.0},
    {"model": "fcn", "labels": "presence", "loss": "lse", "class_prior": (0.3, 0.3, 0.1, 0.1, 0.2)},
    {"model": "unet", "labels": "pixels"},
    {"model": "fcn", "labels": "shares", "pseudo_label_weight": 1.0, "precision": "bf16"},
    {"model": "fcn", "labels": "points", "pseudo_label_weight": 3.0, "points_per_patch": 12, "data_loading": "stream"},
    {"model": "unet", "labels": "shares", "bag_size": 2, "pseudo_label_weight": 2.0},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(map(str, options.values())))
def test_told_to_stop_at_a_random_step_and_resumed(store: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    """SIGTERM in the middle of an epoch, once and again: the same bits as the run that was left alone."""
    settings = SETTINGS | options
    train(store, tmp_path / "whole", **settings)
    draw = random.Random(str(options))  # noqa: S311 - a moment, no secret
    steps = sorted(draw.sample(range(1, 8, 2), 2))  # not neighbours: the step after the signal is still made

    def terminate_at(step: int) -> Progress:
        def progress(done: int, _total: int, note: str) -> None:
            if done == step and "validation" not in note:
                os.kill(os.getpid(), signal.SIGTERM)

        return progress

    run, before = tmp_path / "run", signal.getsignal(signal.SIGTERM)
    for step in steps:
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            train(store, run, resume=True, progress=terminate_at(step), **settings)
    train(store, run, resume=True)
    assert signal.getsignal(signal.SIGTERM) is before
    assert_same(run, tmp_path / "whole")


def test_another_machines_choice_is_kept(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "free_memory", lambda: 0)
    train(store, tmp_path / "run", **SETTINGS | {"epochs": 1})
    assert load_config(tmp_path / "run").data.data_loading == "stream"
    monkeypatch.undo()
    train(store, tmp_path / "run", resume=True, data_loading="auto", epochs=2)
    assert load_config(tmp_path / "run").data.data_loading == "stream"


def test_streamed_training_does_not_depend_on_how_far_it_reads_ahead(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(store, tmp_path / "ahead", **SETTINGS | {"data_loading": "stream"})
    monkeypatch.setattr(loading, "_PREFETCH_BATCHES", 0)
    train(store, tmp_path / "none", **SETTINGS | {"data_loading": "stream"})
    assert_same(tmp_path / "none", tmp_path / "ahead")


def test_early_stopping(store: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    train(store, tmp_path / "run", **SETTINGS | {"epochs": 40, "lr": 0.05, "patience": 2}, log=lines.append)
    losses = history(tmp_path / "run")["validation_loss"]
    assert len(losses) < 40
    assert len(losses) == losses.idxmin() + 1 + 2
    assert any(line.endswith("; stopped early: 2 epochs without a better one") for line in lines)
    lines.clear()
    train(store, tmp_path / "run", resume=True, log=lines.append)
    assert any("already trained for all" in line for line in lines)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


TOLERANCE = {"presence": 1e-4, "pixels": 2e-3, "points": 2e-3, "sparse": 2e-3}


# each training is a process group of its own: it needs a port of its own, as the store of `torchrun` keeps what the last group left
SCRIPT = """
import os
from pathlib import Path
from cropcam.model.options import Settings
from cropcam.model.training.train import train
os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "False"
for port, store, run, settings in {jobs}:
    os.environ["MASTER_PORT"] = str(port)
    train(Path(store), Path(run), Settings(**settings), device="cpu")
    if os.environ["RANK"] == "0":
        print(run + ": trained")
"""


def settings_of(name: str) -> dict[str, Any]:
    """Settings of a training that one process and two processes do; 18 patches in batches of 5, the last one of 3."""
    common = SETTINGS | {"lr": 1e-3, "optimizer": "sgd"}
    return {
        "presence": common | {"labels": "presence"},
        "pixels": common | {"model": "fcn", "labels": "pixels"},
        "points": common | {"model": "fcn", "labels": "points", "points_per_patch": 12},
        "sparse": common | {"model": "fcn", "labels": "points", "pseudo_label_weight": 3.0, "label_smoothing": 0.1, "epochs": 3},
    }[name]


@pytest.fixture(scope="module")
def sparse(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store without a label in two of three patches."""
    path = tmp_path_factory.mktemp("sparse") / "patches.zarr"
    shutil.copytree(store, path)
    values = all_labels(path)
    values[np.arange(len(values)) % 3 > 0] = 0
    replace_values(path, label=values)
    return path


@pytest.fixture(scope="module")
def two(store: Path, sparse: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of all runs by two processes, and their output: one `torchrun` trains them all, one after the other."""
    folder = tmp_path_factory.mktemp("two")
    jobs = []
    for name in TOLERANCE:
        settings = {key: value for key, value in settings_of(name).items() if key != "device"}
        jobs.append((free_port(), str(sparse if name == "sparse" else store), str(folder / name), settings))
    script = folder / "trainings.py"
    script.write_text(SCRIPT.format(jobs=jobs))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    done = subprocess.run(
        [*torchrun, f"--master-port={free_port()}", "--master-addr=127.0.0.1", str(script)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


@pytest.mark.parametrize("name", ["presence", "pixels", "points"])
def test_two_processes_are_one(store: Path, two: tuple[Path, str], tmp_path: Path, name: str) -> None:
    """The same global batches: the same curve and weights, up to the order of sums."""
    train(store, tmp_path / "one", **settings_of(name))
    folder, output = two
    assert output.count(f"{folder / name}: trained") == 1
    assert_close(folder / name, tmp_path / "one", TOLERANCE[name])


def test_pseudo_labels_count_by_pixels_where_processes_have_different_labels(sparse: Path, two: tuple[Path, str], tmp_path: Path) -> None:
    """Two of three patches have no labelled pixel: a process may have none in its part of a batch, and its pseudo-labels still count."""
    train(sparse, tmp_path / "one", **settings_of("sparse"))
    assert_close(two[0] / "sparse", tmp_path / "one", TOLERANCE["sparse"])


def test_patience_counts_from_the_start_of_pseudo_labels(store: Path, tmp_path: Path) -> None:
    train(
        store,
        tmp_path / "run",
        **SETTINGS | {"model": "fcn", "labels": "points", "pseudo_label_weight": 3.0, "epochs": 10, "patience": 1, "lr": 0.5},
    )
    assert len(history(tmp_path / "run")) >= 4  # pseudo-labels start with the fourth


def test_a_run_in_use_is_refused(store: Path, tmp_path: Path) -> None:
    with exclusive_lock(tmp_path / "run"), pytest.raises(DataError, match=r"run: another process is training it; wait for that one"):
        train(store, tmp_path / "run", **SETTINGS)
    train(store, tmp_path / "run", **SETTINGS | {"epochs": 1})


@pytest.mark.parametrize(
    ("error", "advised"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("x"), False),
    ],
)
def test_out_of_memory_says_what_to_lower(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: RuntimeError, advised: bool
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(trainer, "batches", fail)
    with pytest.raises(DataError if advised else RuntimeError, match=r"out of memory \(.*\); lower --batch-size" if advised else r"^x$"):
        train(store, tmp_path / "run", **SETTINGS)


def test_another_runs_checkpoint_names_the_field(store: Path, tmp_path: Path) -> None:
    train(store, tmp_path / "run", **SETTINGS | {"epochs": 1})
    tensors, made_by = load_tensors(tmp_path / "run" / LAST)
    save_tensors(tmp_path / "run" / LAST, tensors, made_by | {"model": "unet"})
    with pytest.raises(DataError, match=r"last\.safetensors: another run's checkpoint: its model is unet, this run's baseline"):
        train(store, tmp_path / "run", resume=True, epochs=2)


def test_a_schedule_that_grows_is_laid_out_anew_and_says_so(store: Path, tmp_path: Path) -> None:
    train(store, tmp_path / "run", **SETTINGS | {"epochs": 1, "schedule": "cosine"})
    lines: list[str] = []
    assert train(store, tmp_path / "run", resume=True, epochs=2, log=lines.append).optimizer.epochs == 2
    assert any("the cosine schedule is laid out anew over 2 epochs" in line for line in lines)


def test_more_epochs_move_the_start_of_pseudo_labels_with_a_warning(store: Path, tmp_path: Path) -> None:
    settings = SETTINGS | {"epochs": 1, "model": "fcn", "labels": "shares", "schedule": "constant", "pseudo_label_weight": 1.0}
    lines: list[str] = []
    train(store, tmp_path / "run", **settings, share_step=0.5, log=lines.append)
    (summary,) = (line for line in lines if " of 1 epochs: 1, " in line)
    assert "overlap 0." in summary
    assert "(best constant prediction 0." in summary
    (dropped,) = (line for line in lines if line.startswith("shares, rounded to 0.5: "))
    assert dropped.endswith("patches of validation, as all their shares are rounded to 0")
    train(store, tmp_path / "run", resume=True, epochs=2, device="cpu", log=lines.append)
    assert any("the start of pseudo-labels is laid out anew over 2 epochs" in line for line in lines)


def test_a_split_without_labels_is_refused(tmp_path: Path) -> None:
    make_store(tmp_path / "p.zarr", count=12, size_px=8)
    opened = open_store(tmp_path / "p.zarr")
    share = opened.share_NK.copy()
    share[opened.split_N == 1] = 0
    replace_values(tmp_path / "p.zarr", share=share)
    with pytest.raises(DataError, match=r"no patch of the validation split has a label: there is nothing to learn from"):
        train(tmp_path / "p.zarr", tmp_path / "run", **SETTINGS)


def test_a_batch_larger_than_the_split_is_one_step(store: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    train(store, tmp_path / "run", **SETTINGS | {"batch_size": 64}, log=lines.append)
    assert "warning: --batch-size 64 is more than the 18 training patches: one step per epoch" in lines


def test_tensorboard(store: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    train(store, tmp_path / "run", **SETTINGS, tensorboard=True)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    found = [event.value for event in events.Scalars("validation_loss")]
    np.testing.assert_allclose(found, history(tmp_path / "run")["validation_loss"], rtol=1e-6)


def test_training_in_a_thread_needs_no_signals(store: Path, tmp_path: Path) -> None:
    thread = threading.Thread(target=train, args=(store, tmp_path / "run"), kwargs=SETTINGS | {"epochs": 1})
    thread.start()
    thread.join()
    assert len(history(tmp_path / "run")) == 1


def test_a_run_with_pseudo_labels_keeps_its_last_epoch(store: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    train(
        store,
        tmp_path / "run",
        log=lines.append,
        **SETTINGS | {"model": "fcn", "labels": "points", "pseudo_label_weight": 3.0, "epochs": 4},
    )
    assert load_config(tmp_path / "run").keep_last_epoch
    assert load_tensors(tmp_path / "run" / BEST)[1]["epoch"] == "4"
    assert any(line.startswith("last of 4 epochs: 4, validation loss ") for line in lines)
    teacher = {name for name in weights(tmp_path / "run", LAST) if name.startswith("teacher.")}
    assert teacher == {f"teacher.{name}" for name in weights(tmp_path / "run", BEST)}


def test_own_labels_need_classes_on_one_scale(store: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"--pseudo-label-weight does not go with --loss bce, whose logits are not on one scale: leave it out, or use"
    ):
        train(store, tmp_path / "run", **SETTINGS | {"pseudo_label_weight": 1.0})
