"""What each file of a map says about itself."""

from __future__ import annotations

import json

import pytest

from cropcam.pipeline.legend import Legend
from cropcam.pipeline.maps.map_layers import class_layer, layers_of
from cropcam.pipeline.maps.window_job import ACTIVATION, CLASSES, ENTROPY, LAYER, PROBABILITY
from support.maps import TAGS
from support.memory_source import LEGEND

BANDS = {CLASSES: (1,), PROBABILITY: (2, 3, 4, 5, 6), ENTROPY: (7,), ACTIVATION: (8, 9, 10, 11, 12)}


def test_the_class_layer_has_the_colours_of_the_legend() -> None:
    layer = class_layer(LEGEND, TAGS)
    assert layer.colors == {index: (*entry.color, 255) for index, entry in enumerate(LEGEND.classes)} | {255: (0, 0, 0, 0)}
    assert (layer.bands, layer.descriptions, layer.is_numbers, layer.scale) == ((1,), ("class",), False, 1.0)
    assert TAGS.items() <= layer.tags.items()
    assert json.loads(layer.tags["classes"]) == {str(index): name for index, name in enumerate(LEGEND.names)}
    values = json.loads(layer.tags["legend"])
    assert Legend.from_attrs(values["classes"], values["table"]) == LEGEND


def test_every_layer() -> None:
    layers = layers_of(LEGEND, TAGS, BANDS, "distance")
    assert layers.keys() == {*BANDS, LAYER}
    for name, layer in layers.items():
        assert TAGS.items() <= layer.tags.items()
        assert layer.bands == BANDS.get(name, (1,))
        assert len(layer.descriptions) == len(layer.bands)
    for name in (PROBABILITY, ENTROPY, ACTIVATION):
        assert layers[name].scale == pytest.approx(0.004)
        assert layers[name].colors is None
    for name in (PROBABILITY, ACTIVATION):
        assert layers[name].descriptions == LEGEND.names
        assert json.loads(layers[name].tags["classes"])["1"] == "corn"
    assert layers[LAYER].is_numbers
    assert layers[LAYER].descriptions == ("distance",)
    assert len({layer.tags.get("layer") for layer in layers.values()}) == 5


def test_layers_that_were_not_made_are_left_out() -> None:
    assert layers_of(LEGEND, TAGS, {CLASSES: (1,), ENTROPY: (2,)}, "distance").keys() == {CLASSES, ENTROPY, LAYER}
