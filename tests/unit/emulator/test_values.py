"""The type of arguments that may be anything."""

from __future__ import annotations

from typing import Any

import pytest

from cropcam.pipeline.emulator.geometry import Geometry
from cropcam.pipeline.emulator.registry import ALGORITHMS, algorithm
from cropcam.pipeline.emulator.values import Value


@pytest.mark.parametrize("value", [3, "EPSG:4326", [1, 2], {"a": 1}, Geometry("Point", (1.0, 2.0))])
def test_an_argument_of_any_type_is_not_promoted(monkeypatch: pytest.MonkeyPatch, value: Any) -> None:
    def same(value: Value) -> Value:
        return value

    monkeypatch.setitem(ALGORITHMS, "Image.entropy", None)
    algorithm("Image.entropy")(same)
    assert ALGORITHMS["Image.entropy"].call({"value": value}, None) is value
