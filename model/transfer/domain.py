"""Is an image of the place and season of a run's training data? A network loses accuracy elsewhere, and no metric shows it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from cropcam.model.runs.config import RunConfig
from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.image_dates import image_dates
from cropcam.pipeline.maps.windows import Source
from cropcam.pipeline.store.patch_store import PatchStore
from cropcam.pipeline.store.schema import StoreInfo

STUDY_TAG = "STUDY_JSON"  # of the shards of an export
SIDE_POINTS = 16  # the image is sampled at so many points per side


@dataclass(frozen=True)
class Place:
    """Where and when an image differs from the stores that the run was trained on; nothing differs where the run does not record them."""

    outside: float = 0.0  # share (0..1) of the image outside the areas of the run's stores
    dates: tuple[str, ...] = ()  # of the image, YYYY-MM-DD, or START/END of the store's seasons, outside the run's seasons
    seasons: tuple[str, ...] = ()  # START/END, of the run

    @classmethod
    def of(cls, config: RunConfig, source: Source) -> Place:
        """Of a raster or a store. Dates are a store's seasons, or come from file names of Landsat (_20230831_) and Sentinel-2 (_20180705T165849_)."""
        infos = [StoreInfo.from_attrs(attrs, "the run's config.json") for attrs in config.store_attrs()]
        if not infos:
            return cls()
        seasons = sorted({(first, last) for info in infos for first, last in info.study["image"]["seasons"]})
        if isinstance(source, PatchStore):
            own: list[list[str]] = source.info.study["image"]["seasons"]
            dates = [f"{first}/{last}" for first, last in own if not any(first < end and start < last for start, end in seasons)]
        else:
            dates = [day for day in image_dates(source.names) if not any(first <= day < last for first, last in seasons)]
        outside = share_outside(source.grid, *(info.pixel_grid for info in infos))
        return cls(outside, tuple(dates), tuple(map("/".join, seasons)))

    def text(self) -> str:
        """What differs, without a full stop; empty where nothing does."""
        differences = []
        if self.outside:
            differences.append(f"{max(self.outside, 0.01):.0%} of the image lies outside the area of the run's training data")
        if self.dates:
            periods = ", ".join(season.replace("/", " to ") for season in self.seasons)
            named = ", ".join(day.replace("/", " to ") for day in self.dates)
            differences.append(f"image date {named} is outside the seasons of the training data ({periods})")
        return "; ".join(differences)

    def note(self) -> str:
        """What differs as one line; empty where nothing does."""
        return f"note: {text}; accuracy there is not that of the evaluation" if (text := self.text()) else ""


def image_seasons(source: Source) -> list[tuple[str, str]]:
    """START and END (exclusive), YYYY-MM-DD, of a source's images; empty where they are not known.

    Days in file names come first: own images may be of another year than the study that they are cut with. Then the seasons of the study of
    a store, or of the export whose shards these are.
    """
    from cropcam.pipeline.rasters.mosaic import RasterMosaic  # noqa: PLC0415 - dask and rasterio, which a report does without

    if isinstance(source, PatchStore):
        return sorted({season for part in source.parts.values() for season in store_seasons(part.info)})
    if days := image_dates(source.names):
        return _days(days)
    pieces = source.pieces if isinstance(source, RasterMosaic) else ()
    texts = {raster.tags[STUDY_TAG] for raster, _, _ in pieces if STUDY_TAG in raster.tags}
    return sorted({(str(start), str(end)) for text in texts for start, end in json.loads(text)["image"]["seasons"]})


def store_seasons(info: StoreInfo) -> list[tuple[str, str]]:
    """As `image_seasons`, of the images of a store."""
    if days := image_dates(tuple(name.removeprefix("image:") for name in info.digests if name.startswith("image:"))):
        return _days(days)
    return sorted((str(start), str(end)) for start, end in info.study["image"]["seasons"])


def _days(days: list[str]) -> list[tuple[str, str]]:
    return [(day, (date.fromisoformat(day) + timedelta(days=1)).isoformat()) for day in days]


def share_outside(image: PixelGrid, *areas: PixelGrid) -> float:
    """Share (0..1) of evenly spaced points of the image that lie outside the bounds of all areas."""
    west, south, east, north = image.bounds_xyxy
    step = (np.arange(SIDE_POINTS) + 0.5) / SIDE_POINTS
    x, y = np.meshgrid(west + (east - west) * step, south + (north - south) * step)
    outside = np.ones(x.size, bool)
    for area in areas:
        outside &= area.index(*transform_points(image.crs, area.crs, x.ravel(), y.ravel()))[0] < 0
    return float(outside.mean())
