"""Styles for QGIS: a `.qml` beside each raster, and the text of one for a layer of polygons.

QGIS loads STEM.qml of its own accord when it opens STEM.tif. A style replaces everything that QGIS would take from the file, so each has
the whole legend. Values of layers with a scale are physical, as QGIS reads them. Elements as QGIS 3 writes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from cropcam.pipeline.code_table import Color, hex_color
from cropcam.pipeline.legend import Legend

VERSION = "3.34.0"  # of QGIS, whose elements these are
MARK = "<!-- made by cropcam -->"  # QGIS leaves it out when it saves a style: that one is the user's, and never replaced
POLYGON = "2"  # QGIS: layerGeometryType; a style without it is refused as one of points
_WHITE, _OUTLINE = (255, 255, 255), "60,60,60,255"
# viridis at 0, .25, .5, .75 and 1: equal steps look equal, in grey too
_UNCERTAINTY: tuple[Color, ...] = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))

_DISTANCE: tuple[Color, ...] = ((33, 102, 172), (247, 247, 247), (178, 24, 43))


def class_qml(legend: Legend) -> str:
    """The style of a class map: each class with its index, colour and name; nodata is transparent."""
    root, renderer = _raster("paletted", 1)
    palette = SubElement(renderer, "colorPalette")
    for index, each in enumerate(legend.classes):
        SubElement(palette, "paletteEntry", value=str(index), color=each.color_hex, label=each.name, alpha="255")
    return _text(root)


def probability_qml(legend: Legend) -> str:
    """The style of class probabilities, a band a class: the band of the first class after background, from transparent to the class's colour."""
    index = min(1, len(legend) - 1)
    chosen = legend.classes[index]
    return _ramp([_WHITE, chosen.color], band=index + 1, alphas=(0, 255), first=f"{chosen.name}: ")


def uncertainty_qml() -> str:
    """The style of an uncertainty layer, one band from 0 (one class is sure) to 1 (all are equally probable)."""
    return _ramp(_UNCERTAINTY, band=1)


def distance_qml() -> str:
    """The style of a layer of feature distances (`cropcam map --shift`): blue is like the training data, red beyond 1 is not."""
    return _ramp(_DISTANCE, band=1, high=2.0)


def vector_qml(legend: Legend, attribute: str) -> str:
    """The style of polygons whose column `attribute` holds class names: filled with the class's colour, in the order of the legend."""
    root = _root()
    renderer = SubElement(
        root,
        "renderer-v2",
        type="categorizedSymbol",
        attr=attribute,
        forceraster="0",
        symbollevels="0",
        enableorderby="0",
        referencescale="-1",
    )
    categories, symbols = SubElement(renderer, "categories"), SubElement(renderer, "symbols")
    for index, each in enumerate(legend.classes):
        SubElement(categories, "category", value=each.name, label=each.name, symbol=str(index), type="string", render="true")
        symbol = SubElement(symbols, "symbol", name=str(index), type="fill", alpha="1", force_rhr="0", clip_to_extent="1")
        layer = SubElement(symbol, "layer", {"class": "SimpleFill", "enabled": "1", "locked": "0", "pass": "0"})
        line = {"outline_color": _OUTLINE, "outline_style": "solid", "outline_width": "0.1", "outline_width_unit": "MM"}
        _options(layer, {"color": _rgba(each.color), "joinstyle": "bevel", **line, "style": "solid"})
    SubElement(root, "blendMode").text = "0"
    SubElement(root, "featureBlendMode").text = "0"
    SubElement(root, "layerOpacity").text = "1"
    SubElement(root, "layerGeometryType").text = POLYGON
    return _text(root)


def _ramp(colors: Sequence[Color], band: int, *, high: float = 1.0, alphas: Sequence[int] = (), first: str = "") -> str:
    """A continuous ramp of colours at equal steps from 0 to `high`; `first` stands before the label of the lowest value."""
    root, renderer = _raster("singlebandpseudocolor", band, {"classificationMin": "0", "classificationMax": f"{high:g}"})
    shader = SubElement(
        SubElement(renderer, "rastershader"),
        "colorrampshader",
        colorRampType="INTERPOLATED",
        classificationMode="1",
        clip="0",
        minimumValue="0",
        maximumValue=f"{high:g}",
        labelPrecision="2",
    )
    share_S = [index / (len(colors) - 1) for index in range(len(colors))]
    rgba_S = [_rgba(color, alpha) for color, alpha in zip(colors, alphas or [255] * len(colors), strict=True)]
    ramp = SubElement(shader, "colorramp", name="[source]", type="gradient")
    stops = [f"{share:g};{rgba}" for share, rgba in zip(share_S, rgba_S, strict=True)][1:-1]
    _options(ramp, {"color1": rgba_S[0], "color2": rgba_S[-1], "discrete": "0", "rampType": "gradient", "stops": ":".join(stops)})
    for index, (share, color) in enumerate(zip(share_S, colors, strict=True)):
        label = f"{'' if index else first}{share * high:g}"
        alpha = str(alphas[index]) if alphas else "255"
        SubElement(shader, "item", value=f"{share * high:g}", color=hex_color(color), alpha=alpha, label=label)
    return _text(root)


def _raster(kind: str, band: int, more: Mapping[str, str] = MappingProxyType({})) -> tuple[Element, Element]:
    """The root of a raster's style, and its renderer."""
    root = _root()
    pipe = SubElement(root, "pipe")
    nearest = "nearestNeighbour"
    SubElement(
        SubElement(pipe, "provider"),
        "resampling",
        enabled="false",
        maxOversampling="2",
        zoomedInResamplingMethod=nearest,
        zoomedOutResamplingMethod=nearest,
    )
    values = {"type": kind, "band": str(band), "opacity": "1", "alphaBand": "-1", "nodataColor": "", **more}
    renderer = SubElement(pipe, "rasterrenderer", values)
    SubElement(renderer, "rasterTransparency")
    origin = SubElement(renderer, "minMaxOrigin")
    for name, text in (("limits", "None"), ("extent", "WholeRaster"), ("statAccuracy", "Estimated")):
        SubElement(origin, name).text = text
    SubElement(pipe, "brightnesscontrast", brightness="0", contrast="0", gamma="1")
    SubElement(pipe, "huesaturation", saturation="0", grayscaleMode="0", colorizeOn="0", colorizeStrength="100")
    SubElement(pipe, "rasterresampler", maxOversampling="2")
    SubElement(pipe, "resamplingStage").text = "resamplingFilter"
    SubElement(root, "blendMode").text = "0"
    return root, renderer


def _root() -> Element:
    return Element(
        "qgis", version=VERSION, styleCategories="Symbology|Rendering", hasScaleBasedVisibilityFlag="0", minScale="1e+08", maxScale="0"
    )


def _options(parent: Element, values: Mapping[str, str]) -> None:
    options = SubElement(parent, "Option", type="Map")
    for name, value in values.items():
        SubElement(options, "Option", name=name, type="QString", value=value)


def _rgba(color: Color, alpha: int = 255) -> str:
    return ",".join(map(str, (*color, alpha)))


def _text(root: Element) -> str:
    indent(root)
    return f"<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n{MARK}\n{tostring(root, encoding='unicode')}\n"
