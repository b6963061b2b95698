"""The gallery: choice of patches, composites, pictures."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.image import imread

from cropcam.model.report.gallery import choose, class_picture, composites, gallery
from cropcam.model.report.runs import read_evaluation
from cropcam.model.runs.checkpoint import load_network
from cropcam.model.segmentation.methods import Segmenter, unfitted
from cropcam.pipeline.store.patch_store import open_store
from support.stores import make_study

BANDS = ("SR_B1", "SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B6", "SR_B7")


def test_the_gallery_takes_best_median_and_worst_once_each() -> None:
    table = pd.DataFrame({"patch": range(21), "pixel_accuracy": [*np.linspace(1, 0, 20), np.nan]})
    assert choose(table) == {"best": [0, 1, 2], "median": [8, 9, 10], "worst": [17, 18, 19]}
    for count in range(1, 10):
        rows = [row for group in choose(table[:count]).values() for row in group]
        assert sorted(rows) == list(range(count))


def test_bands_are_recognised_by_the_end_of_their_names() -> None:
    reflectance = np.linspace(0, 1, 2 * 21 * 9, dtype=np.float32).reshape(2, 21, 3, 3)
    seasons = [f"{season}_{band}" for season in (1, 2, 3) for band in BANDS]
    true, false = composites(seasons, reflectance)
    assert (true.names, false.names) == (("2_SR_B4", "2_SR_B3", "2_SR_B2"), ("2_SR_B5", "2_SR_B6", "2_SR_B4"))
    for composite in (true, false):
        for index, limits in zip(composite.bands, composite.limits, strict=True):
            assert limits == pytest.approx(np.percentile(reflectance[:, index], [2, 98]))
    (first,) = composites(["VV", "VH"], reflectance[:, :2])
    assert (first.title, first.bands) == ("first bands", (0, 1, 1))


def test_pictures_are_grey_without_data() -> None:
    reflectance = np.full((1, 7, 2, 2), 0.2, np.float32)
    reflectance[0, :, 0, 1], reflectance[0, 6, 1, 1] = 0.4, np.nan
    picture = composites(BANDS, reflectance)[0].picture(reflectance[0])
    assert picture[1, 1].tolist() == [232, 234, 231]
    assert picture[0, 1].tolist() == [255, 255, 255]
    assert picture[0, 0].tolist() == [0, 0, 0]
    legend = make_study().legend
    assert class_picture(np.array([[1, 255]], np.uint8), legend).tolist() == [[list(legend.classes[1].color), [232, 234, 231]]]


def test_every_patch_has_its_images_truth_methods_and_maps(evaluated: Path) -> None:
    network, config = load_network(evaluated, torch.device("cpu"))
    store = open_store(config.store.path)
    legend = store.info.classes
    _, table = read_evaluation(evaluated)
    segmenter = Segmenter(unfitted(network.dense.bias.tolist()), "score-argmax")
    found = gallery(network, config, store, table, segmenter)
    patches = [patch for group in found.groups.values() for patch in group]
    assert sorted(patch.row["patch"] for patch in patches) == sorted(table["patch"])
    titles = ["true colour", "false colour", "truth", "score-argmax", "cam-argmax", *legend.names]
    for patch in patches:
        assert [tile.title for tile in patch.tiles] == titles
        assert [tile.title for tile in patch.tiles if tile.is_default] == ["score-argmax"]
        truth = imread(io.BytesIO(base64.b64decode(patch.tiles[2].picture.partition(",")[2])))[..., :3]
        (label,) = store.labels(np.array([int(patch.row["patch"])]))
        np.testing.assert_array_equal(np.rint(truth * 255), class_picture(legend.index(label), legend))
