"""The commands of the learning plane: parsing and the call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cropcam.cli import main, removed_option
from cropcam.model.options import Settings
from cropcam.model.training import train as training


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Arguments of the calls of `training.train`, which does nothing."""
    recorded: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    monkeypatch.setattr(training, "train", lambda *args, **options: recorded.append((args, options)))
    return recorded


def test_train_passes_only_the_given_settings(calls: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert main(["train", "s.zarr", "--run", str(run), "--labels", "shares", "--lr", "0.5", "--resume", "--device", "cpu"]) == 0
    ((store, folder, settings), options) = calls[0]
    assert (store, folder, settings.passed) == ([Path("s.zarr")], run, {"labels": "shares", "lr": 0.5})
    assert isinstance(settings, Settings)
    assert (options["device"], options["resume"], options["tensorboard"]) == ("cpu", True, False)
    assert capsys.readouterr().out == f"{run}: trained\nresults: {run}\nnext: cropcam evaluate {run}\n"


def test_options_override_a_preset(calls: list[Any], tmp_path: Path) -> None:
    assert main(["train", "s.zarr", "--run", str(tmp_path), "--preset", "paper", "--epochs", "3"]) == 0
    passed = calls[0][0][2].passed
    assert (passed["model"], passed["labels"], passed["epochs"], passed["lr"]) == ("unet", "points", 3, 1e-3)


def test_other_ranks_of_torchrun_print_nothing(
    calls: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "1")
    assert main(["train", "s.zarr", "--run", str(tmp_path)]) == 0
    assert (len(calls), capsys.readouterr().out) == (1, "")


def test_help_has_the_default_and_the_kinds_of_label(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["train", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "--epochs N epochs, each validated: passes over the training split (default: 16)" in text
    assert "--bag-size N shares: neighbouring patches that share one row of proportions (default: 1)" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "s", "--self-labels"], "--self-labels was removed: use --pseudo-label-weight"),
        (["train", "s", "--no-whiten"], "--no-whiten was removed: nothing replaced it"),
        (
            ["train", "s", "--clip-norm=2"],
            "--clip-norm was removed: use cropcam.Settings(grad_clip_norm=...) in Python",
        ),
        (
            ["train", "s", "--weight-decay", "1"],
            "--weight-decay was removed: use cropcam.Settings(weight_decay=...) in Python",
        ),
        (["evaluate", "r", "--references"], "--references was removed: train a run with --model trees and use cropcam compare"),
        (["evaluate", "r", "--whiten"], None),
    ],
)
def test_removed_options_are_refused_with_their_replacement(words: list[str], message: str | None) -> None:
    assert removed_option(words) == message
