"""The layers of a map: names, colours, tags of each of its files."""

from __future__ import annotations

import json
from collections.abc import Mapping

from cropcam.pipeline.legend import Legend
from cropcam.pipeline.maps.quantised import STEPS
from cropcam.pipeline.maps.window_files import Layer
from cropcam.pipeline.maps.window_job import ACTIVATION, CLASSES, ENTROPY, LAYER, PROBABILITY
from cropcam.pipeline.maps.windows import NODATA_CLASS

Tags = Mapping[str, str]
Bands = Mapping[str, tuple[int, ...]]


def class_layer(legend: Legend, tags: Tags, bands: tuple[int, ...] = (1,)) -> Layer:
    """Class indices with the legend's colours; `cropcam.pipeline.maps.class_map` reads its tags `classes` and `legend`."""
    colors = {index: (*entry.color, 255) for index, entry in enumerate(legend.classes)} | {NODATA_CLASS: (0, 0, 0, 0)}
    codes = {"classes": legend.attrs(), "table": legend.table_attrs()}
    own = {"classes": json.dumps(dict(enumerate(legend.names))), "legend": json.dumps(codes)}
    return Layer(bands, ("class",), {**own, **tags}, colors=colors)


def layers_of(legend: Legend, tags: Tags, bands: Bands, numbers: str) -> dict[str, Layer]:
    """Every layer that a map's windows may hold, by name; `numbers` describes the layer of numbers."""
    per_class, scale = {"classes": json.dumps(dict(enumerate(legend.names)))}, 1 / STEPS
    about = {
        PROBABILITY: (legend.names, {**per_class, **tags, "layer": "probability of each class"}),
        ENTROPY: (("entropy / log(classes)",), {**tags, "layer": "entropy of the class probabilities"}),
        ACTIVATION: (legend.names, {**per_class, **tags, "layer": "sigmoid of each activation map"}),
    }
    found = {name: Layer(bands[name], *entry, scale=scale) for name, entry in about.items() if name in bands}
    numbered = Layer((1,), (numbers,), {**tags, "layer": numbers}, is_numbers=True)
    return {CLASSES: class_layer(legend, tags, bands[CLASSES]), **found, LAYER: numbered}
