"""The store that several unit tests share; a test file with another need has its own `store`."""

from __future__ import annotations

from pathlib import Path

import pytest

from cropcam.pipeline.store.patch_store import open_store
from cropcam.pipeline.store.schema import StoreInfo
from support.stores import make_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 patches of 12 x 12 px in one row of the patch grid: 18 train, 6 validation, 6 test."""
    path = tmp_path_factory.mktemp("store") / "patches.zarr"
    make_store(path, count=30, size_px=12)
    return path


@pytest.fixture(scope="module")
def info(store: Path) -> StoreInfo:
    return open_store(store).info
