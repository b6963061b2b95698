"""Areas in the background."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cropcam.pipeline.maps import areas
from cropcam.pipeline.maps.class_map import open_map
from cropcam.pipeline.maps.view import hectares
from cropcam.pipeline.maps.view.hectares import Hectares
from support.maps import write_map
from support.memory_source import LEGEND


def waited(found: Hectares, name: str) -> dict[str, Any]:
    end = time.monotonic() + 60
    while (answer := found.found(name)) == {"state": "measuring"}:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert answer is not None
    return answer


def test_they_are_those_of_area_and_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classes_YX = np.random.default_rng(0).integers(0, 5, (50, 70)).astype(np.uint8)
    classes_YX[:10] = 255
    opened = open_map(write_map(tmp_path / "map.tif", classes_YX))
    calls: list[object] = []
    monkeypatch.setattr(hectares, "measure", lambda each: calls.append(each) or areas.measure(each))
    found = Hectares({"classes": opened})
    answer = waited(found, "classes")
    assert waited(found, "classes") is answer
    assert calls == [opened]
    whole = areas.measure(opened).whole
    assert [entry["name"] for entry in answer["classes"]] == list(LEGEND.names)
    assert [entry["hectares"] for entry in answer["classes"]] == whole.hectares_K.tolist()
    assert sum(entry["share"] for entry in answer["classes"]) == pytest.approx(1)
    assert answer["hectares"] == pytest.approx(answer["nodata_hectares"] * 4)
    assert found.found("truth") is None


def test_a_map_that_cannot_be_measured_has_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = open_map(write_map(tmp_path / "map.tif", np.full((20, 20), 255, np.uint8)))
    assert "all of its 400 pixels are nodata" in waited(Hectares({"classes": opened}), "classes")["error"]

    def bug(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(hectares, "measure", bug)
    assert waited(Hectares({"classes": opened}), "classes") == {"state": "failed", "error": "the areas could not be measured"}
