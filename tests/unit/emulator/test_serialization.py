"""Values as the JSON of `getInfo`."""

from __future__ import annotations

from typing import Any

import ee
import pytest

from cropcam.pipeline.emulator.errors import EngineError
from support.expressions import compute, invoke
from support.scenes import LANDSAT, Client


def landsat() -> Any:
    return ee.ImageCollection(LANDSAT)


def test_functions_filters_and_reducers_have_no_json() -> None:
    with pytest.raises(EngineError, match="cannot be encoded as a value"):
        compute(root=invoke("Filter.always"))


def test_a_collection_is_described_with_its_images(client: Client) -> None:
    found = client.value(landsat().limit(2))
    assert (found["type"], found["id"], len(found["features"])) == ("ImageCollection", LANDSAT, 2)
    assert found["features"][0]["id"] == f"{LANDSAT}/LC08_A"
    assert [band["id"] for band in found["features"][0]["bands"]] == ["SR_B4", "SR_B5", "QA_PIXEL", "QA_RADSAT"]
