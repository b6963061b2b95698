"""The artefacts that the tests of the page share."""

from __future__ import annotations

import pytest

from cropcam.pipeline.maps.view.layers import Scene
from cropcam.pipeline.maps.view.scenes import of_map, with_store
from support.views import Artefacts, make_artefacts


@pytest.fixture(scope="session")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Artefacts:
    return make_artefacts(tmp_path_factory.mktemp("view"))


@pytest.fixture(scope="session")
def scene(artefacts: Artefacts, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A map with its store."""
    return with_store(of_map(artefacts.map), artefacts.opened(), tmp_path_factory.mktemp("view-cache"))
