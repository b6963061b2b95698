"""Windows of a study that stand for all of it: where the cost of an export is measured. Pure, and the same in each run."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from cropcam.pipeline.earthengine.plan import TILE_PX
from cropcam.pipeline.grid import Window, tiles
from cropcam.pipeline.study.polygons import meets
from cropcam.pipeline.study.study import Study

WINDOWS = 3
SIDE_PX = TILE_PX  # a batch task is computed in tiles of this side too


def windows_of(study: Study, count: int = WINDOWS, side_px: int = SIDE_PX) -> list[Window]:
    """Up to `count` windows by a fixed rule, none over another: three lie in different thirds of rows and of columns.

    Of a study with `area.region` the rule is applied to the box of all windows that meet it, and the nearest of these are taken.
    """
    height, width = study.grid.shape_yx
    size = min(side_px, height), min(side_px, width)
    if not study.area.region:
        for number in range(count, 1, -1):
            corners = [_clamped(point, size, (height, width)) for point in _spread((0, 0), (height, width), number)]
            if all(abs(a[0] - b[0]) >= size[0] or abs(a[1] - b[1]) >= size[1] for a, b in combinations(corners, 2)):
                return [Window(*corner, *size) for corner in corners]
        return [Window(*_clamped((height / 2, width / 2), size, (height, width)), *size)]
    cut = list(tiles((height, width), (side_px, side_px)))
    whole = [place for place in cut if (place.height, place.width) == size]
    places = [place for place in whole if meets(study.area.region, study.grid, place)] or whole
    centres = np.array([(place.row + size[0] / 2, place.col + size[1] / 2) for place in places])
    low, high = centres.min(axis=0) - np.array(size) / 2, centres.max(axis=0) + np.array(size) / 2
    chosen: list[Window] = []
    for point in _spread(tuple(low), tuple(high), min(count, len(places))):
        order = np.argsort(((centres - point) ** 2).sum(axis=1), kind="stable")
        chosen.append(next(places[index] for index in order if places[index] not in chosen))
    return chosen


def _spread(low: tuple[float, ...], high: tuple[float, ...], count: int) -> list[tuple[float, float]]:
    """So many points (row, column) of a box, one to a row and a column of a chessboard of that size."""
    shares = [((number + 0.5) / count, ((number + count // 2) % count + 0.5) / count) for number in range(count)]
    return [(low[0] + (high[0] - low[0]) * down, low[1] + (high[1] - low[1]) * across) for down, across in shares]


def _clamped(centre: tuple[float, float], size: tuple[int, int], shape: tuple[int, int]) -> tuple[int, int]:
    """The corner (row, column) of a window around a point, moved into the grid."""
    row, col = (min(max(round(at - side / 2), 0), whole - side) for at, side, whole in zip(centre, size, shape, strict=True))
    return row, col
