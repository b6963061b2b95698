"""The gallery: choice of patches, composites, pictures."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.image import imread

from cropcam.model.report.gallery import choose, class_picture, gallery
from cropcam.model.report.runs import read_evaluation
from cropcam.model.runs.checkpoint import load_network
from cropcam.model.segmentation.methods import Segmenter, unfitted
from cropcam.pipeline.store.patch_store import open_store
from support.stores import make_study


def test_the_gallery_takes_best_median_and_worst_once_each() -> None:
    table = pd.DataFrame({"patch": range(21), "pixel_accuracy": [*np.linspace(1, 0, 20), np.nan]})
    assert choose(table) == {"best": [0, 1, 2], "median": [8, 9, 10], "worst": [17, 18, 19]}
    for count in range(1, 10):
        rows = [row for group in choose(table[:count]).values() for row in group]
        assert sorted(rows) == list(range(count))


def test_classes_have_their_colours_and_no_label_is_grey() -> None:
    legend = make_study().legend
    assert class_picture(np.array([[1, 255]], np.uint8), legend).tolist() == [[list(legend.classes[1].color), [232, 234, 231]]]


def test_every_patch_has_its_images_truth_methods_and_maps(evaluated: Path) -> None:
    network, config = load_network(evaluated, torch.device("cpu"))
    store = open_store(config.store.path)
    legend = store.info.classes
    _, table = read_evaluation(evaluated)
    methods = unfitted(network.dense.bias.tolist())
    segmenter = Segmenter(methods | {"again": replace(methods["cam-argmax"], name="again")}, "score-argmax")
    found = gallery(network, config, store, table, segmenter)
    patches = [patch for group in found.groups.values() for patch in group]
    assert sorted(patch.row["patch"] for patch in patches) == sorted(table["patch"])
    titles = ["true colour", "false colour", "truth", "score-argmax", "cam-argmax", *legend.names]
    for patch in patches:
        assert [tile.title for tile in patch.tiles] == titles
        assert [tile.title for tile in patch.tiles if tile.is_default] == ["score-argmax"]
        assert [tile.title for tile in patch.methods] == ["again"]
        row, col = int(patch.row["row"]), int(patch.row["col"])
        west, north, side = store.info.transform[2], store.info.transform[5], 12 * store.info.transform[0]
        assert patch.place == f"{north - side * (row + 0.5):.4f}\u00b0\u00a0N, {side * -(col + 0.5) - west:.4f}\u00b0\u00a0W"
        truth = imread(io.BytesIO(base64.b64decode(patch.tiles[2].picture.partition(",")[2])))[..., :3]
        (label,) = store.labels(np.array([int(patch.row["patch"])]))
        np.testing.assert_array_equal(np.rint(truth * 255), class_picture(legend.index(label), legend))
