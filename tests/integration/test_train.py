"""Training on synthetic stores: the known answer is found, and no interruption shows in the end."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from cropcam.model.data.normalization import Normalization, standardise
from cropcam.model.labels.derive import presence
from cropcam.model.losses.objectives import OBJECTIVES, ModelOutputs, Targets
from cropcam.model.networks import build
from cropcam.model.networks.cam import pixel_scores
from cropcam.model.runs.cautions import CAUTIONS, read_cautions
from cropcam.model.runs.checkpoint import BEST, CARD, ENVIRONMENT, HISTORY, ITEM, LAST, load_network, load_tensors
from cropcam.model.runs.config import CONFIG, load_config
from cropcam.model.runs.history import TIMINGS
from cropcam.model.segmentation.methods import SEGMENT
from cropcam.model.transfer.seen import SEEN
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.runtime.hashing import file_sha256
from cropcam.pipeline.store.patch_store import open_store
from cropcam.pipeline.store.schema import StoreInfo
from support.runs import train
from support.store_parts import all_labels, replace_values
from support.stores import BACKGROUND_CODES, make_store, make_study

EPOCHS = 3
TESTS = str(Path(__file__).parents[1])
SETTINGS = {"model": "baseline", "batch_size": 5, "seed": 11, "device": "cpu", "precision": "fp32"}  # its digits are compared with numpy's


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "patches.zarr"
    make_store(path, count=30, size_px=8, nodata_share=0.2)
    return path


@pytest.fixture(scope="module")
def whole(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never interrupted."""
    run = tmp_path_factory.mktemp("whole") / "deep" / "run"
    train(store, run, epochs=EPOCHS, **SETTINGS)
    return run


def files(run: Path) -> list[str]:
    return sorted(path.name for path in run.iterdir())


def assert_same(run: Path, whole: Path) -> None:
    assert files(run) == files(whole) == sorted([BEST, CARD, CAUTIONS, CONFIG, ENVIRONMENT, HISTORY, ITEM, LAST, SEEN, SEGMENT])
    for name in (LAST, BEST, ITEM):
        assert file_sha256(run / name) == file_sha256(whole / name), f"{name} differs"
    ours_config, theirs_config = (replace(load_config(each), store="") for each in (run, whole))  # its path is seen from the run folder
    assert ours_config == theirs_config
    ours, theirs = (pd.read_csv(each / HISTORY, dtype=str).drop(columns=list(TIMINGS)) for each in (run, whole))
    pd.testing.assert_frame_equal(ours, theirs)


def test_the_known_answer_is_found(tmp_path: Path) -> None:
    """Each class has its own spectrum. From the classes of a patch alone, the network must find where they are:

    at least 0.4 more pixels right than the most frequent class everywhere, and 0.25 more labels than the majority guess.
    """
    store, run = tmp_path / "patches.zarr", tmp_path / "run"
    make_store(store, count=200, size_px=24, seed=5)
    train(store, run, model="baseline", epochs=8, batch_size=8, lr=2e-3, device="cpu")
    opened = open_store(store)
    network, config = load_network(run, torch.device("cpu"))
    index = opened.split_indices("test")
    x_BCHW, _ = standardise(torch.from_numpy(opened.images(index)), Normalization.of(config, "cpu"))
    logits_BK, cams_BKHW = pixel_scores(network, x_BCHW)
    truth_BHW = opened.info.classes.index(opened.labels(index))
    label_BK = presence(opened.share_NK[index], config.labels.presence_min_share)
    pixels = (cams_BKHW.argmax(dim=1).numpy() == truth_BHW).mean()
    labels = ((logits_BK.numpy() > 0) == label_BK).mean()
    assert pixels > np.bincount(truth_BHW.ravel()).max() / truth_BHW.size + 0.4
    assert labels > np.maximum(label_BK.mean(axis=0), 1 - label_BK.mean(axis=0)).mean() + 0.25


def test_what_a_run_folder_holds(store: Path, whole: Path) -> None:
    info = open_store(store).info
    config = load_config(whole)
    assert (config.store.study, (whole / config.store.path).resolve(), config.store.digest) == ("demo", store.resolve(), info.digest)
    assert (config.optimizer.epochs, config.data.batch_size, config.data.seed, config.labels.presence_min_share) == (EPOCHS, 5, 11, 0.05)
    history = pd.read_csv(whole / HISTORY)
    assert history["epoch"].tolist() == [1, 2, 3]
    assert history["train_accuracy"].between(0, 1).all()
    assert (history[list(TIMINGS)] >= 0).all(axis=None)  # the share of waiting may round to 0
    assert (history["seconds"] > 0).all()
    best = int(history["epoch"][history["validation_loss"].idxmin()])
    assert load_tensors(whole / BEST)[1] == {
        "epoch": str(best),
        "study": "demo",
        "model": "baseline",
        "labels": "presence",
        "store_digest": info.digest,
        "code_version": config.code_version,
    }
    environment = json.loads((whole / ENVIRONMENT).read_text())
    assert environment["torch"] == torch.__version__
    assert not {os.uname().nodename, os.environ.get("USER", "")} & set(map(str, environment.values()))


