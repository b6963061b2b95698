"""A finished store that several test files of this package share; one with another need has its own `good`."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.stores import make_store


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "good.zarr"
    make_store(path, count=12, size_px=16)
    return path
