"""The numpy twins of exports of other sensors: medians of Sentinel-2 and HLS, embedding mosaics, out of an archive of scenes.

Imports nothing of the project. Sources: Earth Engine guides "Resampling and Reducing Resolution", "Compositing and Mosaicking"; the Data
Catalog's pages of COPERNICUS/S2_SR_HARMONIZED, GOOGLE/CLOUD_SCORE_PLUS/V1/S2_HARMONIZED, NASA/HLS/HLSL30/v002, NASA/HLS/HLSS30/v002 and
GOOGLE/SATELLITE_EMBEDDING/V1/ANNUAL.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import rasterio
import shapely
from pyproj import Transformer

Transform = tuple[float, float, float, float, float, float]
_TICK = 2.0**-20  # corners are rounded to so much of an input pixel: no rounding error decides a tie
_SLIVER = 1e-9


@dataclass(frozen=True)
class Target:
    """The grid of an export: CRS, affine transform, columns and rows."""

    crs: str
    transform: Transform
    width: int
    height: int


@dataclass(frozen=True)
class Band:
    """One band of a scene."""

    values_YX: np.ndarray
    transform: Transform
    crs: str


def sentinel_median(
    archive: Path,
    target: Target,
    season: tuple[str, str],
    bands: Sequence[str],
    score_min: float | None,
    bad_classes: Sequence[int] = (),
    *,
    averaged: bool,
) -> np.ndarray:
    """Medians (band, y, x) uint16, 0 = none: pixels with a score below `score_min` or of a bad class of SCL left out, then averaged or nearest."""
    layers: dict[str, list[np.ndarray]] = {band: [] for band in bands}
    for folder in scenes(archive / "COPERNICUS/S2_SR_HARMONIZED", season):
        score = archive / "GOOGLE/CLOUD_SCORE_PLUS/V1/S2_HARMONIZED" / folder.name
        for name in bands:
            band = read(folder, name)
            values = np.where(band.values_YX == 0, np.nan, band.values_YX.astype(float))
            # masked at the band's own pixels before averaging, else where the target's pixels look
            place = partial(at, band=band) if averaged else partial(nearest, target=target)
            values = values if averaged else nearest(Band(values, band.transform, band.crs), target)
            if score_min is not None:
                clear = place(read(score, "cs_cdf")) >= np.float32(score_min) if score.is_dir() else False
                values = np.where(clear, values, np.nan)
            if bad_classes:
                values = np.where(np.isin(place(read(folder, "SCL")), bad_classes), np.nan, values)
            layers[name].append(mean(Band(values, band.transform, band.crs), target) if averaged else values)
    with np.errstate(all="ignore"):
        medians = np.stack([middle(np.stack(found)) for found in layers.values()])
    return np.where(np.isnan(medians), 0, np.floor(medians + 0.5)).astype(np.uint16)


def hls_median(
    archive: Path, target: Target, season: tuple[str, str], bands: Mapping[str, Sequence[str]], bits: Sequence[int], *, averaged: bool
) -> np.ndarray:
    """Medians (band, y, x) float32, -9999 = none, over all collections.

    Left out are pixels with one of these bits of Fmask; the others are averaged or the nearest is taken. `bands` are each collection's own
    names.
    """
    layers: list[list[np.ndarray]] = [[] for _ in next(iter(bands.values()))]
    for collection, names in bands.items():
        for folder in scenes(archive / collection, season):
            fmask = read(folder, "Fmask").values_YX
            bad = (fmask == 255) | (fmask & sum(1 << bit for bit in bits) > 0)
            for layer, name in zip(layers, names, strict=True):
                band = read(folder, name)
                values = np.where(bad | (band.values_YX == -9999), np.nan, band.values_YX.astype(float))
                layer.append((mean if averaged else nearest)(Band(values, band.transform, band.crs), target))
    medians = np.stack([middle(np.stack(found)) for found in layers])
    return np.where(np.isnan(medians), -9999, medians).astype(np.float32)


def embedding_mosaic(archive: Path, target: Target, season: tuple[str, str], bands: Sequence[str], *, averaged: bool) -> np.ndarray:
    """The last image on top (band, y, x) float32, -9999 = none; means of pixels are scaled to length 1."""
    result = np.full((len(bands), target.height, target.width), np.nan)
    for folder in scenes(archive / "GOOGLE/SATELLITE_EMBEDDING/V1/ANNUAL", season):
        found = []
        for name in bands:
            band = read(folder, name)
            values = np.where(band.values_YX == -9999, np.nan, band.values_YX.astype(float))
            found.append((mean if averaged else nearest)(Band(values, band.transform, band.crs), target))
        stack = np.stack(found)
        if averaged:
            squares = np.zeros(stack.shape[1:])
            for layer in stack:
                squares = squares + layer * layer
            stack = stack / np.sqrt(squares)
        result = np.where(np.isnan(stack), result, stack)
    return np.where(np.isnan(result), -9999, result).astype(np.float32)


def scenes(collection: Path, season: tuple[str, str]) -> list[Path]:
    """Folders of the scenes that start in the half-open season, by name."""
    start, end = (datetime.datetime.fromisoformat(day).replace(tzinfo=datetime.UTC).timestamp() * 1000 for day in season)
    times = {
        path.parent: json.loads(path.read_text())["properties"]["system:time_start"] for path in sorted(collection.glob("*/asset.json"))
    }
    return [folder for folder, time in times.items() if start <= time < end]


@lru_cache(maxsize=512)
def read(folder: Path, name: str) -> Band:
    """A band of the archive."""
    with rasterio.open(folder / f"{name}.tif") as file:
        return Band(file.read(1), tuple(file.transform)[:6], file.crs.to_string())


def at(mask: Band, band: Band) -> np.ndarray:
    """A mask's values at the centres of another band's pixels, both of one scene; NaN beyond."""
    height, width = band.values_YX.shape
    x = band.transform[2] + band.transform[0] * (np.arange(width) + 0.5)
    y = band.transform[5] + band.transform[4] * (np.arange(height) + 0.5)
    return _pick(mask, *np.meshgrid(x, y))


def nearest(band: Band, target: Target) -> np.ndarray:
    """The pixel that holds each target pixel's centre; NaN outside."""
    a, _, c, _, e, f = target.transform
    x, y = np.meshgrid(c + a * (np.arange(target.width) + 0.5), f + e * (np.arange(target.height) + 0.5))
    return _pick(band, *Transformer.from_crs(target.crs, band.crs, always_xy=True).transform(x, y))