def test_the_history_says_what_the_weights_give(store: Path, whole: Path) -> None:
    """The best epoch's figures, computed again from best.safetensors by plain means."""
    opened = open_store(store)
    network, config = load_network(whole, torch.device("cpu"))
    index = opened.split_indices("validation")
    x_BCHW, valid_BHW = standardise(torch.from_numpy(opened.images(index)), Normalization.of(config, "cpu"))
    np.testing.assert_array_equal(valid_BHW.numpy(), (opened.images(index) != 0).all(axis=1))
    with torch.inference_mode():
        logits_BK = network(x_BCHW, valid_BHW).logits_BK.double().numpy()
    label_BK = opened.share_NK[index] > 0.05
    history = pd.read_csv(whole / HISTORY)
    row = history.loc[history["validation_loss"].idxmin()]
    assert row["validation_loss"] == pytest.approx((np.logaddexp(0, logits_BK) - label_BK * logits_BK).mean(), rel=1e-5)
    assert row["validation_accuracy"] == pytest.approx(((logits_BK > 0) == label_BK).mean())
    rate_K = label_BK.mean(axis=0)
    assert row["validation_majority_accuracy"] == pytest.approx(np.maximum(rate_K, 1 - rate_K).mean())


def test_the_seed_decides_and_nothing_else(store: Path, whole: Path, tmp_path: Path) -> None:
    torch.manual_seed(99)
    before = torch.get_rng_state()
    train(store, tmp_path / "again", epochs=EPOCHS, **SETTINGS)
    assert_same(tmp_path / "again", whole)
    assert torch.equal(torch.get_rng_state(), before), "the caller's random state is untouched"
    assert not torch.are_deterministic_algorithms_enabled()
    train(store, tmp_path / "other", epochs=1, **(SETTINGS | {"seed": 12}))
    assert pd.read_csv(tmp_path / "other" / HISTORY)["train_loss"][0] != pd.read_csv(whole / HISTORY)["train_loss"][0]


