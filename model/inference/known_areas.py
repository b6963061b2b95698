"""Known class areas of a mapped region, from numbers or from a file of statistics, and the shift of probabilities to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import shapely
from pyproj import Geod

from cropcam.model.inference.predictor import Predictor
from cropcam.model.inference.survey import Survey, log_probabilities
from cropcam.model.labels.areas import read_areas
from cropcam.model.labels.weak_labels import LabelSpec
from cropcam.model.segmentation.label_shift import label_shift
from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.maps.pixel_areas import HECTARE_M2

EDGE_POINTS = 64  # of a raster's outline, per side


@dataclass(frozen=True)
class KnownAreas:
    """Known class areas.

    Attributes:
        share_K: share (0..1) of each class; their sum is 1.
        origin: the option or the file, for messages and tags.
        path: the file.
    """

    share_K: tuple[float, ...]
    origin: str
    path: Path | None = None

    @classmethod
    def of_prior(cls, prior_K: Sequence[float], legend: Legend) -> KnownAreas:
        """From one number per class, in any unit.

        Raises:
            ConfigError: another number of values than of classes, a negative one, or all 0.
        """
        if len(prior_K) != len(legend):
            raise ConfigError(f"--class-prior has {len(prior_K)} shares, the run has {len(legend)} classes: {', '.join(legend.names)}")
        if min(prior_K) < 0 or not sum(prior_K) > 0 or not np.isfinite(prior_K).all():
            raise ConfigError(f"--class-prior {','.join(f'{value:g}' for value in prior_K)}: give areas or shares of 0 or more, not all 0")
        return cls(tuple(value / sum(prior_K) for value in prior_K), "--class-prior")

    @classmethod
    def of_file(cls, path: Path, legend: Legend, grid: PixelGrid) -> KnownAreas:
        """From a vector file with class areas per polygon (docs/labels.md): their mean, weighted by the geodesic area of each polygon on the raster.

        Raises:
            DataError: no such file, it is not valid, or no polygon meets the raster.
        """
        if not path.is_file():
            raise DataError(f"--areas {path}: no such file; give a vector file of polygons with a column of hectares for each class")
        areas = read_areas(LabelSpec(labels="shares", areas=str(path)), legend)
        outline = _outline(grid, areas.crs)
        covered_F = [_hectares(polygon.intersection(outline), areas.crs) for polygon in areas.polygon_F]
        if not sum(covered_F):
            west, south, east, north = grid.bounds_xyxy
            raise DataError(
                f"{path}: no polygon meets the raster, which lies at {west:g}, {south:g}, {east:g}, {north:g} in {grid.crs}; "
                "give areas of the same place"
            )
        share_K = np.average(areas.share_FK.astype(np.float64), axis=0, weights=covered_F)
        return cls(tuple((share_K / share_K.sum()).tolist()), path.name, path)


def shift_to(known: KnownAreas, survey: Survey, predictor: Predictor, log: Callable[[str], object]) -> tuple[float, ...]:
    """The offset of each class's logit with which the mean probabilities over the raster are the known shares; a line to `log` where they are out of reach.

    Raises:
        DataError: no patch of the raster has data.
    """
    log_PK = log_probabilities(survey, replace(predictor, smoothness=0.0))
    if not len(log_PK):
        raise DataError(f"{survey.source.names[0]}: no pixel with data to shift to {known.origin}; map it without")
    found = label_shift(log_PK, np.array(known.share_K))
    if not found.is_met(np.array(known.share_K)):
        known_text, reached = (", ".join(f"{share:.1%}" for share in shares) for shares in (known.share_K, found.reached_K))
        log(f"warning: {known.origin}: the network's probabilities cannot be shifted to {known_text}; mean probabilities are {reached}")
    return tuple(found.offset_K.tolist())


def _outline(grid: PixelGrid, crs: str) -> shapely.Polygon:
    """The raster's outline in another CRS."""
    west, south, east, north = grid.bounds_xyxy
    ring = shapely.box(west, south, east, north).exterior.segmentize(max(east - west, north - south) / EDGE_POINTS)
    x, y = shapely.get_coordinates(ring).T
    return shapely.make_valid(shapely.Polygon(np.column_stack(transform_points(grid.crs, crs, x, y))))


def _hectares(shape: shapely.Geometry, crs: str) -> float:
    degrees = shapely.transform(shape, lambda xy: np.column_stack(transform_points(crs, "EPSG:4326", *xy.T)))
    return abs(Geod(ellps="WGS84").geometry_area_perimeter(degrees)[0]) / HECTARE_M2
