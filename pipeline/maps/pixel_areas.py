"""The geodesic area of each pixel of a grid in hectares: on the ellipsoid of the grid's CRS, whatever its projection.

Pixel corners are projected to an equal-area projection of the same ellipsoid. In longitude and latitude all pixels of a row are
equal, and a cylindrical equal-area projection gives them exactly. Elsewhere an azimuthal equal-area projection about a point near the middle of
the window gives the area of single pixels on a lattice; the pixels between are interpolated, on a lattice that is made finer until the
error at the middle of its cells is at most 1e-7. Axis suffixes: Y/X rows and columns, J/I rows and columns of the lattice.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from pyproj import CRS, Transformer

from cropcam.pipeline.crs import is_geographic
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid, Window

HECTARE_M2 = 10_000.0
EQUATOR_M = 6_378_137.0  # radius, WGS 84
TOLERANCE = 1e-7  # of a pixel's area
Floats = npt.NDArray[np.float64]


def pixel_hectares(grid: PixelGrid, window: Window) -> Floats:
    """The geodesic area in ha of each pixel (Y, X) of a window of the grid; (Y, 1) where the pixels of a row are equal.

    Raises:
        DataError: the CRS does not reach pixels of the window.
    """
    part = grid.window(window)
    if is_geographic(grid.crs):
        return _rows(part)[:, None]
    size = 4
    while True:
        rows, cols = _lattice(window.height, size), _lattice(window.width, size)
        middle_J, middle_I = _between(rows), _between(cols)
        exact_JI = _quads(part, middle_J[:, None], middle_I[None, :])
        lattice_JI = _quads(part, rows[:, None], cols[None, :])
        error = np.abs(_interpolated(lattice_JI, rows, cols, middle_J, middle_I) / exact_JI - 1).max()
        if error <= TOLERANCE or (len(rows), len(cols)) == part.shape_yx:
            break
        size *= 2
    return _interpolated(lattice_JI, rows, cols, np.arange(window.height), np.arange(window.width))


def point_hectares(grid: PixelGrid, row_P: npt.NDArray[np.int64], col_P: npt.NDArray[np.int64]) -> Floats:
    """The geodesic area (P,) in ha of single pixels of the grid."""
    return _rows(grid)[row_P] if is_geographic(grid.crs) else _quads(grid, row_P, col_P)


def nominal_hectares(grid: PixelGrid) -> float:
    """The area of a pixel as its size gives it, in ha; of degrees that on the equator, so 0.09 ha at a scale of 30 m."""
    a, _, _, _, e, _ = grid.transform
    unit = CRS.from_user_input(grid.crs).axis_info[0].unit_conversion_factor  # metres or radians
    return float(abs(a * e) * (unit * EQUATOR_M if is_geographic(grid.crs) else unit) ** 2 / HECTARE_M2)


def _rows(part: PixelGrid) -> Floats:
    """The area (Y,) in ha of a pixel of each row, on a grid in degrees."""
    a, _, _, _, e, f = part.transform
    edge_Y = f + e * np.arange(part.height + 1, dtype=np.float64)
    project = _equal_area(part.crs, "cea", 0.0, 0.0)
    x, _ = project.transform([0.0, a], [0.0, 0.0])  # away from the seam at 180 degrees
    _, y_Y = project.transform(np.zeros_like(edge_Y), edge_Y)
    return _finite(np.abs(np.diff(np.asarray(y_Y))) * abs(x[1] - x[0]) / HECTARE_M2, part)


def _quads(part: PixelGrid, row: npt.NDArray[np.int64], col: npt.NDArray[np.int64]) -> Floats:
    """The area in ha of the pixels of these rows and columns, which are broadcast."""
    a, _, c, _, e, f = part.transform
    lon, lat = _degrees(part.crs).transform(c + a * part.width / 2, f + e * part.height / 2)
    if not np.isfinite([lon, lat]).all():
        raise _unreachable(part)
    project = _equal_area(part.crs, "laea", round(lon, -1), round(lat, -1))  # few centres for many windows
    x, y = np.broadcast_arrays(c + a * col.astype(np.float64), f + e * row.astype(np.float64))
    corners = [project.transform(x + a * right, y + e * down) for right, down in ((0, 0), (1, 0), (1, 1), (0, 1))]
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = corners
    return _finite(np.abs((x2 - x0) * (y3 - y1) - (x3 - x1) * (y2 - y0)) / 2 / HECTARE_M2, part)


@lru_cache(maxsize=8)
def _degrees(crs: str) -> Transformer:
    """From the CRS to longitude and latitude on its own datum."""
    return Transformer.from_crs(crs, CRS.from_user_input(crs).geodetic_crs, always_xy=True)


@lru_cache(maxsize=64)
def _equal_area(crs: str, projection: str, lon: float, lat: float) -> Transformer:
    """From the CRS to an equal-area projection of its own datum, in metres."""
    from pyproj.crs import ProjectedCRS  # noqa: PLC0415
    from pyproj.crs.coordinate_operation import (  # noqa: PLC0415
        LambertAzimuthalEqualAreaConversion,
        LambertCylindricalEqualAreaConversion,
    )

    own = CRS.from_user_input(crs)
    conversion: Any = LambertCylindricalEqualAreaConversion() if projection == "cea" else LambertAzimuthalEqualAreaConversion(lat, lon)
    return Transformer.from_crs(crs, ProjectedCRS(conversion, geodetic_crs=own.geodetic_crs), always_xy=True)


def _lattice(length: int, cells: int) -> npt.NDArray[np.int64]:
    """Pixels at about equal distances, the first and the last among them."""
    return np.unique(np.round(np.linspace(0, length - 1, min(cells + 1, length))).astype(np.int64))


def _between(nodes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.unique((nodes[:-1] + nodes[1:]) // 2) if len(nodes) > 1 else nodes


def _interpolated(
    values_JI: Floats,
    rows: npt.NDArray[np.int64],
    cols: npt.NDArray[np.int64],
    row_Y: npt.NDArray[np.int64],
    col_X: npt.NDArray[np.int64],
) -> Floats:
    """Bilinear between the nodes."""
    return np.asarray(_weights(rows, row_Y) @ values_JI @ _weights(cols, col_X).T)


def _weights(nodes: npt.NDArray[np.int64], at: npt.NDArray[np.int64]) -> Floats:
    return np.stack([np.interp(at, nodes, unit) for unit in np.eye(len(nodes))], axis=1)


def _finite(hectares: Floats, part: PixelGrid) -> Floats:
    if not np.isfinite(hectares).all():
        raise _unreachable(part)
    return hectares


def _unreachable(part: PixelGrid) -> DataError:
    bounds = ", ".join(f"{value:,.6g}" for value in part.bounds_xyxy)
    return DataError(
        f"pixels within {bounds} of {part.crs} lie outside the reach of this CRS and have no area; make the map in another CRS"
    )
