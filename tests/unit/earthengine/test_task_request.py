"""The request of one export task."""

from __future__ import annotations

import json
from typing import Any

import ee
import pytest

from cropcam.pipeline.earthengine.destinations import CloudStorage, Drive
from cropcam.pipeline.earthengine.graphs import graph
from cropcam.pipeline.earthengine.plan import plan
from cropcam.pipeline.earthengine.task_request import request_of
from cropcam.pipeline.study.study import load_study

pytestmark = pytest.mark.usefixtures("transport")


@pytest.mark.parametrize("destination", [Drive("my folder"), CloudStorage("bucket", "a/b")])
def test_a_request_names_grid_region_size_and_place(destination: Any) -> None:
    made = plan(load_study("corn-belt-2016-albers"), destination)
    task = made.tasks[5]
    body = request_of(made, task, graph(made.study, "image"))
    options = body["fileExportOptions"]
    assert options["geoTiffOptions"] == {"noData": {"floatValue": 0}, "tileDimensions": {"width": 8192, "height": 8192}}
    assert body["maxPixels"] == {"value": str(task.max_pixels)}
    assert body["priority"] == {"value": 100}
    if isinstance(destination, Drive):
        assert options["driveDestination"] == {"folder": "my folder", "filenamePrefix": task.name}
    else:
        assert options["cloudStorageDestination"] == {"bucket": "bucket", "filenamePrefix": f"a/b/{task.name}"}
    encoded = json.dumps(ee.serializer.encode(body["expression"]))
    assert '"Image.reproject"' in encoded
    assert json.dumps(list(made.study.grid.window(task.cell).transform)) in encoded
    assert "clipToBoundsAndScale" not in encoded
