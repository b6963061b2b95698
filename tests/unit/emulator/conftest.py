"""The archive and the client that the tests of the embedded engine share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support import scenes
from support.scenes import Client
from support.small_images import write_small_images


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Landsat scenes, a CDL and two small images; read only."""
    folder = scenes.write_archive(tmp_path_factory.mktemp("archive"))
    write_small_images(folder)
    return folder


@pytest.fixture(scope="module")
def client(archive: Path) -> Iterator[Client]:
    """The real client's objects, evaluated over that archive."""
    with scenes.client(archive) as found:
        yield found
