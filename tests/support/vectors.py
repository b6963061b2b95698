"""Vector files made by a program: boxes of pixels as polygons, in any CRS and format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas
import shapely

from cropcam.pipeline.store.schema import StoreInfo


def pixel_box(info: StoreInfo, top: float, left: float, bottom: float, right: float) -> shapely.Polygon:
    """The polygon of rows top..bottom and columns left..right of a store's pixel grid, in its CRS."""
    a, _, c, _, e, f = info.transform
    return shapely.box(c + a * left, f + e * bottom, c + a * right, f + e * top)


def write_vectors(
    path: Path,
    shapes: Sequence[Any],
    columns: Mapping[str, Sequence[Any]],
    crs: str | None,
    to_crs: str | None = None,
    **more: Any,
) -> str:
    """A vector file by its suffix; the shapes are in `crs`, the file in `to_crs` if it is given."""
    frame = geopandas.GeoDataFrame(dict(columns), geometry=list(shapes), crs=crs)
    frame = frame if to_crs is None else frame.to_crs(to_crs)
    if path.suffix in (".parquet", ".geoparquet"):
        frame.to_parquet(path, **more)
    else:
        frame.to_file(path, engine="pyogrio", driver={".gpkg": "GPKG"}.get(path.suffix, "GeoJSON"), **more)
    return str(path)
