"""Layers of a study: names, bands and types."""

from __future__ import annotations

import pytest

from cropcam.pipeline.earthengine import graphs, layers
from cropcam.pipeline.sensor import packaged
from cropcam.pipeline.study.study import load_study, parse_study
from support.graph_studies import everything, variant

pytestmark = pytest.mark.usefixtures("transport")


def test_region_count_and_confidence() -> None:
    study = everything()
    assert [layer.bands for layer in layers.layers_of(study)] == [(*study.image.layers, "1_count", "2_count"), ("cropland",)]
    for layer in ("image", "labels", "count"):
        assert "Image.clip" in graphs.algorithms(graphs.expression(graphs.graph(study, layer)))
    assert "reduce.count" in graphs.algorithms(graphs.expression(graphs.graph(study, "count")))
    assert "Image.gte" in graphs.algorithms(graphs.expression(graphs.graph(study, "labels")))


def test_a_study_has_image_and_labels_and_counts_where_it_asks_for_them() -> None:
    found = layers.layers_of(load_study("corn-belt-2016"))
    assert [(layer.name, layer.bands, layer.dtype) for layer in found] == [
        ("image", tuple(f"SR_B{n}" for n in range(1, 8)), "uint16"),
        ("labels", ("cropland",), "uint8"),
    ]
    assert [layer.bytes_per_px for layer in found] == [14, 1]
    assert [layer.bands for layer in layers.layers_of(variant(image={"count": True}))] == [
        (*load_study("demo").image.bands, "count"),
        ("cropland",),
    ]
    assert layers.count_bands(variant(image={"count": True})) == ("count",)


def test_counts_are_a_layer_of_their_own_where_the_image_cannot_hold_them() -> None:
    sensor = packaged("landsat").model_dump(mode="json", exclude_defaults=True)
    for image in ({"sensor": {**sensor, "dtype": "uint8"}}, {"derived": {"count": "SR_B5 / SR_B4"}}):
        study = variant(image={"count": True, **image})
        assert [layer.name for layer in layers.layers_of(study)] == ["image", "labels", "count"]
        assert layers.layers_of(study)[2] == layers.Layer("count", ("count",), "uint16")
        assert "reduce.count" not in graphs.algorithms(graphs.expression(graphs.graph(study, "image")))


def test_labels_have_the_type_and_the_fill_of_their_legend_and_may_be_absent() -> None:
    cover = variant(labels={"legend": "worldcereal"}, classes={"crop": [100]})
    assert layers.layers_of(cover)[1] == layers.Layer("labels", ("label",), "uint8", 255)
    wide = variant(labels={"legend": {"1": "a", "300": "b"}}, classes={"b": ["b"]})
    assert layers.layers_of(wide)[1] == layers.Layer("labels", ("label",), "uint16", 0)
    assert layers.layer_band(variant(labels={"band": "cropland"})) == "cropland"
    assert layers.layer_band(variant(labels={"band": 2})) == "label"
    values = load_study("demo").to_dict()
    del values["labels"]
    assert [layer.name for layer in layers.layers_of(parse_study(values))] == ["image"]
