"""A hand-made archive of scenes for tests of the embedded engine: every flag, saturation, zero DN, two UTM zones, a CDL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ee
import numpy as np
import rasterio

from cropcam.pipeline.emulator.engine import Engine
from cropcam.pipeline.emulator.images import LazyImage
from cropcam.pipeline.grid import PixelGrid, Window, nearest_index
from cropcam.pipeline.study.study import Study, load_study, parse_study
from support.engines import offline
from support.rasters import write_raster

EAST = PixelGrid("EPSG:32616", (30.0, 0.0, 246_015.0, 0.0, -30.0, 4_544_985.0), 130, 170)
WEST = PixelGrid("EPSG:32615", (30.0, 0.0, 751_005.0, 0.0, -30.0, 4_543_995.0), 130, 140)
CDL = PixelGrid("EPSG:5070", (30.0, 0.0, 497_925.0, 0.0, -30.0, 2_017_005.0), 260, 260)
LANDSAT, LANDSAT_9, LABELS = "LANDSAT/LC08/C02/T1_L2", "LANDSAT/LC09/C02/T1_L2", "USDA/NASS/CDL/2016"
SUMMER = (
    ("LC08_A", "2016-05-01", EAST),
    ("LC08_B", "2016-06-10", WEST),
    ("LC08_C", "2016-07-01", EAST),
    ("LC08_D", "2016-09-30T23:59:59", WEST),
    ("LC08_E", "2016-08-01", EAST),
)


def study(**changes: Any) -> Study:
    """A study of about 90 x 80 px across -90 degrees, with two bands and one summer; `changes` by section."""
    values = load_study("demo").to_dict()
    values["area"] |= {"bounds": [-90.012, 41.0, -89.988, 41.0216], **changes.get("area", {})}
    values["image"] |= {"bands": ["SR_B4", "SR_B5"], "seasons": [["2016-05-01", "2016-10-01"]], **changes.get("image", {})}
    values["labels"] |= changes.get("labels", {})
    values["classes"] = changes.get("classes", values["classes"])
    return parse_study(values)


def millis(day: str) -> int:
    """Milliseconds since 1970 of a day or an instant, UTC."""
    return int(np.datetime64(day, "ms").astype(int))


def write_asset(folder: Path, bands: dict[str, np.ndarray], grid: PixelGrid, nodata: dict[str, int], **properties: Any) -> None:
    """One image asset: a GeoTIFF per band, `asset.json` last."""
    for band, values in bands.items():
        write_raster(folder / f"{band}.tif", values, grid, **({"nodata": nodata[band]} if band in nodata else {}))
    (folder / "asset.json").write_text(json.dumps({"bands": list(bands), "properties": properties}))


def write_scene(archive: Path, asset: str, day: str, grid: PixelGrid, seed: int, cloud_cover: float = 10.0) -> None:
    """One random Landsat scene."""
    rng = np.random.default_rng(seed)
    bands = {name: rng.integers(0, 65536, grid.shape_yx) * (rng.random(grid.shape_yx) > 0.1) for name in ("SR_B4", "SR_B5")}
    bands["QA_PIXEL"] = rng.choice(np.array([64, 64, 64, 1, 2, 4, 8, 16, 32, 24]), grid.shape_yx)
    bands["QA_RADSAT"] = rng.choice(np.array([0, 0, 0, 1 << 3, 1 << 4, 1 << 6]), grid.shape_yx)
    properties = {"system:time_start": millis(day), "system:index": asset.rpartition("/")[2], "CLOUD_COVER": cloud_cover}
    write_asset(archive / asset, {name: v.astype(np.uint16) for name, v in bands.items()}, grid, {"SR_B4": 0, "SR_B5": 0}, **properties)


def write_archive(folder: Path) -> Path:
    """Five scenes inside the summer, two just outside it, one far away, one of Landsat 9, and a CDL."""
    for seed, (name, day, grid) in enumerate(SUMMER):
        write_scene(folder, f"{LANDSAT}/{name}", day, grid, seed, cloud_cover=10.0 * seed)
    write_scene(folder, f"{LANDSAT}/LC08_EARLY", "2016-04-30T23:59:59", EAST, 90)
    write_scene(folder, f"{LANDSAT}/LC08_LATE", "2016-10-01", EAST, 91)
    far = PixelGrid("EPSG:32616", (30.0, 0.0, 446_015.0, 0.0, -30.0, 4_544_985.0), 20, 20)
    write_scene(folder, f"{LANDSAT}/LC08_FAR", "2016-07-02", far, 92)
    write_scene(folder, f"{LANDSAT_9}/LC09_A", "2016-07-09", EAST, 93)
    rng = np.random.default_rng(9)
    labels = {
        "cropland": rng.choice(np.array([0, 1, 5, 141, 176], np.uint8), CDL.shape_yx),
        "confidence": rng.integers(0, 101, CDL.shape_yx).astype(np.uint8),
    }
    write_asset(folder / LABELS, labels, CDL, {"cropland": 0, "confidence": 0}, **{"system:time_start": millis("2016-01-01")})
    return folder


class Client:
    """The real client's objects, evaluated by the embedded engine without a socket."""

    def __init__(self, archive: Path) -> None:
        self.engine = Engine(archive)

    def value(self, computed: Any) -> Any:
        """What `getInfo` would give."""
        return self.engine.compute(encoded(computed))

    def image(self, image: Any) -> LazyImage:
        """The engine's image."""
        return self.engine.image(encoded(image))

    def pixels(self, image: Any, grid: PixelGrid) -> np.ma.MaskedArray:
        """The image's pixels (band, y, x) on a grid."""
        values, mask = self.image(image).read(grid)
        return np.ma.MaskedArray(values, ~mask)

    def at(self, image: Any, grid: PixelGrid | None = None) -> list[Any]:
        """Each band's value in the first pixel of a grid, None where it is masked."""
        corner = (grid or EAST).window(Window(0, 0, 1, 1))
        return [None if masked else value for value, masked in zip(*_first(self.pixels(image, corner)), strict=True)]


ALL = ["A", "B", "C", "D", "E", "EARLY", "FAR", "LATE"]  # the Landsat 8 scenes of the archive


def landsat() -> Any:
    """The Landsat 8 collection of the archive."""
    return ee.ImageCollection(LANDSAT)


def indices(client: Client, collection: Any) -> list[str]:
    """The names of a collection's scenes, without their sensor."""
    return [found.removeprefix("LC08_") for found in client.value(collection.aggregate_array("system:index"))]


def encoded(computed: Any) -> dict[str, Any]:
    """The expression as the client sends it."""
    found = ee.serializer.encode(computed, for_cloud_api=True)
    assert isinstance(found, dict)
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]


def nearest(path: Path, target: PixelGrid) -> tuple[np.ndarray, np.ndarray]:
    """Values of a raster on a target grid (y, x) by nearest neighbour, 0 outside, and whether each lies inside."""
    with rasterio.open(path) as file:
        grid = PixelGrid(file.crs.to_string(), tuple(file.transform)[:6], file.width, file.height)
        row, col = nearest_index(grid, target)
        return np.where(row >= 0, file.read(1)[row, col], 0), row >= 0


@contextmanager
def client(archive: Path) -> Iterator[Client]:
    """An initialised client that cannot send anything, over an archive."""
    with offline():
        yield Client(archive)


def _first(pixels: np.ma.MaskedArray) -> tuple[list[Any], list[bool]]:
    return pixels.data[:, 0, 0].tolist(), np.ma.getmaskarray(pixels)[:, 0, 0].tolist()
