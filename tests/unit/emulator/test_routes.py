"""Routes of requests."""

from __future__ import annotations

import pytest

from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.routes import find


def test_a_path_without_a_route_is_named() -> None:
    with pytest.raises(EngineError, match="does not answer GET /v1/nothing"):
        find("GET", "/v1/nothing")
