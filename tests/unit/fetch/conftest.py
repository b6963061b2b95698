from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cropcam.pipeline.emulator import Access, Faults, Server, serve
from support import homecoming


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def access() -> Access:
    return Access()


@pytest.fixture
def server(tmp_path: Path, faults: Faults, access: Access) -> Iterator[Server]:
    with serve(homecoming.write_engine_archive(tmp_path / "archive"), out=tmp_path / "engine", faults=faults, access=access) as one:
        yield one
