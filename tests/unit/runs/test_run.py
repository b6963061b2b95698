"""A run folder as an object."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from cropcam.model.networks import build
from cropcam.model.runs.checkpoint import HISTORY
from cropcam.model.runs.run import Run
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.store.schema import StoreInfo
from support.runs import make_run


def test_a_run_has_its_configuration_history_and_network(store: Path, info: StoreInfo, tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = build("baseline", len(info.bands), len(info.classes))
    config = make_run(tmp_path / "run", store, info, network)
    run = Run(tmp_path / "run")
    assert run.config == config
    assert run.history["epoch"].tolist() == [1, 2, 3, 4]
    assert run.metrics is None
    assert not run.network().training
    assert all(torch.equal(value, run.network().state_dict()[name]) for name, value in network.state_dict().items())


def test_a_run_as_json_values(store: Path, info: StoreInfo, tmp_path: Path) -> None:
    make_run(tmp_path / "run", store, info)
    (tmp_path / "run" / "metrics.json").write_text('{"split": "test"}')
    values = Run(tmp_path / "run").to_dict()
    assert json.loads(json.dumps(values)) == values
    assert list(values) == ["folder", "config", "history", "metrics"]
    assert (values["metrics"], values["history"][1]["epoch"], values["config"]["network"]["model"]) == ({"split": "test"}, 2, "baseline")


def test_a_folder_without_a_run_is_refused(store: Path, info: StoreInfo, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no run folder \(no config\.json in it\)"):
        Run(tmp_path)
    make_run(tmp_path / "run", store, info)
    (tmp_path / "run" / HISTORY).unlink()
    with pytest.raises(DataError, match=r"history\.csv: no such file; train the run first"):
        _ = Run(tmp_path / "run").history