def test_progress_and_log(store: Path, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    notes: list[str] = []
    lines: list[str] = []

    def progress(done: int, total: int, note: str) -> None:
        steps.append((done, total))
        notes.append(note)

    train(store, tmp_path / "run", epochs=2, progress=progress, log=lines.append, **SETTINGS)
    assert [done for done, _ in steps] == [1, 2, 3, 4, 4, 5, 6, 7, 8, 8], "18 patches in batches of 5, then the epoch's figures"
    assert {total for _, total in steps} == {8}
    assert notes[0].startswith("epoch 1/2, loss ")
    assert "(majority guess " in notes[-1]
    assert lines[0].startswith("18 train, 6 validation, 6 test patches; ")
    assert "the best constant prediction agrees with" in lines[0]
    ended = next(number for number, line in enumerate(lines) if line.startswith("best of 2 epochs: "))
    assert [line.removeprefix("warning: ") for line in lines[ended + 1 :]] == read_cautions(tmp_path / "run")
    assert "fewer than 10 patches to score" in lines[-1]


def test_labels_without_information_are_named(tmp_path: Path) -> None:
    study = make_study(8, 0.0, {"corn": (1,), "rice": (3,)})
    path = tmp_path / "patches.zarr"
    make_store(path, count=12, size_px=8, study=study)
    lines: list[str] = []
    train(path, tmp_path / "run", epochs=1, presence_min_share=0.99, device="cpu", log=lines.append)
    warnings = [line for line in lines if line.startswith("warning: label")]
    opened = open_store(path)
    share_NK = opened.share_NK[opened.split_indices("train")]
    rates = (share_NK > np.float32(0.99)).mean(axis=0)
    assert len(warnings) == ((rates < 0.03) | (rates > 0.97)).sum()


def test_classes_that_no_label_names_are_named(store: Path, tmp_path: Path) -> None:
    study = make_study(8, 0.0, {"corn": (1,), "rice": (3,)})
    make_store(tmp_path / "patches.zarr", count=12, size_px=8, study=study)
    never = "warning: no training label is rice: it cannot be learned"
    share_NK, label_NYX = open_store(tmp_path / "patches.zarr").share_NK, all_labels(tmp_path / "patches.zarr")
    for kind in ("shares", "pixels"):
        lines: list[str] = []
        train(tmp_path / "patches.zarr", tmp_path / f"with {kind}", epochs=1, labels=kind, device="cpu", log=lines.append)
        assert never not in lines
    share_NK[:, 0] += share_NK[:, 2]
    share_NK[:, 2] = 0
    label_NYX[label_NYX == 3] = BACKGROUND_CODES[0]
    replace_values(tmp_path / "patches.zarr", share=share_NK, label=label_NYX)
    for kind in ("majority", "shares", "pixels"):
        lines = []
        train(tmp_path / "patches.zarr", tmp_path / kind, epochs=1, labels=kind, device="cpu", log=lines.append)
        assert never in lines
    lines = []
    train(store, tmp_path / "groups", epochs=1, labels="shares", bag_size=8, batch_size=4, device="cpu", log=lines.append)
    assert any("a step has 4 patches of a bag of 8" in line for line in lines)


def test_a_folder_where_nothing_was_learned_yet_takes_other_settings(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings: dict[str, Any] = {"epochs": 1, "device": "cpu", "labels": "shares"}
    with monkeypatch.context() as patch:
        patch.setattr("cropcam.model.training.trainer.Trainer.run_epoch", _out_of_memory)
        with pytest.raises(DataError, match=r"out of memory \(.*\); lower --batch-size"):
            train(store, tmp_path / "run", batch_size=64, **settings)
    assert load_config(tmp_path / "run").data.batch_size == 64
    assert train(store, tmp_path / "run", resume=True, batch_size=4, device="cpu").data.batch_size == 4
    kept = load_config(tmp_path / "run")
    assert (kept.labels.kind, kept.optimizer.epochs, kept.data.batch_size) == ("shares", 1, 4)


def _out_of_memory(*_: object) -> bool:
    raise MemoryError


def test_a_lone_patch_too_small_for_the_network_is_refused(store: Path, tmp_path: Path) -> None:
    size = len(open_store(store).split_indices("train")) - 1
    match = rf"--batch-size {size} leaves a batch of one of {size + 1} training patches: unet cannot learn from one patch of 8 px"
    with pytest.raises(ConfigError, match=match):
        train(store, tmp_path / "run", model="unet", labels="pixels", epochs=1, batch_size=size, device="cpu")
    assert not (tmp_path / "run").exists()


class Killed(BaseException):
    """Stands for kill -9 in this process: nothing catches it."""


@pytest.mark.parametrize("writes", range(1, 18))
def test_killed_after_any_write_and_resumed(store: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int) -> None:
    run, done, replace = tmp_path / "run", [0], Path.replace

    def replace_and_die(self: Path, target: Path) -> Path:
        result = replace(self, target)
        done[0] += 1
        if done[0] == writes:
            raise Killed
        return result

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace_and_die)
        try:
            train(store, run, epochs=EPOCHS, **SETTINGS)
        except Killed:
            (run / f".{LAST}.partial").write_bytes(b"half a checkpoint")
    train(store, run, epochs=EPOCHS, resume=True, **SETTINGS)
    assert_same(run, whole)


def kill_in_epoch_2(store: Path, run: Path) -> None:
    code = f"""
import sys, time
from pathlib import Path
sys.path.insert(0, {TESTS!r})
from support.runs import train
def progress(done, total, note):
    print(done, flush=True)
    if done > 6:
        time.sleep(60)
train(Path({str(store)!r}), Path({str(run)!r}), epochs={EPOCHS}, progress=progress, **{SETTINGS!r})
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) > 6:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL


def test_kill_9_and_resume(store: Path, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    kill_in_epoch_2(store, run)
    assert load_tensors(run / LAST)[1]["epoch"] == "1"
    lines: list[str] = []
    train(store, run, resume=True, log=lines.append)
    assert_same(run, whole)


def test_ctrl_c_keeps_the_last_epoch(store: Path, whole: Path, tmp_path: Path) -> None:
    def progress(done: int, _total: int, _note: str) -> None:
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        train(store, tmp_path / "run", epochs=EPOCHS, progress=progress, **SETTINGS)
    assert load_tensors(tmp_path / "run" / LAST)[1]["epoch"] == "2"
    train(store, tmp_path / "run", resume=True)
    assert_same(tmp_path / "run", whole)


def test_more_epochs_go_on(store: Path, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(store, run, epochs=1, **SETTINGS)
    train(store, run, epochs=EPOCHS, resume=True, **SETTINGS)
    assert_same(run, whole)


def test_a_finished_run_says_so(store: Path, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    lines: list[str] = []
    train(store, run, resume=True, log=lines.append)
    assert any(line == f"{run}: already trained for all 3 epochs; a larger --epochs goes on" for line in lines)
    assert_same(run, whole)


def test_an_existing_run_needs_resume(store: Path, whole: Path) -> None:
    with pytest.raises(ConfigError, match=r"run: holds a run already; go on with it with --resume"):
        train(store, whole, epochs=EPOCHS, **SETTINGS)


def test_another_store_is_refused(whole: Path, tmp_path: Path) -> None:
    make_store(tmp_path / "other.zarr", count=30, size_px=8, seed=1)
    with pytest.raises(DataError, match=r"other\.zarr: not the store that .*run was trained on: split_seed: 0 against 1 \(and \d+ more\)"):
        train(tmp_path / "other.zarr", whole, resume=True)


def test_a_moved_store_is_the_same(store: Path, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    shutil.copytree(store, tmp_path / "moved.zarr")
    assert train(tmp_path / "moved.zarr", run, resume=True).store.digest == load_config(whole).store.digest


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda run: (run / LAST).write_bytes((run / LAST).read_bytes()[:9999]), r"last\.safetensors: damaged checkpoint"),
        (lambda run: (run / LAST).unlink(), r"last\.safetensors: missing, though best\.safetensors is there"),
        (lambda run: shutil.copy(run / BEST, run / LAST), r"last\.safetensors: not the weights of this network: dense\.bias is \[5\]"),
        (lambda run: (run / HISTORY).unlink(), r"history\.csv: no such file; train into another folder"),
        (lambda run: (run / CONFIG).write_text("{}"), r"config\.json: damaged"),
    ],
)
def test_damaged_runs_are_not_resumed(store: Path, whole: Path, tmp_path: Path, spoil: Callable[[Path], object], message: str) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    spoil(run)
    before = {name: file_sha256(run / name) for name in files(run)}
    with pytest.raises(DataError, match=message):
        train(store, run, epochs=9, resume=True)
    assert {name: file_sha256(run / name) for name in files(run)} == before, "nothing is written over"


def test_nothing_is_made_where_nothing_can_be_trained(store: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.zarr: no such store"):
        train(tmp_path / "nowhere.zarr", tmp_path / "run")
    with pytest.raises(ConfigError, match=r"--epochs 0 is not possible"):
        train(store, tmp_path / "run", epochs=0)
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match=r"--device cuda: this machine has no usable GPU"):
            train(store, tmp_path / "run", device="cuda")
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_not_finite_stops(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = [0]

    def loss(batch: ModelOutputs, targets: Targets, _share: float) -> torch.Tensor:
        calls[0] += 1
        return ((batch.output.logits_BK - targets.image_BK) * (torch.nan if calls[0] == 9 else 1.0)).square().mean()

    monkeypatch.setitem(OBJECTIVES, "bce", replace(OBJECTIVES["bce"], loss=loss))
    with pytest.raises(DataError, match=r"epoch 2, batch 3: the loss is nan; a smaller --lr may help\. The last complete epoch is kept"):
        train(store, tmp_path / "run", epochs=2, **SETTINGS)
    assert load_tensors(tmp_path / "run" / LAST)[1]["epoch"] == "1"


def test_a_full_disk_leaves_what_was_there(store: Path, whole: Path, tmp_path: Path) -> None:
    """Files of at most 2 MB: the first checkpoint does not fit. Given room again, the run ends as if nothing had been."""
    run, before = tmp_path / "run", resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, before[1]))
    try:
        with pytest.raises(OSError, match=rf"^\[Errno 27\] File too large: '{run / LAST}'$"):
            train(store, run, epochs=EPOCHS, **SETTINGS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert files(run) == sorted([CONFIG, ENVIRONMENT, HISTORY])
    train(store, run, resume=True)
    assert_same(run, whole)


def test_another_environment_is_told(store: Path, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    values = json.loads((run / ENVIRONMENT).read_text()) | {"torch": "1.0"}
    (run / ENVIRONMENT).write_text(json.dumps(values))
    lines: list[str] = []
    train(store, run, resume=True, log=lines.append)
    assert f"warning: the run goes on in another environment (torch 1.0 -> {torch.__version__}): its last digits may differ" in lines


def test_without_a_signal_nothing_is_learned(tmp_path: Path) -> None:
    """The same spectrum for every class: validation accuracy stays near the guess, so the fixtures leak no labels."""
    info: StoreInfo = make_store(tmp_path / "patches.zarr", count=60, size_px=8, signal=False)
    config = train(tmp_path / "patches.zarr", tmp_path / "run", epochs=4, batch_size=8, device="cpu")
    history = pd.read_csv(tmp_path / "run" / HISTORY)
    best = history.loc[history["validation_loss"].idxmin()]
    assert best["validation_accuracy"] < best["validation_majority_accuracy"] + 0.1
    assert len(build(config.network.model, len(info.bands), len(info.classes)).dense.weight) == 5
