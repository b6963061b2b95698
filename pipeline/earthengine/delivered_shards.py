"""Shards of a delivery: tiled GeoTIFFs on the study's grid with provenance as tags, verified before they are published."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.errors import RasterioError

from cropcam.pipeline.earthengine.layers import Layer
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.grid import Window
from cropcam.pipeline.rasters.export_shards import check_cover, open_shards, place_on
from cropcam.pipeline.rasters.raster import open_stored
from cropcam.pipeline.runtime.atomic import atomic_path
from cropcam.pipeline.runtime.provenance import provenance
from cropcam.pipeline.study.study import Study, differences
from cropcam.pipeline.text_files import parse_json

_SECTIONS = ("area", "image", "labels")  # of a study: they decide the pixels


@dataclass(frozen=True)
class Shard:
    """One shard: its file, its layer, its place on the study's grid, the digest of its graph."""

    path: Path
    layer: Layer
    place: Window
    graph_digest: str
    is_loopback: bool


def is_written(shard: Shard, study: Study) -> bool:
    """Whether a shard is written already.

    Raises:
        DataError: the file is of another graph (the message names the fields that differ), of unknown origin, or damaged.
    """
    if not shard.path.is_file():
        return False
    tags, size = _about(shard.path)
    if tags.get("GRAPH_DIGEST") == shard.graph_digest and size == (shard.place.height, shard.place.width):
        return True
    reasons = changed_fields(shard.path, study) or [f"{size[1]} x {size[0]} px against {shard.place.width} x {shard.place.height}"]
    raise DataError(f"{shard.path}: a shard of another study ({'; '.join(reasons)}); choose another folder, or delete it")


def changed_fields(path: Path, study: Study) -> list[str]:
    """Fields that decide pixels and differ between the study of a shard and `study`.

    Raises:
        DataError: the file is damaged.
    """
    try:
        return [
            line
            for line in differences(parse_json(_about(path)[0]["STUDY_JSON"], str(path), error=ConfigError), study.to_dict())
            if line.split(".")[0] in _SECTIONS
        ]
    except (KeyError, ValueError, AttributeError, ConfigError):
        return ["it has no provenance tags"]


def _about(path: Path) -> tuple[dict[str, str], tuple[int, int]]:
    try:
        with rasterio.open(path) as file:
            return file.tags(), (file.height, file.width)
    except RasterioError:
        raise DataError(f"{path}: damaged; delete it and run the same command again") from None


def write_shard(shard: Shard, study: Study, windows: Sequence[Window], read: Callable[[Window], npt.NDArray[Any]]) -> None:
    """Write a shard from its windows, read it back, compare, then publish it.

    Args:
        shard: the shard to write.
        study: the study.
        windows: windows of the study's grid that cover the shard once, row by row; their sides multiples of 256.
        read: returns a window's pixels as a structured array (y, x) with one field per band.

    Raises:
        DataError: the file on the disk differs from the pixels that were written.
    """
    grid = study.grid.window(shard.place)
    profile = {
        "driver": "GTiff", "dtype": shard.layer.dtype, "count": len(shard.layer.bands), "width": grid.width, "height": grid.height,
        "crs": grid.crs, "transform": rasterio.Affine(*grid.transform), "nodata": shard.layer.nodata, "tiled": True, "blockxsize": 256, "blockysize": 256,
        "compress": "deflate", "zlevel": 1, "predictor": 3 if shard.layer.dtype == "float32" else 2, "interleave": "pixel", "BIGTIFF": "IF_SAFER",
    }  # fmt: skip
    with atomic_path(shard.path) as temp_path:
        with rasterio.open(temp_path, "w", **profile) as file:
            for number, band in enumerate(shard.layer.bands, 1):
                file.set_band_description(number, band)
            tags = provenance(study.name, graph_digest=shard.graph_digest) | {
                "study_json": json.dumps(study.to_dict(), sort_keys=True),
                "engine": "loopback server, not Earth Engine" if shard.is_loopback else "Earth Engine",
            }
            file.update_tags(**{name.upper(): value for name, value in tags.items()})
            for window in windows:
                file.write(_bands(read(window), shard.layer), window=_inside(window, shard.place))
        with rasterio.open(temp_path) as file:
            for window in windows:
                if not np.array_equal(file.read(window=_inside(window, shard.place)), _bands(read(window), shard.layer)):
                    raise DataError(
                        f"{shard.path}: rows {window.row}..{window.row + window.height} did not reach the disk as they were sent; check the disk and run the same command again"
                    )


def verify(study: Study, shards: Sequence[Shard]) -> None:
    """Check that every pixel of the study's grid lies in exactly one shard of each layer, at its place.

    Raises:
        DataError: names the missing, overlapping or misplaced shard.
    """
    folder = shards[0].path.parent
    open_shards(folder, study)
    for name in dict.fromkeys(shard.layer.name for shard in shards):
        rasters = [(shard, open_stored(shard.path)) for shard in shards if shard.layer.name == name]
        places = [(shard.path, place_on(study.grid, raster)) for shard, raster in rasters]
        for (shard, _), (_, place) in zip(rasters, places, strict=True):
            if place != shard.place:
                raise DataError(
                    f"{shard.path}: lies at {tuple(place)}, expected {tuple(shard.place)}; delete it and run the same command again"
                )
        check_cover(study.grid, places, study.area.region)


def _bands(pixels: npt.NDArray[Any], layer: Layer) -> npt.NDArray[Any]:
    """(band, y, x) of a structured array (y, x)."""
    return np.stack([pixels[band] for band in layer.bands])


def _inside(window: Window, place: Window) -> rasterio.windows.Window:
    return rasterio.windows.Window(window.col - place.col, window.row - place.row, window.width, window.height)