def _pick(band: Band, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    a, _, c, _, e, f = band.transform
    col, row = np.floor((x - c) / a).astype(int), np.floor((y - f) / e).astype(int)
    height, width = band.values_YX.shape
    inside = (row >= 0) & (row < height) & (col >= 0) & (col < width)
    picked = band.values_YX[np.where(inside, row, 0), np.where(inside, col, 0)]
    return np.where(inside, picked.astype(float) if band.values_YX.dtype.kind != "f" else picked, np.nan)


def mean(band: Band, target: Target) -> np.ndarray:
    """The mean of the valid pixels inside each target pixel, by area; NaN without one."""
    total, weights = np.zeros(target.width * target.height), np.zeros(target.width * target.height)
    pixel, row, col, area = _areas(band.crs, band.transform, band.values_YX.shape, target)
    values = band.values_YX[row, col]
    kept = ~np.isnan(values)
    np.add.at(total, pixel[kept], values[kept] * area[kept])
    np.add.at(weights, pixel[kept], area[kept])
    with np.errstate(all="ignore"):
        return np.where(weights > 0, total / weights, np.nan).reshape(target.height, target.width)


@lru_cache(maxsize=64)
def _areas(crs: str, transform: Transform, shape: tuple[int, int], target: Target) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Target pixel, row, column and area in input pixels of each intersection, row by row."""
    a, _, c, _, e, f = target.transform
    x, y = np.meshgrid(c + a * np.arange(target.width + 1), f + e * np.arange(target.height + 1))
    x, y = Transformer.from_crs(target.crs, crs, always_xy=True).transform(x, y)
    a, _, c, _, e, f = transform
    u, v = np.round((np.asarray(x) - c) / a / _TICK) * _TICK, np.round((np.asarray(y) - f) / e / _TICK) * _TICK
    corners = [(0, 0), (0, 1), (1, 1), (1, 0)]
    rings = np.stack([np.stack([part[r : r + target.height, q : q + target.width] for part in (u, v)], -1) for r, q in corners], 2).reshape(
        -1, 4, 2
    )
    low, high = np.floor(rings.min(axis=1)).astype(int), np.ceil(rings.max(axis=1)).astype(int)
    pixels, rows, cols = [], [], []
    for pixel, ((left, top), (right, bottom)) in enumerate(zip(low, high, strict=True)):
        yy, xx = np.mgrid[max(top, 0) : min(bottom, shape[0]), max(left, 0) : min(right, shape[1])]
        pixels.append(np.full(xx.size, pixel))
        rows.append(yy.ravel())
        cols.append(xx.ravel())
    pixel, row, col = (np.concatenate(parts) for parts in (pixels, rows, cols))
    area = shapely.area(shapely.intersection(shapely.polygons(rings)[pixel], shapely.box(col, row, col + 1, row + 1)))
    kept = area > _SLIVER
    return pixel[kept], row[kept], col[kept], area[kept]


def middle(stack: np.ndarray) -> np.ndarray:
    """The median of the numbers along the first axis, of an even count the mean of the middle two; NaN without one."""
    ordered = np.sort(stack, axis=0)  # NaN last
    count = (~np.isnan(stack)).sum(axis=0)
    pick = lambda place: np.take_along_axis(ordered, np.clip(place, 0, len(stack) - 1)[None], 0)[0]  # noqa: E731
    return np.where(count > 0, (pick((count - 1) // 2) + pick(count // 2)) * 0.5, np.nan)


def physical(values_CYX: np.ndarray, scale: float, offset: float, nodata: float) -> np.ndarray:
    """Float64 in the physical unit, NaN = missing."""
    return np.where(values_CYX == nodata, np.nan, values_CYX.astype(np.float64) * scale + offset)


def ndvi(bands: Mapping[str, np.ndarray]) -> np.ndarray:
    """(nir - red) / (nir + red), NaN where the sum is 0."""
    with np.errstate(all="ignore"):
        total = bands["nir"] + bands["red"]
        return np.where(total == 0, np.nan, (bands["nir"] - bands["red"]) / total)
