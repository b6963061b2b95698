"""Outlines of small arrays on the pixel grid, as shapely has them, y pointing up; and a shape that is hard to outline."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import shapely
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cropcam.pipeline.maps.polygons_rings import Outlines, rings_of
from cropcam.pipeline.maps.polygons_simplify import simplify
from cropcam.pipeline.maps.polygons_sweep import Sweep

Raster = npt.NDArray[np.uint8]


class Traced(NamedTuple):
    """A component: what it is, and its polygon."""

    first: int
    kind: int
    pixels: int
    hectares: float
    probability: int
    polygon: shapely.Polygon


def rasters(most: int = 12) -> st.SearchStrategy[Raster]:
    """Class indices 0 to 2 with nodata, from a pixel to `most` x `most`."""
    return arrays.arrays(np.uint8, arrays.array_shapes(min_dims=2, max_dims=2, max_side=most), elements=st.sampled_from([0, 1, 2, 255]))


def traced(
    classes_YX: Raster, band_px: int = 1 << 20, limit: float = 0.0, hectares_YX: npt.NDArray[np.float64] | None = None
) -> list[Traced]:
    """Every component, swept in bands; simplified where `limit`, twice an area in pixels, is above 0. The probability of a pixel is its class."""
    sweep, found = Sweep(classes_YX.shape, corners=limit > 0), list[Traced]()
    areas_YX = np.ones((len(classes_YX), 1)) if hectares_YX is None else hectares_YX
    for row in range(0, len(classes_YX), band_px):
        part = slice(row, row + band_px)
        sweep.rows(classes_YX[part], classes_YX[part], areas_YX[part])
        if row + band_px >= len(classes_YX):
            sweep.end()
        for done_P, outlines in rings_of(sweep, sweep.take()):
            if limit:
                before_YB = sweep.corner_YB.copy()
                simplify(outlines, sweep.corner_YB, np.full(len(classes_YX) + 1, limit))
                np.testing.assert_array_equal(before_YB, sweep.corner_YB)
            c = sweep.components
            figures = zip(*(each[done_P].tolist() for each in (c.first, c.kind, c.pixels, c.hectares, c.probability)), strict=True)
            found += [Traced(*each, polygon) for each, polygon in zip(figures, polygons(outlines), strict=True)]
    return found


def polygons(outlines: Outlines) -> list[shapely.Polygon]:
    """The polygons, y pointing up."""

    def ring(index: int) -> npt.NDArray[np.int64]:
        part = slice(outlines.start_R[index], outlines.start_R[index] + outlines.length_R[index])
        return np.stack([outlines.x_V[part], -outlines.y_V[part]], axis=1)

    first = outlines.first_P.tolist()
    return [shapely.Polygon(ring(begin), [ring(hole) for hole in range(begin + 1, end)]) for begin, end in itertools.pairwise(first)]


def spiral(side: int) -> Raster:
    """Two classes wound around each other, a pixel wide, with nodata at the centre."""
    found = np.zeros((side, side), np.uint8)
    row = col = 0
    step_row, step_col = 0, 1
    seen = np.zeros((side, side), bool)
    for _ in range(side * side):
        seen[row, col], found[row, col] = True, 1
        ahead = row + 2 * step_row, col + 2 * step_col
        nearer = row + step_row, col + step_col
        free = 0 <= nearer[0] < side and 0 <= nearer[1] < side and not seen[nearer]
        if not free or (0 <= ahead[0] < side and 0 <= ahead[1] < side and seen[ahead]):
            step_row, step_col = step_col, -step_row
            nearer = row + step_row, col + step_col
            if not (0 <= nearer[0] < side and 0 <= nearer[1] < side) or seen[nearer]:
                break
        row, col = nearer
    found[side // 2, side // 2] = 255
    return found
