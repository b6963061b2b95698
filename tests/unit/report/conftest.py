"""One evaluated run for the tests of the report."""

from __future__ import annotations

from pathlib import Path

import pytest

from cropcam.model.evaluation.evaluate import evaluate
from support.runs import make_run
from support.stores import make_store


@pytest.fixture(scope="session")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder, evaluated on the 4 test patches of 12 px of its store."""
    folder = tmp_path_factory.mktemp("evaluated")
    make_run(folder / "run", folder / "patches.zarr", make_store(folder / "patches.zarr", count=20, size_px=12))
    evaluate(folder / "run", device="cpu")
    return folder / "run"
