"""The valid inputs that are changed: small, one folder, made by the commands themselves."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import rasterio.shutil

from cropcam import cli
from cropcam.pipeline.grid import PixelGrid
from fuzz.kinds import FEW
from support.rasters import random_codes, random_dn, write_raster

SIDE_PX = 96
_PATCHES = ("patches", "study.toml", "--labels", "labels.tif")
GRID = PixelGrid("EPSG:4326", (0.0003, 0.0, -90.02, 0.0, -0.0003, 41.03), SIDE_PX, SIDE_PX)
STUDY = """[study]
name = "small"
[area]
bounds = [-90.02, 41.0, -90.0, 41.02]
[image]
bands = ["SR_B4", "SR_B5", "SR_B6"]
seasons = [["2016-06-01", "2016-08-01"]]
[labels]
asset = "USDA/NASS/CDL/2016"
presence_min_share = 0.05
[patches]
size_px = 8
[splits]
block_patches = [2, 2]
fractions = [0.5, 0.2, 0.3]
"""
# every section and key that a plain file can hold
WHOLE = """[study]
name = "whole"
[area]
bounds = [20.0, 47.2, 20.4, 47.5]
crs = "EPSG:32634"
scale_m = 10.0
[image]
sensor = "sensor.toml"
collections = ["A/SENSOR"]
bands = ["blue", "red", "nir"]
seasons = [["2021-04-01", "2021-06-15"], ["2021-06-15", "2021-09-15"]]
mask = ["cloud"]
cloud_cover_max_pct = 80.0
count = true
[image.derived]
ndvi = "(nir - red) / (nir + red)"
[labels]
asset = "ESA/WorldCover/v200"
legend = "legend.csv"
nodata = [7]
dates = ["2021-01-01", "2022-01-01"]
mosaic = "first"
scale_m = 10
presence_min_share = 0.05
[classes]
crop = ["Cropland", "50-60"]
trees = [10]
[patches]
size_px = 20
valid_min_share = 0.9
[splits]
block_patches = [2, 3]
fractions = [0.6, 0.2, 0.2]
gap_patches = 1
holdout = "holdout.geojson"
method = "blocks"
"""
SENSOR = """title = "A sensor"
source = "its maker"
composite = "median"
dtype = "uint16"
scale = 0.0001
offset = 0.0
nodata = 0
missing = 0
resolution_m = 10
cloud_cover = "CLOUDY"
default_bands = ["blue", "red", "nir"]
mask = ["cloud"]
[bands]
blue = { resolution_m = 10 }
red = { resolution_m = 10 }
nir = { resolution_m = 20 }
[flags]
cloud = { band = "SCL", classes = [8, 9] }
[[collections]]
id = "A/SENSOR"
bands = { blue = "B2", red = "B4", nir = "B8" }
"""
LEGEND = "code,name,color\n10,Tree cover,#006400\n40,Cropland,#f096ff\n50,Built,#fa0000\n60,Bare,\n70,Snow,#f0f0f0\n"


def make(folder: Path, *, away: bool = True) -> None:
    """Write the fixture into a folder, which becomes the working folder; without `away` no archive, no export and no other place."""
    os.chdir(folder)
    _texts(folder)
    write_raster(folder / "image.tif", random_dn((3, SIDE_PX, SIDE_PX)), GRID, nodata=0)
    write_raster(folder / "labels.tif", random_codes((SIDE_PX, SIDE_PX)), GRID, nodata=0)
    rasterio.shutil.copy(str(folder / "image.tif"), str(folder / "image.vrt"), driver="VRT")
    _run(*_PATCHES, "--image", "image.tif", "--store", "small.zarr")
    _run("train", "small.zarr", "--run", "run", *FEW)
    _run("evaluate", "run")
    _run("map", "run", "--image", "image.tif", "--out", "map.tif")
    if not away:
        return
    write_raster(folder / "other.tif", random_dn((3, SIDE_PX, SIDE_PX), 1), GRID, nodata=0)
    _run(*_PATCHES, "--image", "other.tif", "--store", "other.zarr")
    _run("evaluate", "run", "--on", "other.zarr")
    shutil.copytree("run", "second")
    _run("report", "run")
    _run("compare", "run", "second", "--out", "comparison")
    _run("check", "small.zarr")
    _run("simulate", "small.toml", "--archive", "arch")
    _run("export", "small.toml", "--to", "drive:f", "--archive", "arch")


def _run(*argv: str) -> None:
    code = cli.main(argv)
    assert code == 0, (argv, code)


def _texts(folder: Path) -> None:
    texts = {
        "study.toml": STUDY,
        "small.toml": STUDY,
        "whole.toml": WHOLE,
        "sensor.toml": SENSOR,
        "legend.csv": LEGEND,
        "changed.toml": STUDY,
    }
    texts["points.csv"] = "lon,lat,class\n" + "".join(
        f"{-90.0199 + 0.0003 * (7 * k % SIDE_PX):.5f},{41.0299 - 0.0003 * (5 * k % SIDE_PX):.5f},{name}\n"
        for k, name in enumerate(("corn", "soybean", "forest", "background", "grassland") * 8)
    )
    texts["table.csv"] = "crop,class\nMA,corn\nSO,soybean\n"
    texts["areas.csv"] = "key,corn,soybean,forest,grassland,background\n" + "".join(f"f{k},10,5,2,1,3\n" for k in range(4))
    boxes = [(-90.02 + 0.006 * k, 41.004, -90.015 + 0.006 * k, 41.028) for k in range(4)]
    names = ("corn", "soybean", "corn", "forest")
    areas = {"corn": 10.0, "soybean": 5.0, "forest": 1.0, "grassland": 1.0, "background": 2.0}
    texts["regions.geojson"] = _collection(boxes, [{"name": f"r{k}"} for k in range(4)])
    texts["fields.geojson"] = _collection(boxes, [{"class": name} for name in names])
    texts["coded.geojson"] = _collection(boxes, [{"crop": code} for code in ("MA", "SO", "MA", "MA")])
    texts["areas.geojson"] = _collection(boxes, [areas] * 4)
    texts["keyed.geojson"] = _collection(boxes, [{"key": f"f{k}"} for k in range(4)])
    texts["holdout.geojson"] = _collection([(20.1, 47.3, 20.2, 47.4), (20.3, 47.3, 20.35, 47.4)], [{}, {}])
    texts["points.geojson"] = json.dumps(
        {
            "type": "FeatureCollection",
            "features": [
                {"type": "Feature", "properties": {"class": name}, "geometry": {"type": "Point", "coordinates": [-90.019 + 0.0005 * k, 41.028 - 0.0005 * k]}}
                for k, name in enumerate(("corn", "soybean", "forest", "background", "grassland") * 3)
            ],
        }
    )  # fmt: skip
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")


def _collection(boxes: list[tuple[float, float, float, float]], properties: list[dict[str, object]]) -> str:
    features = [
        {"type": "Feature", "properties": about, "geometry": {"type": "Polygon", "coordinates": [[[w, s], [e, s], [e, n], [w, n], [w, s]]]}}
        for (w, s, e, n), about in zip(boxes, properties, strict=True)
    ]
    return json.dumps({"type": "FeatureCollection", "features": features})
