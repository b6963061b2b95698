"""Where a raster lies: its grid, or why it has none that can be used, with the GDAL command that gives it one. No pixel is read."""

from __future__ import annotations

import math
import shlex
from pathlib import Path

import rasterio
from pyproj.exceptions import CRSError
from rasterio.errors import CRSError as FileCRSError

from cropcam.pipeline.crs import crs_text, full_turn, is_geographic
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.grid import ALIGNED_PX, PixelGrid

_MOST_PX = 10**8  # of a side: once around the globe in pixels of 40 cm
_FAR = 1e9  # units of a projected CRS: 25 times around the globe in metres, beyond any false easting


def grid_of(path: Path, file: rasterio.DatasetReader) -> PixelGrid:
    """The grid of an opened raster, in the CRS that the file itself has.

    Raises:
        DataError: no CRS, a local or damaged one, no geotransform, ground control points, rotated, not north-up, or no place on the globe.
    """
    name = shlex.quote(path.name)
    points, points_crs = file.gcps
    transform = tuple(file.transform)[:6]
    is_placed = not file.transform.is_identity
    if not is_placed and points:
        crs = f"-t_srs {points_crs.to_string()}" if points_crs and len(points_crs.to_string()) < 20 else "-t_srs EPSG:n"
        raise DataError(f"{path}: is placed by {len(points)} ground control points; bring it to a grid: gdalwarp {crs} {name} placed.tif")
    if not is_placed and file.rpcs:
        raise DataError(f"{path}: is placed by a sensor model (RPC); bring it to a grid: gdalwarp -rpc -t_srs EPSG:n {name} placed.tif")
    if file.crs is None:
        raise DataError(
            f"{path}: has no CRS; fetch the file again if it was cut short, else assign the CRS that it is in: gdal_edit.py -a_srs EPSG:n {name}"
        )
    if not is_placed:
        raise DataError(
            f"{path}: has a CRS but no geotransform: where it lies is not known; fetch it again with its world file, "
            f"or assign the corners: gdal_edit.py -a_ullr WEST NORTH EAST SOUTH {name}"
        )
    crs = _crs(path, file)
    a, b, c, d, e, f = transform
    if not all(map(math.isfinite, transform)) or not a or not e:
        raise DataError(
            f"{path}: its geotransform {transform} is none; assign the corners: gdal_edit.py -a_ullr WEST NORTH EAST SOUTH {name}"
        )
    if abs(b) * file.height > ALIGNED_PX * abs(a) or abs(d) * file.width > ALIGNED_PX * abs(e):
        raise DataError(f"{path}: is rotated (transform {transform}); bring it to a north-up grid: gdalwarp -r near {name} north-up.tif")
    if a < 0 or e > 0:
        xs, ys = sorted((c, c + a * file.width)), sorted((f, f + e * file.height))
        box = " ".join(f"{value:.12g}" for value in (xs[0], ys[0], xs[1], ys[1]))
        raise DataError(
            f"{path}: its first pixel is in the {'south' if e > 0 else 'east'} (transform {transform}); turn it: "
            f"gdalwarp -r near -te {box} -ts {file.width} {file.height} {name} north-up.tif"
        )
    if max(file.width, file.height) > _MOST_PX:
        raise DataError(
            f"{path}: {file.width:,} x {file.height:,} px are more than a side of {_MOST_PX:,}; "
            f"cut out what you need: gdal_translate -srcwin COLUMN ROW WIDTH HEIGHT {name} part.tif"
        )
    grid = PixelGrid(crs, (a, 0.0, c, 0.0, e, f), file.width, file.height)
    _check_possible(path, grid)
    return grid


def _crs(path: Path, file: rasterio.DatasetReader) -> str:
    try:
        crs = crs_text(file.crs)
        is_geographic(crs)
    except (CRSError, FileCRSError, ConfigError):
        wkt = file.crs.to_wkt()
        kind = (
            "a local one, of no known place"
            if wkt.startswith(("LOCAL_CS", "ENGCRS"))
            else "neither projected nor in longitude and latitude"
        )
        title = f" ({wkt.split(chr(34))[1]})" if '"' in wkt else ""
        raise DataError(
            f"{path}: its CRS{title} is {kind}; assign the true one: gdal_edit.py -a_srs EPSG:n {shlex.quote(path.name)}"
        ) from None
    if full_turn(crs) == 2 * math.pi:
        raise DataError(
            f"{path}: its CRS has longitudes in radians; bring it to degrees: gdalwarp -r near -t_srs EPSG:4326 {shlex.quote(path.name)} degrees.tif"
        )
    return crs


def _check_possible(path: Path, grid: PixelGrid) -> None:
    """Refuse coordinates that are no place."""
    a, _, c, _, e, f = grid.transform
    west, south, east, north = grid.bounds_xyxy
    turn = full_turn(grid.crs)
    if turn is None:
        is_place = max(map(abs, grid.bounds_xyxy)) < _FAR
    else:  # a pixel of a global raster may lie across a pole, or be there twice
        pole = turn / 4 - e
        is_place = max(abs(west), abs(east)) <= 2 * turn and -pole <= south <= north <= pole and east - west <= turn + 2 * a
    if not is_place or c + a * ALIGNED_PX == c or f + e * ALIGNED_PX == f:
        raise DataError(
            f"{path}: its {grid.width:,} x {grid.height:,} pixels of {a:g} x {-e:g} reach from {west:g}, {south:g} to {east:g}, {north:g}, which is no "
            f"place in its CRS; assign the corners: gdal_edit.py -a_ullr WEST NORTH EAST SOUTH {shlex.quote(path.name)}"
        )
