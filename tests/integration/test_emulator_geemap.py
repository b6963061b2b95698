"""geemap exports the composite and paints a layer through the embedded engine, as it would through the service."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio

from cropcam.pipeline.emulator import serve
from cropcam.pipeline.landscape import simulate
from cropcam.pipeline.study.study import parse_study
from oracles.composite import compose

ROOT = Path(__file__).parents[2]
STUDY = {
    "study": {"name": "tiny"},
    "area": {"bounds": [-90.03, 41.0, -89.99, 41.03]},
    "image": {"seasons": [["2016-07-01", "2016-08-18"]]},
    "labels": {"asset": "USDA/NASS/CDL/2016"},
}
CLIENT = """
import json, sys, time, urllib.request
import ee, ee.deprecation
from google.auth.credentials import AnonymousCredentials
from cropcam.pipeline.earthengine.composite import composite
from cropcam.pipeline.study.study import parse_study
ee.deprecation._FetchDataCatalogStac = dict
ee.Initialize(AnonymousCredentials(), url=sys.argv[1], project="my-project")
import geemap
study = parse_study(json.loads(sys.argv[2]))
grid = study.grid
west, south, east, north = grid.bounds_xyxy
image = composite(study)
geemap.ee_export_image_to_cloud_storage(
    image, description="image", bucket="crops", fileNamePrefix="tiny/image", crs=grid.crs, crsTransform=list(grid.transform),
    region=ee.Geometry.Rectangle([west, south, east, north], grid.crs, False), maxPixels=int(1e9), fileFormat="GeoTIFF",
)
while (task := ee.data.listOperations()[0])["metadata"]["state"] in ("PENDING", "RUNNING"):
    time.sleep(0.05)
layer = geemap.ee_tile_layer(image, {"bands": ["SR_B5", "SR_B4", "SR_B3"], "min": 7000, "max": 25000}, "composite")
print(json.dumps({"state": task["metadata"]["state"], "error": task.get("error"), "tiles": layer.url_format}))
"""


def test_geemap_exports_the_composite_and_gets_tiles(tmp_path: Path) -> None:
    pytest.importorskip("geemap", exc_type=ImportError)
    study = parse_study(STUDY)
    simulate(study, tmp_path / "archive")
    with serve(tmp_path / "archive", out=tmp_path / "out") as server:
        words = [sys.executable, "-W", "ignore", "-c", CLIENT, server.url, json.dumps(STUDY)]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["state"], found["error"]) == ("SUCCEEDED", None)
    assert found["tiles"].startswith(f"{server.url}/v1/projects/my-project/maps/")
    image, _ = compose(study, tmp_path / "archive", tmp_path / "shards")
    with rasterio.open(tmp_path / "out/gs/crops/tiny/image.tif") as ours, rasterio.open(image) as expected:
        assert (ours.width, ours.height, ours.crs) == (expected.width, expected.height, expected.crs)
        assert tuple(ours.transform) == pytest.approx(tuple(expected.transform), abs=1e-12)
        np.testing.assert_array_equal(ours.read(), expected.read())
