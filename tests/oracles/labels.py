"""Label layers in numpy: mosaics by the nearest rule, the commonest of finer pixels and their mean weights by polygons.

Source: Earth Engine guides, "Compositing and Mosaicking", "Resampling and Reducing Resolution": the weight of an input pixel is the area of
its intersection with the output pixel.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pyproj import Transformer
from shapely.geometry import Polygon, box

Image = tuple[npt.NDArray[Any], Any]  # values (y, x), 0 = no label, and their grid


def nearest(image: Image, target: Any) -> npt.NDArray[Any]:
    """Values at the centres of the target's pixels, 0 outside."""
    values, grid = image
    x, y = np.meshgrid(*target.centres())
    x, y = Transformer.from_crs(target.crs, grid.crs, always_xy=True).transform(x, y)
    a, _, c, _, e, f = grid.transform
    col, row = np.floor((x - c) / a).astype(int), np.floor((y - f) / e).astype(int)
    inside = (row >= 0) & (row < grid.height) & (col >= 0) & (col < grid.width)
    return np.where(inside, values[np.where(inside, row, 0), np.where(inside, col, 0)], 0)


def mosaic(layers: Sequence[npt.NDArray[Any]], rule: str) -> npt.NDArray[Any]:
    """Layers (y, x), 0 = no label, as one: "last" or "first" on top, or the commonest ("mode"), of several the smallest."""
    if rule != "mode":
        found = np.zeros_like(layers[0])
        for layer in layers if rule == "last" else layers[::-1]:
            found = np.where(layer, layer, found)
        return found
    stack = np.stack(layers)
    result = np.zeros_like(layers[0])
    for place in np.ndindex(result.shape):
        values, counts = np.unique(stack[(slice(None), *place)], return_counts=True)
        counts = counts[values > 0]
        if counts.size:
            result[place] = values[values > 0][counts.argmax()]
    return result


def commonest(codes: Image, target: Any, weights: npt.NDArray[Any] | None = None) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The code of the largest area in each pixel of the target, of several the smallest, 0 without one; and floor(mean weight + 0.5)."""
    values, grid = codes
    project = Transformer.from_crs(target.crs, grid.crs, always_xy=True).transform
    mode, mean = np.zeros(target.shape_yx, values.dtype), np.zeros(target.shape_yx, np.uint8)
    for row, col in np.ndindex(target.shape_yx):
        area, total = defaultdict[int, float](float), 0.0
        for (i, j), part in _parts(project, grid, target, row, col):
            if 0 <= i < grid.height and 0 <= j < grid.width and values[i, j]:
                area[int(values[i, j])] += part
                total += part * (0 if weights is None else weights[i, j])
        if area:
            most = max(area.values())
            mode[row, col] = min(code for code, size in area.items() if size > most - 1e-6)
            mean[row, col] = np.floor(total / sum(area.values()) + 0.5)
    return mode, mean


def _parts(project: Any, grid: Any, target: Any, row: int, col: int) -> list[tuple[tuple[int, int], float]]:
    a, _, c, _, e, f = target.transform
    corners = [project(c + a * (col + i), f + e * (row + j)) for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))]
    a, _, c, _, e, f = grid.transform
    outline = Polygon([((x - c) / a, (y - f) / e) for x, y in corners])
    left, top, right, bottom = (int(np.floor(edge)) for edge in outline.bounds)
    places = [(i, j) for i in range(top, bottom + 1) for j in range(left, right + 1)]
    areas = [(place, outline.intersection(box(place[1], place[0], place[1] + 1, place[0] + 1)).area) for place in places]
    return [(place, area) for place, area in areas if area > 1e-6]
