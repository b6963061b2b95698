"""The service's own scenes as an archive of the embedded engine, as far as the questions need them. Reads only."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import ee
import numpy as np

from cropcam.pipeline.earthengine.scenes import clean_scenes
from cropcam.pipeline.earthengine.scenes import scenes as scenes_of
from cropcam.pipeline.grid import PixelGrid, Window, covering_window
from cropcam.pipeline.study.study import Study, load_study, parse_study
from live.side import Side
from support.rasters import write_raster

SIDE_PX = 300
DEGREES_PX = 30.0 / 111_319.490793
CLEAR = 64  # QA_PIXEL of a clear pixel
_LATTICE_PX = 64  # parts of scenes begin at multiples of it, so that coarse pixels have the same parents
_LEAST_PX = 320  # an asset of at most 256 px a side has no coarse levels
_KEPT = ("system:time_start", "system:index", "CLOUD_COVER")


def iowa(name: str = "live") -> Study:
    """300 x 300 px of fields between two Landsat paths, July 2016."""
    values = load_study("demo").to_dict()
    values["study"]["name"] = name
    side = SIDE_PX * DEGREES_PX
    values["area"] |= {"bounds": [-93.6, 42.0, -93.6 + side + 1e-9, 42.0 + side + 1e-9]}
    values["image"] |= {"seasons": [["2016-07-01", "2016-08-01"]], "count": True}
    return parse_study(values)


def iowa_many() -> Study:
    """8 x 8 px of the same place with all of seven years: some 300 scenes, so more than 150 observations in a pixel."""
    values = iowa().to_dict()
    side = 8 * DEGREES_PX
    values["area"] |= {"bounds": [-93.6, 42.0, -93.6 + side + 1e-9, 42.0 + side + 1e-9]}
    values["image"] |= {"seasons": [["2017-01-01", "2024-01-01"]], "bands": ["SR_B4"]}
    del values["labels"], values["classes"]
    return parse_study(values)


def fetch_scenes(side: Side, archive: Path) -> dict[str, int]:
    """Write the scenes and labels that the questions need, as the service holds them; how many scenes."""
    study = side.study
    (season,) = study.image.seasons
    names = side.value(scenes_of(study, season).aggregate_array("system:index"))
    for name in names:
        asset = f"{study.image.collections[0]}/{name}"
        _fetch_asset(side, asset, [*study.image.bands, "QA_PIXEL", "QA_RADSAT"], study.grid, archive)
    if study.labels:
        _fetch_asset(side, study.labels.asset, ["cropland"], study.grid, archive)
    return {"scenes": len(names)}


def stack_of(side: Side) -> tuple[list[str], Any]:
    """Names of the scenes of `side.many`, and their cleaned band as one array (scene, y, x) with 0 where masked: kept after the first time."""
    if "stack" not in side.shared:
        (season,) = side.many.image.seasons
        names = side.value(scenes_of(side.many, season).aggregate_array("system:index"))
        stack = clean_scenes(side.many, season).toBands().unmask(0).toUint16()
        pixels = side.pixels(stack, side.many.grid)
        side.shared["stack"] = list(names), np.stack([pixels[name] for name in pixels.dtype.names])
    return side.shared["stack"]  # type: ignore[no-any-return]


def fetch_many(side: Side, archive: Path) -> dict[str, int]:
    """The many scenes as assets that lie on the study's own grid: nearest neighbour then takes each pixel as it is."""
    names, stack = stack_of(side)
    (season,) = side.many.image.seasons
    first = int(datetime.datetime.fromisoformat(f"{season[0]}T00:00:00+00:00").timestamp() * 1000)
    band = side.many.image.bands[0]
    for number, (name, values) in enumerate(zip(names, stack, strict=True)):
        bands = {band: values, "QA_PIXEL": np.where(values > 0, CLEAR, 1).astype(np.uint16), "QA_RADSAT": np.zeros_like(values)}
        properties = {"system:time_start": first + number * 3_600_000, "system:index": name, "CLOUD_COVER": 0.0}
        _write(archive / side.many.image.collections[0] / name, bands, side.many.grid, properties)
    return {"scenes": len(names), "most observations": int((stack > 0).sum(axis=0).max())}


def part_of(about: dict[str, Any], band: str, target: PixelGrid) -> PixelGrid | None:
    """The part of an asset's own grid that a target can need, at multiples of 64 px; None where they do not meet."""
    facts = next(one for one in about["bands"] if one["id"] == band)
    native = PixelGrid(facts["crs"], tuple(facts["crs_transform"]), facts["dimensions"][0], facts["dimensions"][1])
    window = covering_window(native, target, margin_px=4)
    if window is None:
        return None
    (top, bottom), (left, right) = (
        _stretched(first, first + count, size)
        for first, count, size in ((window.row, window.height, native.height), (window.col, window.width, native.width))
    )
    return native.window(Window(top, left, bottom - top, right - left))


def _stretched(first: int, end: int, size: int) -> tuple[int, int]:
    """Pixels first..end stretched to multiples of 64, and to so many that the part has coarse levels, as far as there are pixels."""
    first = max(0, min(first, size - _LEAST_PX)) // _LATTICE_PX * _LATTICE_PX
    return first, min(max(-(-end // _LATTICE_PX) * _LATTICE_PX, first + _LEAST_PX), size)


def _fetch_asset(side: Side, asset: str, bands: list[str], target: PixelGrid, archive: Path) -> None:
    """One image's bands on its own grid, as far as the target can need them."""
    image = ee.Image(asset)
    about = side.value(image)
    grid = part_of(about, bands[0], target)
    if grid is None:
        return
    fill = [1 if name == "QA_PIXEL" else 0 for name in bands]
    pixels = side.pixels(image.select(bands).unmask(ee.Image.constant(fill)).toUint16(), grid)
    properties = {key: value for key, value in about["properties"].items() if key in _KEPT}
    properties.setdefault("system:time_start", int(datetime.datetime(2016, 1, 1, tzinfo=datetime.UTC).timestamp() * 1000))
    _write(archive / asset, {name: pixels[name].astype("uint8" if name == "cropland" else "uint16") for name in bands}, grid, properties)


def _write(folder: Path, bands: dict[str, Any], grid: PixelGrid, properties: dict[str, Any]) -> None:
    for name, values in bands.items():
        masked = {} if name.startswith("QA_") else {"nodata": 0}  # as the service masks it; means of four leave it out
        write_raster(folder / f"{name}.tif", values, grid, **masked)
    (folder / "asset.json").write_text(json.dumps({"bands": list(bands), "properties": properties}), "utf-8")
