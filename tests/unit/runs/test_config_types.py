"""A config.json of wrong types is refused with its key."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from cropcam.model.runs.config import load_config
from cropcam.model.runs.config_types import check_config
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.store.patch_store import open_store
from support.runs import make_run
from support.stores import make_store


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    make_store(folder / "s.zarr", count=4, size_px=8)
    make_run(folder / "run", folder / "s.zarr", open_store(folder / "s.zarr").info)
    return folder / "run"


def test_a_right_config(run: Path) -> None:
    check_config(json.loads((run / "config.json").read_text()))


@pytest.mark.parametrize(
    ("place", "to", "message"),
    [
        (("data", "seed"), [1, 2], r"data\.seed: input should be a valid integer, not \[1, 2\]"),
        (("data", "batch_size"), 0, "--batch-size 0 is not possible; it must be at least 1"),
        (("labels", "points"), 1.5, r"labels\.points: input should be a valid string"),
        (("labels", "labels"), "x", "--labels x is not possible"),
        (("network", "model"), None, r"network\.model: input should be a valid string"),
        (("network", "colour"), 1, "unexpected keyword argument 'colour'"),
        (("optimizer", "epochs"), "4", r"optimizer\.epochs: input should be a valid integer"),
        (("optimizer",), [], r"optimizer: input should be an object"),
        (("store", "mean", 0), [], r"store\.mean\.0: input should be a valid number"),
        (("store", "mean"), [0.5], r"store: mean: 1 values, there are 7 bands"),
        (("store", "std", 1), 0, r"store\.std\.1: input should be greater than 0"),
        (("store", "size_px"), 10**6, r"store\.size_px: input should be less than or equal to 4096"),
        (("store", "classes", 1, "codes"), [1.5], r"store\.classes\.1\.codes\.0: input should be a valid integer"),
        (("store", "attrs", "bands"), 3, r"bands: input should be a valid array"),
        (("digests",), {"points": None}, r"digests\.points: input should be a valid string"),
        (("stores",), [{"name": "a"}], r"stores\.0\.path: field required"),
        (("trained_patches",), -1, "trained_patches: input should be greater than or equal to 0"),
    ],
)
def test_a_wrong_type(run: Path, tmp_path: Path, place: tuple[Any, ...], to: object, message: str) -> None:
    values = copy.deepcopy(json.loads((run / "config.json").read_text()))
    item = values
    for key in place[:-1]:
        item = item[key]
    item[place[-1]] = to
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(DataError, match=rf"config\.json: damaged \([^\n]*{message}[^\n]*\); train the run again$"):
        load_config(tmp_path)
