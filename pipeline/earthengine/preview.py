"""A preview page before an export: region, export cells, composite and labels on a geemap map.

A browser that opens the page asks for tiles: the layers' from the endpoint, and a background map that may be missing. Where the
endpoint ends with the command, the layers are pictures inside the page, which then asks for nothing.

Source: Earth Engine REST reference, "projects.maps".
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import ee

from cropcam.pipeline.colours import BRIGHTER
from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.earthengine.graphs import graph
from cropcam.pipeline.earthengine.kept import Pixels
from cropcam.pipeline.earthengine.plan import CELL_PX, cells
from cropcam.pipeline.earthengine.preflight import check_inputs
from cropcam.pipeline.earthengine.preview_page import draw, finished
from cropcam.pipeline.earthengine.preview_pictures import picture, tile_range
from cropcam.pipeline.earthengine.region import bounds_lonlat
from cropcam.pipeline.earthengine.scenes import whole_number
from cropcam.pipeline.earthengine.session import Session
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.legend import UNLABELLED
from cropcam.pipeline.runtime.atomic import atomic_path
from cropcam.pipeline.runtime.outputs import Output, check_outputs, is_page
from cropcam.pipeline.runtime.progress import Progress, silent
from cropcam.pipeline.study.study import Study

TRUE_COLOUR = (("SR_B4", "SR_B3", "SR_B2"), ("red", "green", "blue"))
STRETCH, STRETCH_OF_VECTORS = (0.00625, 0.25375), (-0.3, 0.3)  # reflectance; axes of vectors of length 1
_EDGE_POINTS = 21
LABELS = "labels"  # name of their layer


def preview(
    study: Study,
    session: Session,
    out: Path,
    *,
    cell_px: int = CELL_PX,
    pixels: Pixels | None = None,
    inside: bool = False,
    progress: Progress = silent,
) -> Path:
    """Write the page `out` (.html): the service computes tiles when a browser requests them.

    Args:
        study: the study.
        session: an open session; its endpoint serves the tiles.
        out: where to write the page.
        cell_px: side of the export cells to draw.
        pixels: where the pixels of a layer come from; by default its graph.
        inside: the layers are pictures in the page: for an endpoint that ends with the command.
        progress: called with (steps done, steps in all, note).

    Raises:
        EarthEngineError: the service lacks the inputs or refuses.
        ConfigError: `out` does not end in .html.
        DataError: another file is there.
    """
    check_page(out)
    check_inputs(study, session)
    progress(1, 4, "inputs")
    layers = [
        (name, session.tile_url(image, visualisation, f"map of the {name}"))
        for name, image, visualisation in _views(study, (pixels or partial(graph, study))("image", None))
    ]
    progress(2, 4, "layers")
    tiles = tile_range(bounds_lonlat(study.grid), study.area.scale_m) if inside else None
    sources = [(name, picture(url, tiles, name, exact=name == LABELS) if tiles else url) for name, url in layers]
    page = draw(study, sources, cells_geojson(study, cell_px))
    progress(3, 4, "map")
    with atomic_path(out) as temp_path:
        page.to_html(str(temp_path))
        temp_path.write_text(finished(temp_path.read_text("utf-8"), study.name), "utf-8")
    progress(4, 4, out.name)
    return out


def check_page(out: Path) -> None:
    """Refuse, before any request, what is no place for a page.

    Raises:
        ConfigError: it does not end in .html.
        DataError: another file is there.
    """
    check_outputs([Output(out, "--out", "page", is_page)])


def cells_geojson(study: Study, cell_px: int) -> dict[str, Any]:
    """The export cells as GeoJSON polygons in degrees, edges densified: straight lines of the grid, not of the map."""
    features = []
    for number, cell in cells(study, cell_px)[0]:
        properties = {"cell": number, "rows": f"{cell.row}..{cell.row + cell.height}", "columns": f"{cell.col}..{cell.col + cell.width}"}
        features.append(
            {"type": "Feature", "properties": properties, "geometry": {"type": "Polygon", "coordinates": [_ring(study.grid.window(cell))]}}
        )
    return {"type": "FeatureCollection", "features": features}


def labels_view(study: Study) -> tuple[ee.Image, dict[str, Any]]:
    """The label image as class numbers with the study's colours, and how to draw it."""
    legend = study.legend
    lookup = legend.lookup()
    codes = [code for code in (item.code for item in legend.table.codes) if lookup[code] != UNLABELLED]
    codes = sorted({*codes, *(code for land_class in legend.classes for code in land_class.codes)})
    image: ee.Image = graph(study, "labels").select([0])  # not the weight
    drawn = image.updateMask(image.eq(legend.table.fill).eq(0)).remap(codes, lookup[codes].tolist(), 0)
    return drawn, {
        "min": "0",
        "max": str(len(legend) - 1),
        "format": "png",  # else tiles without a hole are JPEG, whose colours run
        "palette": ",".join(land_class.color_hex.removeprefix("#") for land_class in legend.classes),
    }


def _views(study: Study, composite: ee.Image) -> list[tuple[str, ee.Image, dict[str, Any]]]:
    """Name, image and visualisation of each layer: one composite per season, then the labels if there are any."""
    image, encoding = study.image, study.image.encoding
    bands = next((names for names in TRUE_COLOUR if set(names) <= set(image.bands)), (image.bands * 3)[:3])
    scale, offset = encoding.scale[0], encoding.offset[0]
    is_vector = image.table.unit_length
    low, high = (round((value - offset) / scale, 6) for value in (STRETCH_OF_VECTORS if is_vector else STRETCH))
    views = []
    for number, (start, end) in enumerate(study.image.seasons, 1):
        names = [f"{number}_{band}" if len(study.image.seasons) > 1 else band for band in bands]
        shown = composite.select(names)
        visualisation = {
            "bands": ",".join(names),
            "min": f"{low:g}",
            "max": f"{high:g}",
            **({} if is_vector else {"gamma": f"{BRIGHTER:g}"}),
        }
        views.append((f"composite {start} to {end}", shown.updateMask(shown.eq(whole_number(encoding.fill)).eq(0)), visualisation))
    return [*views, (LABELS, *labels_view(study))] if study.labels else views


def _ring(grid: PixelGrid) -> list[list[float]]:
    """The outline of a grid in degrees, closed, `_EDGE_POINTS` to a side."""
    west, south, east, north = grid.bounds_xyxy
    steps = [step / (_EDGE_POINTS - 1) for step in range(_EDGE_POINTS)]
    top = [(west + (east - west) * step, north) for step in steps]
    right = [(east, north + (south - north) * step) for step in steps]
    bottom = [(east + (west - east) * step, south) for step in steps]
    left = [(west, south + (north - south) * step) for step in steps]
    points = [*top, *right, *bottom, *left]
    x, y = transform_points(grid.crs, "EPSG:4326", [point[0] for point in points], [point[1] for point in points])
    return [[round(float(lon), 7), round(float(lat), 7)] for lon, lat in zip(x, y, strict=True)]
