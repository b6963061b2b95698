"""Styles for QGIS: valid XML with every class, in the elements that QGIS 3 writes."""

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.legend import Legend
from cropcam.pipeline.maps.qml import class_qml, distance_qml, probability_qml, uncertainty_qml, vector_qml

LEGEND = Legend.from_codes({"corn": [1], "soybean": [5], "<oats & 'rye\">": [28]})


def parsed(style: str) -> ElementTree.Element:
    return ElementTree.fromstring(style)  # noqa: S314 - our own text


STYLES = {
    "classes": class_qml(LEGEND),
    "probabilities": probability_qml(LEGEND),
    "uncertainty": uncertainty_qml(),
    "distance": distance_qml(),
    "polygons": vector_qml(LEGEND, "class"),
}


@pytest.mark.parametrize("name", STYLES)
def test_a_style_is_xml_of_qgis(name: str) -> None:
    text = STYLES[name]
    assert text.startswith("<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n<!-- made by cropcam -->\n<qgis ")
    root = parsed(text)
    assert root.tag == "qgis"
    assert root.get("version", "").startswith("3.")
    assert root.findtext("blendMode") == "0"
    assert (root.find("pipe/rasterrenderer") is None) == (name == "polygons")


def test_the_palette_has_every_class_and_nothing_for_nodata() -> None:
    renderer = parsed(STYLES["classes"]).find("pipe/rasterrenderer")
    assert (renderer.get("type"), renderer.get("band"), renderer.get("opacity"), renderer.get("nodataColor")) == ("paletted", "1", "1", "")
    entries = [(e.get("value"), e.get("label"), e.get("color"), e.get("alpha")) for e in renderer.findall("colorPalette/paletteEntry")]
    assert entries == [(str(i), c.name, c.color_hex, "255") for i, c in enumerate(LEGEND.classes)]
    assert parsed(STYLES["classes"]).find(".//resampling").get("zoomedOutResamplingMethod") == "nearestNeighbour"


def test_probabilities_go_from_transparent_to_the_color_of_the_first_class_after_background() -> None:
    renderer = parsed(STYLES["probabilities"]).find("pipe/rasterrenderer")
    assert (renderer.get("type"), renderer.get("band")) == ("singlebandpseudocolor", "2")
    assert (renderer.get("classificationMin"), renderer.get("classificationMax")) == ("0", "1")
    shader = renderer.find("rastershader/colorrampshader")
    assert (shader.get("colorRampType"), shader.get("minimumValue"), shader.get("maximumValue")) == ("INTERPOLATED", "0", "1")
    items = [(item.get("value"), item.get("color"), item.get("alpha"), item.get("label")) for item in shader.findall("item")]
    assert items == [("0", "#ffffff", "0", "corn: 0"), ("1", LEGEND.classes[1].color_hex, "255", "1")]
    red, green, blue = LEGEND.classes[1].color
    assert shader.find("colorramp/Option/Option[@name='color2']").get("value") == f"{red},{green},{blue},255"


def test_a_legend_of_background_alone_has_a_band() -> None:
    assert parsed(probability_qml(Legend.of_names(["all"]))).find("pipe/rasterrenderer").get("band") == "1"


def test_uncertainty_is_a_ramp_over_0_to_1() -> None:
    shader = parsed(STYLES["uncertainty"]).find("pipe/rasterrenderer/rastershader/colorrampshader")
    values = [float(item.get("value")) for item in shader.findall("item")]
    assert values == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert shader.find("colorramp/Option/Option[@name='stops']").get("value") == "0.25;59,82,139,255:0.5;33,145,140,255:0.75;94,201,98,255"


def test_a_distance_of_1_lies_in_the_middle_of_its_ramp() -> None:
    renderer = parsed(STYLES["distance"]).find("pipe/rasterrenderer")
    assert renderer.get("classificationMax") == "2"
    items = [(float(item.get("value")), item.get("color")) for item in renderer.findall("rastershader/colorrampshader/item")]
    assert items == [(0.0, "#2166ac"), (1.0, "#f7f7f7"), (2.0, "#b2182b")]


def test_polygons_have_a_category_and_a_symbol_for_each_class() -> None:
    root = parsed(STYLES["polygons"])
    renderer = root.find("renderer-v2")
    assert (renderer.get("type"), renderer.get("attr")) == ("categorizedSymbol", "class")
    categories = renderer.findall("categories/category")
    assert [each.get("value") for each in categories] == [each.get("label") for each in categories] == list(LEGEND.names)
    symbols = {each.get("name"): each for each in renderer.findall("symbols/symbol")}
    for category, land_class in zip(categories, LEGEND.classes, strict=True):
        symbol = symbols[category.get("symbol")]
        fill = symbol.find("layer[@class='SimpleFill']/Option/Option[@name='color']").get("value")
        assert symbol.get("type") == "fill"
        assert fill == ",".join(map(str, (*land_class.color, 255)))
    assert root.findtext("layerGeometryType") == "2"  # QGIS refuses a style of another geometry, and takes none for points


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"), min_size=1, max_size=9),
        min_size=1,
        max_size=5,
        unique=True,
    )
)
def test_names_of_any_letters_come_back_from_the_xml(names: list[str]) -> None:
    legend = Legend.of_names(names)
    entries = parsed(class_qml(legend)).findall(".//paletteEntry")
    assert [entry.get("label") for entry in entries] == names
    assert [each.get("value") for each in parsed(vector_qml(legend, "crop")).findall(".//category")] == names
