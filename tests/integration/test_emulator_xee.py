"""xee opens and reads the composite through the embedded engine, as it would from the service."""

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
import json, sys
import ee, ee.deprecation, numpy, xarray
from google.auth.credentials import AnonymousCredentials
from cropcam.pipeline.earthengine.composite import composite
from cropcam.pipeline.study.study import parse_study
ee.deprecation._FetchDataCatalogStac = dict
ee.Initialize(AnonymousCredentials(), url=sys.argv[1], project="my-project")
study = parse_study(json.loads(sys.argv[2]))
grid = study.grid
opened = xarray.open_dataset(
    ee.ImageCollection([composite(study)]), engine="ee", crs=grid.crs, crs_transform=grid.transform, shape_2d=(grid.width, grid.height),
    executor_kwargs={"max_workers": 4},
)
values = numpy.stack([opened[name].transpose("time", "y", "x").values[0] for name in study.image.bands])
numpy.save(sys.argv[3], values)
print(json.dumps({"dims": dict(opened.sizes), "names": list(opened.data_vars)}))
"""


def test_xee_reads_the_composite(tmp_path: Path) -> None:
    pytest.importorskip("xee", exc_type=ImportError)
    study = parse_study(STUDY)
    simulate(study, tmp_path / "archive")
    with serve(tmp_path / "archive") as server:
        words = [sys.executable, "-W", "ignore", "-c", CLIENT, server.url, json.dumps(STUDY), str(tmp_path / "read.npy")]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["dims"] == {"time": 1, "y": study.grid.height, "x": study.grid.width}
    assert found["names"] == list(study.image.bands)
    image, _ = compose(study, tmp_path / "archive", tmp_path / "shards")
    with rasterio.open(image) as file:
        expected = file.read()
    assert (expected > 0).any()
    np.testing.assert_array_equal(np.load(tmp_path / "read.npy"), expected)
