"""Shapes in longitude and latitude, brought to the turn of longitudes in which something else lies: -90 degrees and 270 degrees are one place."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.crs import full_turn
from cropcam.pipeline.grid import PixelGrid

Shapes = npt.NDArray[np.object_]
_MOST_TURNS = 4  # what lies further away is no longitude


def near_grid(shape_F: Shapes, grid: PixelGrid) -> Shapes:
    """Shapes in the CRS of a grid with turns added to the longitudes of their parts, so that what is one place meets the grid."""
    if (turn := full_turn(grid.crs)) is None:
        return shape_F
    west, _, east, _ = grid.bounds_xyxy
    return _meeting(shape_F, west, east, turn)


def within_half_turn(shape_F: Shapes, crs: str) -> Shapes:
    """Shapes in a CRS, where this is geographic with longitudes between minus and plus half a turn."""
    if (turn := full_turn(crs)) is None:
        return shape_F
    import shapely  # noqa: PLC0415 - a study is read without it

    moved_F = _meeting(shape_F, -turn / 2, turn / 2, turn)
    across_F = np.array([moved is not own for moved, own in zip(moved_F, shape_F, strict=True)], bool)
    moved_F[across_F] = shapely.intersection(moved_F[across_F], shapely.box(-turn / 2, -turn, turn / 2, turn))
    return moved_F


def _meeting(shape_F: Shapes, left: float, right: float, turn: float) -> Shapes:
    import shapely  # noqa: PLC0415 - a study is read without it

    west_F, _, east_F, _ = shapely.bounds(shape_F).T
    with np.errstate(invalid="ignore"):  # NaN of empty shapes
        reached_F = np.maximum(np.abs(west_F), np.abs(east_F)) <= _MOST_TURNS * turn  # neither empty nor beyond the reach of the CRS
    edges = np.concatenate([west_F[reached_F], east_F[reached_F], [left, right]])
    if np.abs(edges).max() <= turn / 2:
        return shape_F
    found_F = shape_F.copy()
    for index in np.flatnonzero(reached_F):
        parts = [moved for part in shapely.get_parts(shape_F[index]) for moved in _moved(part, left, right, turn)]
        if any(is_moved for _, is_moved in parts):
            found_F[index] = parts[0][0] if len(parts) == 1 else shapely.union_all([part for part, _ in parts])
    return found_F


def _moved(part: Any, left: float, right: float, turn: float) -> list[tuple[Any, bool]]:  # noqa: ANN401 - shapely has no types
    """A part wherever it meets a span of longitudes, and whether it was moved; as it is where it meets it nowhere."""
    from shapely.affinity import translate  # noqa: PLC0415

    west, _, east, _ = part.bounds
    first, end = math.floor((left - east) / turn) + 1, math.ceil((right - west) / turn)
    return [(translate(part, turn * number) if number else part, number != 0) for number in range(first, end)] or [(part, False)]
