"""The numpy twin of the Earth Engine export: median composites and labels out of an archive of scenes.

What Earth Engine computes from the study's graph this computes from an archive of GeoTIFF scenes, window by window:
scenes that meet the area and a season, bad pixels masked by QA_PIXEL and QA_RADSAT, exact nearest resampling onto the
study's grid, median per band. It is the oracle of the graph and of the engine that runs it.

Source: USGS LSDS-1619, Landsat 8-9 Collection 2 Level 2 Science Product Guide, tables of QA_PIXEL and QA_RADSAT.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio

from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.grid import PixelGrid, Window, covering_window, nearest_index, tiles
from cropcam.pipeline.legend_sources import cdl
from cropcam.pipeline.rasters.label_codes import to_codes
from cropcam.pipeline.rasters.raster import Raster, open_raster
from cropcam.pipeline.runtime.atomic import atomic_path
from cropcam.pipeline.runtime.tasks import cores
from cropcam.pipeline.study.study import Study

QA_BITS = {"fill": 0, "dilated_cloud": 1, "cirrus": 2, "cloud": 3, "shadow": 4, "snow": 5}
_BLOCK_PX = 512
_MASKED = 65535  # sorts behind every value


@dataclass(frozen=True)
class Scene:
    """One acquisition of the archive: its bands, QA_PIXEL and QA_RADSAT on one UTM grid."""

    name: str
    grid: PixelGrid
    rasters: dict[str, Raster]

    def read(self, band: str, window: Window) -> npt.NDArray[Any]:
        """Raw values (y, x) of one band in a window inside the scene."""
        return self.rasters[band].read(window)[0]  # type: ignore[no-any-return]


def compose(study: Study, archive: Path, out: Path, *, progress: Callable[[int, int, str], None] | None = None) -> tuple[Path, Path]:
    """Write the study's shards, `image.tif` and `labels.tif`, into the folder `out`; what is there already stays.

    Image: uint16 DN, seasons x bands, 0 = nodata. Labels: uint8 raw CDL codes, 0 = nodata.

    Raises:
        ConfigError: the study asks for a region, counts or label confidence, which only the engines do.
        DataError: the archive lacks a collection, a season has no scene, or `out` holds shards of another study.
    """
    if study.area.region or study.image.count or study.labels.confidence_min_pct:
        raise ConfigError(
            f"{study.name}: the twin knows no area.region, image.count or labels.confidence_min_pct; export through an engine"
        )
    out.mkdir(parents=True, exist_ok=True)
    image, labels = out / "image.tif", out / "labels.tif"
    seasons = [find_scenes(study, archive, season) for season in study.image.seasons]
    for path, layers, dtype, read in (
        (image, study.image.layers, "uint16", partial(_image_block, study=study, seasons=seasons)),
        (labels, ("cropland",), "uint8", partial(_label_block, study=study, raster=_label_raster(study, archive))),
    ):
        if not _is_done(path, study):
            _write(path, study, layers, dtype, read, progress)
    return image, labels


def find_scenes(study: Study, archive: Path, season: tuple[str, str]) -> list[Scene]:
    """Scenes of the study's collections that meet its area, begin within the half-open season and are clear enough.

    Raises:
        DataError: the archive lacks a collection, or none of its scenes qualifies.
    """
    start_ms, end_ms = (_milliseconds(day) for day in season)
    bands = (*study.image.bands, "QA_PIXEL", "QA_RADSAT")
    found = []
    for collection in study.image.collections:
        folder = archive / collection
        if not folder.is_dir():
            raise DataError(f"{folder}: the archive has no {collection}; make it with 'cropcam simulate {study.name} --archive {archive}'")
        for about in sorted(folder.glob("*/asset.json")):
            properties = json.loads(about.read_text("utf-8"))["properties"]
            clear = float(properties.get("CLOUD_COVER", 0)) <= study.image.cloud_cover_max_pct
            if not (clear and start_ms <= properties["system:time_start"] < end_ms):
                continue
            grid = open_raster(about.parent / "QA_PIXEL.tif").grid
            if covering_window(grid, study.grid, margin_px=0) is not None:
                rasters = {band: open_raster(about.parent / f"{band}.tif") for band in bands}
                found.append(Scene(about.parent.name, grid, rasters))
    if not found:
        raise DataError(
            f"{archive}: no scene of {', '.join(study.image.collections)} in {season[0]} to {season[1]} meets the area; simulate that period or change image.seasons"
        )
    return found


def masked(
    qa_pixel: npt.NDArray[np.uint16], qa_radsat: npt.NDArray[np.uint16], flags: Sequence[str], bands: Sequence[str]
) -> npt.NDArray[np.bool_]:
    """Where QA_PIXEL carries one of the flags, or ("saturated") QA_RADSAT has a saturated band."""
    bits = sum(1 << QA_BITS[flag] for flag in flags if flag in QA_BITS)
    bad = (qa_pixel & np.uint16(bits)) != 0
    if "saturated" in flags:
        saturated = sum(1 << (int(band.removeprefix("SR_B")) - 1) for band in bands if band.startswith("SR_B"))
        bad |= (qa_radsat & np.uint16(saturated)) != 0
    return np.asarray(bad, bool)


def median(values: npt.NDArray[np.uint16], valid: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint16]:
    """Median over the last axis of the valid values, 0 where none is valid.

    Of an even count the mean of the middle two, rounded by floor(x + 0.5), as Earth Engine's median cast to integer
    after adding one half.
    """
    ordered_values = np.sort(np.where(valid, values, _MASKED), axis=-1)
    count = valid.sum(axis=-1, keepdims=True)
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, values.shape[-1] - 1)
    middle = np.take_along_axis(ordered_values, low, -1).astype(np.uint32) + np.take_along_axis(ordered_values, high, -1)
    return np.where(count > 0, (middle + 1) // 2, 0)[..., 0].astype(np.uint16)


def _image_block(window: Window, *, study: Study, seasons: list[list[Scene]]) -> npt.NDArray[np.uint16]:
    target = study.grid.window(window)
    return np.concatenate([_composite(study, scenes, target) for scenes in seasons])


def _composite(study: Study, scenes: list[Scene], target: PixelGrid) -> npt.NDArray[np.uint16]:
    """Median composite (band, y, x) of the scenes on the target grid."""
    bands = study.image.bands
    stacks, valids = [], []
    place: dict[PixelGrid, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]] = {}  # scenes of one path share a grid
    for scene in scenes:
        part = covering_window(scene.grid, target)
        if part is None:
            continue
        grid = scene.grid.window(part)
        if grid not in place:
            place[grid] = nearest_index(grid, target)
        row, col = place[grid]
        own = np.stack([scene.read(band, part) for band in bands])[:, row, col]
        bad = masked(scene.read("QA_PIXEL", part), scene.read("QA_RADSAT", part), study.image.mask, bands)[row, col] | (row < 0)
        stacks.append(own)
        valids.append((own != 0) & ~bad)
    if not stacks:
        return np.zeros((len(bands), *target.shape_yx), np.uint16)
    return median(np.stack(stacks, axis=-1), np.stack(valids, axis=-1))


def _label_block(window: Window, *, study: Study, raster: Raster) -> npt.NDArray[np.uint8]:
    target = study.grid.window(window)
    part = covering_window(raster.grid, target)
    if part is None:
        return np.zeros((1, *target.shape_yx), np.uint8)
    row, col = nearest_index(raster.grid.window(part), target)
    codes = to_codes(raster.read(part)[0], raster.nodata[0], raster.path, cdl())
    return np.where(row >= 0, codes[row, col], np.uint8(0))[None]


def _label_raster(study: Study, archive: Path) -> Raster:
    path = archive / study.labels.asset / "cropland.tif"
    if not path.is_file():
        raise DataError(
            f"{path}: the archive has no {study.labels.asset}; make it with 'cropcam simulate {study.name} --archive {archive}'"
        )
    return open_raster(path, labels=True)


def _is_done(path: Path, study: Study) -> bool:
    if not path.is_file():
        return False
    with rasterio.open(path) as file:
        digest = file.tags().get("STUDY_DIGEST")
    if digest != study.digest:
        raise DataError(f"{path}: a shard of another study or of an edited one; choose another folder, or delete it")
    return True


def _write(
    path: Path,
    study: Study,
    layers: tuple[str, ...],
    dtype: str,
    read: Callable[[Window], npt.NDArray[Any]],
    progress: Callable[[int, int, str], None] | None,
) -> None:
    grid = study.grid
    windows = list(tiles(grid.shape_yx, (_BLOCK_PX, _BLOCK_PX)))
    profile = {
        "driver": "GTiff", "dtype": dtype, "count": len(layers), "width": grid.width, "height": grid.height, "crs": grid.crs,
        "transform": rasterio.Affine(*grid.transform), "nodata": 0, "tiled": True, "blockxsize": 256, "blockysize": 256,
        "compress": "deflate", "zlevel": 1, "predictor": 2, "interleave": "pixel", "BIGTIFF": "IF_SAFER",
    }  # fmt: skip
    with atomic_path(path) as partial, rasterio.open(partial, "w", **profile) as file:
        for number, layer in enumerate(layers, 1):
            file.set_band_description(number, layer)
        file.update_tags(STUDY=study.name, STUDY_DIGEST=study.digest)
        with ThreadPoolExecutor(cores()) as pool:
            for done, (window, block) in enumerate(zip(windows, pool.map(read, windows), strict=True), 1):
                file.write(block, window=rasterio.windows.Window(window.col, window.row, window.width, window.height))
                if progress:
                    progress(done, len(windows), path.name)


def _milliseconds(day: str) -> int:
    return int(datetime.datetime.fromisoformat(day).replace(tzinfo=datetime.UTC).timestamp() * 1000)
