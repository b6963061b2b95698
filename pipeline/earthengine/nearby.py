"""The part of a collection that can change the pixels of a window: its images near the window, and none of the others.

Earth Engine works on all images of a collection, whatever the request's grid. A study's collection has hundreds of scenes, a
window meets some dozens of them.

Source: Earth Engine guide "Coding Best Practices" (filter and select first); API reference, "ee.ImageCollection.filterBounds".
"""

from __future__ import annotations

import math
from collections.abc import Callable

import ee

from cropcam.pipeline.earthengine.region import GEOGRAPHIC, bounds_lonlat
from cropcam.pipeline.grid import METRES_PER_DEGREE, PixelGrid
from cropcam.pipeline.study.study import Study

# A footprint is a polygon of few corners with geodesic sides: it may leave out a strip of the data. Of a scene of 185 km the strip
# is below 1 km, so 10 km are on the safe side. They cost little: a window of 15 km meets about a fifth more scenes.
MARGIN_M = 10_000.0
_MARGIN_PX = 2  # a pixel of the grid is the mean of finer pixels around it
_POLAR_LATITUDE = 85.0


def nearby(study: Study, grid: PixelGrid) -> ee.Geometry | None:
    """The longitude and latitude rectangle around a window or cell of a study, in which images are searched.

    None where such a rectangle is no safe limit: near the poles, and where it would cross 180 degrees.
    """
    west, south, east, north = bounds_lonlat(grid)
    margin_m = MARGIN_M + _MARGIN_PX * study.area.scale_m
    high = margin_m / METRES_PER_DEGREE * 1.01  # a degree of latitude has 110,574 m or more
    south, north = south - high, north + high
    if not all(map(math.isfinite, (west, south, east, north))) or max(abs(south), abs(north)) > _POLAR_LATITUDE:
        return None
    wide = margin_m / (METRES_PER_DEGREE * math.cos(math.radians(max(abs(south), abs(north)))))
    west, east = west - wide, east + wide
    if west < -180 or east > 180 or west >= east:
        return None
    box: ee.Geometry = ee.Geometry.Rectangle([west, south, east, north], proj=GEOGRAPHIC, geodesic=False)
    return box


def images_near(
    area: ee.Geometry | None,
    search: Callable[[ee.Geometry | None], ee.ImageCollection],
    prepare: Callable[[ee.ImageCollection], ee.ImageCollection],
) -> ee.ImageCollection:
    """The prepared images that meet an area, in the order of the whole collection; all of them where the area is None.

    The first image of the whole collection precedes them, masked everywhere. It changes no pixel, and gives the bands and their
    types where no image meets the area: a reduction of an empty collection has no bands.

    Args:
        area: from `nearby`.
        search: the collection's images that meet an area, or all of them.
        prepare: maps a collection's images.
    """
    if area is None:
        return prepare(search(None))
    first: ee.ImageCollection = prepare(search(None).limit(1)).map(lambda image: image.updateMask(0))
    return first.merge(prepare(search(area)))
