"""Checks before training. Whole trainings are in tests/integration/test_train.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from cropcam.model.runs.checkpoint import ENVIRONMENT, write_json
from cropcam.model.runtime.device import environment
from cropcam.model.training import train as module
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.store.schema import StoreInfo
from support.runs import make_config, train


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError(), RuntimeError("can't allocate memory: 9 bytes")]
)
def test_lack_of_memory_is_one_line(error: Exception) -> None:
    wanted = (
        r"^out of memory \(.+\); lower --batch-size, or free memory, then run the same command again\. The last complete epoch is kept$"
    )
    with pytest.raises(DataError, match=wanted), module._memory_advice():
        raise error


def test_another_runtime_error_is_not_hidden() -> None:
    with pytest.raises(RuntimeError, match=r"shape mismatch"), module._memory_advice():
        raise RuntimeError("shape mismatch")


def test_another_environment_is_logged(store: Path, info: StoreInfo, tmp_path: Path) -> None:
    now, lines = environment(torch.device("cpu")), []
    write_json(tmp_path / ENVIRONMENT, {**now, "torch": "1.0"})
    module._prepare_folder(tmp_path, make_config(store, info), torch.device("cpu"), lines.append)
    assert lines == [f"warning: the run goes on in another environment (torch 1.0 -> {torch.__version__}): its last digits may differ"]
    assert json.loads((tmp_path / ENVIRONMENT).read_text()) == now


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        ({"schedule": "constant"}, ""),
        ({"schedule": "cosine"}, "the cosine schedule is"),
        ({"schedule": "step", "pseudo_label_weight": 1.0}, "the step schedule and the start of pseudo-labels are"),
    ],
)
def test_parts_that_depend_on_the_number_of_epochs(store: Path, info: StoreInfo, settings: dict[str, object], parts: str) -> None:
    assert module._depending_on_epochs(make_config(store, info, **settings)) == parts


def test_a_missing_store_leaves_no_run_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.zarr"):
        train(tmp_path / "none.zarr", tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()
