"""RUN/tensorboard is written only on request."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cropcam.model.runs.history import COLUMNS, Row
from cropcam.model.training.tensorboard import history_writer
from cropcam.pipeline.errors import ConfigError

ROW = Row(3, 0.5, 0.25, 0.4, 0.3, 0.1, 1.2, 99.0, 0.2)


def test_nothing_is_written_without_the_option(tmp_path: Path) -> None:
    with history_writer(tmp_path, False, 0) as write:
        write(ROW)
    assert list(tmp_path.iterdir()) == []


def test_every_column_is_a_scalar_and_later_epochs_are_purged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    class Writer:
        def __init__(self, folder: Path, purge_step: int) -> None:
            calls.append((folder, purge_step))

        def __enter__(self) -> Writer:
            return self

        def __exit__(self, *_: object) -> None:
            calls.append("closed")

        def add_scalar(self, name: str, value: float, epoch: int) -> None:
            calls.append((name, value, epoch))

        def flush(self) -> None:
            calls.append("flushed")

    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    with history_writer(tmp_path, True, 2) as write:
        write(ROW)
    scalars = [(name, getattr(ROW, name), 3) for name in COLUMNS if name != "epoch"]
    assert calls == [(tmp_path / "tensorboard", 3), *scalars, "flushed", "closed"]


def test_a_missing_package_is_a_usage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with (
        pytest.raises(ConfigError, match=r"^--tensorboard needs tensorboard; install with: pip install 'cropcam\[tensorboard\]'$"),
        history_writer(tmp_path, True, 0),
    ):
        pass
