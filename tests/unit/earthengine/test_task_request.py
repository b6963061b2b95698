"""The request of one export task."""

from __future__ import annotations

import json
from typing import Any

import ee
import pytest

from cropcam.pipeline.earthengine.destinations import Asset, CloudStorage, Drive
from cropcam.pipeline.earthengine.graphs import graph
from cropcam.pipeline.earthengine.plan import Plan, plan
from cropcam.pipeline.earthengine.task_request import request_of
from cropcam.pipeline.study.study import load_study
from support.engines import invocations

pytestmark = pytest.mark.usefixtures("transport")


def body_of(made: Plan, number: int, **options: Any) -> dict[str, Any]:
    task = made.tasks[number]
    return request_of(made, task, graph(made.study, task.layer.name), f"{task.name}-x", **options)


def calls(body: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {call["functionName"]: call["arguments"] for call in invocations(body["expression"])}


@pytest.mark.parametrize("destination", [Drive("my folder"), CloudStorage("bucket", "a/b")])
def test_a_request_names_grid_size_and_place(destination: Any) -> None:
    made = plan(load_study("corn-belt-2016-albers"), destination)
    task, body = made.tasks[5], body_of(made, 5)
    options = body["fileExportOptions"]
    assert options["geoTiffOptions"] == {"noData": {"floatValue": 0}, "tileDimensions": {"width": 8192, "height": 8192}}
    assert body["maxPixels"] == {"value": "10000000000000"}
    assert (body["priority"], body["description"]) == ({"value": 100}, f"{task.name}-x")
    if isinstance(destination, Drive):
        assert options["driveDestination"] == {"folder": "my folder", "filenamePrefix": task.name}
    else:
        assert options["cloudStorageDestination"] == {"bucket": "bucket", "filenamePrefix": f"a/b/{task.name}"}
    found = calls(body)
    assert found["Image.reproject"]["crsTransform"] == {"constantValue": list(made.study.grid.window(task.cell).transform)}
    assert set(found["Image.clipToBoundsAndScale"]) == {"input", "geometry"}  # no scale and no size: the rectangle decides
    assert json.dumps(body) == json.dumps(json.loads(json.dumps(body)))


def test_the_rectangle_is_counted_in_pixels_and_no_coordinate_has_to_round() -> None:
    made = plan(load_study("corn-belt-2016"), Drive("folder"))
    for number, task in enumerate(made.tasks[:3]):
        boxes = [call["arguments"] for call in invocations(body_of(made, number)["expression"]) if "evenOdd" in call["arguments"]]
        assert boxes[-1]["coordinates"] == {"constantValue": [0, 0, task.cell.width, task.cell.height]}


def test_tiles_of_computation_cog_and_tag_are_asked_for() -> None:
    made = plan(load_study("demo"), Drive("folder"), shard_px=128, cog=True)
    options = body_of(made, 0)["fileExportOptions"]["geoTiffOptions"]
    assert (options["tileSize"], options["cloudOptimized"]) == ({"value": 128}, True)
    assert body_of(made, 0, shard_px=64)["fileExportOptions"]["geoTiffOptions"]["tileSize"] == {"value": 64}
    assert "workloadTag" not in body_of(made, 0)
    ee.data.setDefaultWorkloadTag("cropcam-demo")
    try:
        assert body_of(made, 0)["workloadTag"] == "cropcam-demo"
    finally:
        ee.data.resetWorkloadTag(True)


def test_an_asset_is_one_task_of_the_session_s_project() -> None:
    made = plan(load_study("demo"), Asset("maps/corn"), overwrite=True)
    assert [task.name for task in made.tasks] == ["demo-image"]
    options = body_of(made, 0, project="my-project")["assetExportOptions"]
    assert options["earthEngineDestination"] == {"name": "projects/my-project/assets/maps/corn", "overwrite": True}
    assert options["pyramidingPolicy"] == "SAMPLE"
