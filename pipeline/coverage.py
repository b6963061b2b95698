"""The share of each cell of a lattice that polygons cover, exactly (exactextract)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def coverage(
    shapes: Sequence[Any], bounds_xyxy: tuple[float, float, float, float], shape_yx: tuple[int, int], crs: str
) -> npt.NDArray[np.float64]:
    """The share (F, Y, X), from 0 to 1, of each cell that each polygon covers.

    Args:
        shapes: shapely polygons or multipolygons, in `crs`.
        bounds_xyxy: of the lattice, in units of `crs`.
        shape_yx: rows and columns of the lattice, from the north-west.
        crs: of both.
    """
    import geopandas  # noqa: PLC0415 - heavy
    from exactextract import exact_extract  # noqa: PLC0415
    from exactextract.raster import NumPyRasterSource  # noqa: PLC0415

    frame = geopandas.GeoDataFrame(geometry=list(shapes), crs=crs)
    raster = NumPyRasterSource(np.zeros(shape_yx, np.uint8), *bounds_xyxy, srs_wkt=frame.crs.to_wkt())
    found = exact_extract(raster, frame, ["cell_id", "coverage"], output="pandas")
    share = np.zeros((len(frame), shape_yx[0] * shape_yx[1]))
    for number, (cell, part) in enumerate(zip(found["cell_id"], found["coverage"], strict=True)):
        share[number, cell] = part
    return share.reshape(len(frame), *shape_yx)
