"""The configuration of a run on a small store, which several tests of the run folder share."""

from __future__ import annotations

from pathlib import Path

import pytest

from cropcam.model.runs.config import RunConfig
from cropcam.model.training.settings import configure
from cropcam.pipeline.store.patch_store import PatchStore
from cropcam.pipeline.store.schema import StoreInfo
from support.stores import make_store


@pytest.fixture(scope="module")
def info(tmp_path_factory: pytest.TempPathFactory) -> StoreInfo:
    return make_store(tmp_path_factory.mktemp("runs") / "patches.zarr", count=12, size_px=8)


@pytest.fixture
def config(info: StoreInfo, tmp_path: Path) -> RunConfig:
    return configure(PatchStore(Path("patches.zarr"), info), tmp_path / "none", {"model": "baseline"}, resume=False)
