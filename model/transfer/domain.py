"""Is an image of the place and season of a run's training data? A network loses accuracy elsewhere, and no metric shows it."""

from __future__ import annotations

import re
from datetime import date

import numpy as np

from cropcam.model.runs.config import RunConfig
from cropcam.pipeline.grid import PixelGrid, transform_points
from cropcam.pipeline.maps.windows import Source
from cropcam.pipeline.store.schema import StoreInfo

SIDE_POINTS = 16  # the image is sampled at so many points per side
# the first one is the acquisition, as in LC08_L2SP_030031_20230831_20230906_02_T1 and T15TYH_20180705T165849_B04_10m
_DATE = re.compile(r"_((?:19|20)\d{2})(\d{2})(\d{2})[_T]")


def domain_note(config: RunConfig, source: Source) -> str:
    """One line if part of the image lies outside the area of the run's store, or its date outside the seasons; else empty.

    Dates come from file names of Landsat (_20230831_) and Sentinel-2 (_20180705T165849_). Without store attributes, or without a date, there is no note.
    """
    if not config.store.attrs:
        return ""
    info = StoreInfo.from_attrs(config.store.attrs, "the run's config.json")
    differences = []
    if outside := share_outside(source.grid, info.pixel_grid):
        differences.append(f"{max(outside, 0.01):.0%} of the image lies outside the area of the run's training data")
    seasons = info.study["image"]["seasons"]
    if dates := [day for day in image_dates(source.names) if not any(first <= day < last for first, last in seasons)]:
        periods = ", ".join(f"{first} to {last}" for first, last in seasons)
        differences.append(f"image date {', '.join(dates)} is outside the seasons of the training data ({periods})")
    return f"note: {'; '.join(differences)}; accuracy there is not that of the evaluation" if differences else ""


def share_outside(image: PixelGrid, area: PixelGrid) -> float:
    """Share (0..1) of evenly spaced points of the image that lie outside the area's bounds."""
    west, south, east, north = image.bounds_xyxy
    step = (np.arange(SIDE_POINTS) + 0.5) / SIDE_POINTS
    x, y = np.meshgrid(west + (east - west) * step, south + (north - south) * step)
    row, _ = area.index(*transform_points(image.crs, area.crs, x.ravel(), y.ravel()))
    return float((row < 0).mean())


def image_dates(names: tuple[str, ...]) -> list[str]:
    """Acquisition dates (YYYY-MM-DD, ascending) in file names of Landsat and Sentinel-2; a name without a date has none."""
    dates = set()
    for name in names:
        if match := _DATE.search(name):
            try:
                dates.add(date(*map(int, match.groups())).isoformat())
            except ValueError:  # eight digits that are no date
                continue
    return sorted(dates)
