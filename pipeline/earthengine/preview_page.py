"""The page of the preview: geemap draws the map, a panel of our own has scale, opacity and legend.

geemap is imported only here and only for a page: it takes seconds and two hundred megabytes. The page is written without reaching
outside and carries its own Leaflet.

Source: geemap documentation, "foliumap".
"""

from __future__ import annotations

import base64
import json
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from xstatic.pkg import leaflet  # type: ignore[import-untyped]

from cropcam.pipeline.code_table import DEFAULT
from cropcam.pipeline.earthengine.preview_pictures import Picture
from cropcam.pipeline.earthengine.region import bounds_lonlat, polygons
from cropcam.pipeline.runtime.outputs import PAGE_MARK
from cropcam.pipeline.study.study import Study


def draw(study: Study, layers: Sequence[tuple[str, str | Picture]], cells: Mapping[str, Any]) -> Any:  # noqa: ANN401 - geemap's
    """A geemap map of layers, region and cells.

    Args:
        study: the study.
        layers: name, and the address of tiles or a picture; with pictures the page asks for nothing, not for a background map either.
        cells: the export cells as GeoJSON.
    """
    geemap = _geemap()
    west, south, east, north = bounds_lonlat(study.grid)
    without: dict[str, Any] = {"ee_initialize": False, "plugin_Draw": False, "plugin_Fullscreen": False, "search_control": False}
    if any(isinstance(source, Picture) for _, source in layers):
        without |= {"tiles": None, "basemap": ""}
    page = geemap.Map(center=[(south + north) / 2, (west + east) / 2], zoom=8, height="100%", **without)
    page.default_js, page.default_css = _leaflet("leaflet.js", "text/javascript"), _leaflet("leaflet.css", "text/css")
    shown = []
    for name, source in layers:
        if isinstance(source, Picture):
            left, bottom, right, top = source.bounds
            layer = geemap.folium.raster_layers.ImageOverlay(
                source.address,
                [[bottom, left], [top, right]],
                name=name,
                attribution=_attribution(study, "embedded engine"),
                mercator_project=False,
            )
            page.add_child(layer)
        else:
            page.add_tile_layer(source, name=name, attribution=_attribution(study, "Google Earth Engine"))
            layer = list(page._children.values())[-1]
        shown.append({"name": name, "variable": layer.get_name()})
    outline = {"color": "#1c635c", "weight": 2, "fillOpacity": 0.0}
    page.add_geojson(dict(cells), layer_name="export cells", info_mode="on_hover", style=outline)
    if study.area.region:
        region = {"type": "Feature", "properties": {}, "geometry": {"type": "MultiPolygon", "coordinates": polygons(study.area.region)}}
        page.add_geojson(
            {"type": "FeatureCollection", "features": [region]}, layer_name="region", info_mode=None, style={**outline, "color": "#b3261e"}
        )
    page.fit_bounds([[south, west], [north, east]])
    classes = [{"name": item.name, "color": item.color_hex} for item in study.legend.classes] if study.labels else []
    about = {"map": page.get_name(), "title": study.name, "layers": shown, "classes": classes}
    root, element = page.get_root(), geemap.folium.Element
    root.header.add_child(element(f"<style>{_file('panel.css')}</style>"))
    root.script.add_child(element(f"const PREVIEW = {json.dumps(about)};\n{_file('panel.js')}"))
    return page


def finished(html: str, title: str) -> str:
    """The page's text with a title, its language, our mark, and letters that a reader may enlarge."""
    html = re.sub(r'<meta name="viewport"[^>]*>', '<meta name="viewport" content="width=device-width, initial-scale=1">', html, count=1)
    return re.sub(r"<html[^>]*>\s*<head>", f'<html lang="en"><head>\n<title>{title} · cropcam</title>\n{PAGE_MARK}', html, count=1)


def _file(name: str) -> str:
    return resources.files("cropcam.pipeline.earthengine").joinpath("page", name).read_text("utf-8")


def _attribution(study: Study, engine: str) -> str:
    labels = [] if study.labels is None else ["USDA NASS" if study.labels.legend == DEFAULT else study.labels.asset]
    sensor = "USGS Landsat" if study.image.collections[0].startswith("LANDSAT/") else study.image.table.title
    return "; ".join([engine, sensor, *labels])


def _leaflet(name: str, mime_type: str) -> list[tuple[str, str]]:
    """Leaflet's file inside the page, which then requests only tiles from the network. The map needs none of folium's other scripts."""
    folder = Path(leaflet.BASE_DIR)
    text = (folder / name).read_text("utf-8")
    for image in re.findall(r"url\(images/([\w-]+\.png)\)", text):
        text = text.replace(f"url(images/{image})", f"url({_data_url((folder / 'images' / image).read_bytes(), 'image/png')})")
    return [(name, _data_url(text.encode(), mime_type))]


def _data_url(content: bytes, mime_type: str) -> str:
    return f"data:{mime_type};base64,{base64.b64encode(content).decode()}"


def _geemap() -> Any:  # noqa: ANN401 - a module
    """The folium maps of geemap, which need no notebook."""
    before = os.environ.get("USE_FOLIUM")
    os.environ["USE_FOLIUM"] = "1"  # read at import: without it geemap loads its notebook widgets first, and stumbles
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import geemap.foliumap  # type: ignore[import-untyped]  # noqa: PLC0415 - seconds, megabytes
    finally:
        if before is None:
            del os.environ["USE_FOLIUM"]
    return geemap.foliumap
