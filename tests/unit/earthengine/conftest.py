"""A client that can send nothing; an archive of scenes, and a client whose graphs the embedded engine evaluates over it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support import scenes
from support.engines import Offline, offline


@pytest.fixture(scope="module")
def transport() -> Iterator[Offline]:
    """The transport of an initialised client; any request but those of Initialize fails."""
    with offline() as one:
        yield one


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scenes.write_archive(tmp_path_factory.mktemp("archive"))


@pytest.fixture
def client(archive: Path, transport: Offline) -> scenes.Client:  # noqa: ARG001 - graphs need an initialised client
    return scenes.Client(archive)
