"""Values as the JSON of `getInfo`."""

from __future__ import annotations

from typing import Any

import ee
import pytest

from cropcam.pipeline.emulator.elements import Collection, Date, Feature
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.geometry import Geometry
from cropcam.pipeline.emulator.images import BandType
from cropcam.pipeline.emulator.projections import Projection
from cropcam.pipeline.emulator.serialization import ELEMENTS_MAX, describe
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


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (2.5, 2.5),
        (float("nan"), None),
        (float("-inf"), None),
        ((1, [2.0, "x"]), [1, [2.0, "x"]]),
        ({"date": Date(5)}, {"date": {"type": "Date", "value": 5}}),
        (BandType("int", 0, 1), {"type": "PixelType", "precision": "int", "min": 0, "max": 1}),
        (Projection("EPSG:32616"), {"type": "Projection", "crs": "EPSG:32616", "transform": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]}),
        (Geometry("Point", (1.0, 2.0)), {"type": "Point", "coordinates": [1.0, 2.0]}),
    ],
)
def test_values_are_described_as_json(value: Any, expected: Any) -> None:
    assert describe(value) == expected


def test_a_feature_has_its_index_as_id() -> None:
    found = describe(Feature(None, {"system:index": "7", "a": float("inf")}))
    assert found == {"type": "Feature", "geometry": None, "id": "7", "properties": {"a": None}}


def test_at_most_5000_elements_are_described() -> None:
    features = [Feature(None)] * ELEMENTS_MAX
    found = describe(Collection("FeatureCollection", features, {"k": 1}))
    assert (len(found["features"]), found["columns"], found["properties"]) == (5000, {}, {"k": 1})
    with pytest.raises(EngineError, match="aborted after accumulating over 5000 elements"):
        describe(Collection("FeatureCollection", [*features, Feature(None)]))
