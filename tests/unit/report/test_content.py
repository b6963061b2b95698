"""The report's sentences."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from cropcam.model.options import KINDS, LabelOptions
from cropcam.model.report.content import cautions, has_class, headlines, interval_note, trained_on
from support.evaluations import make_metrics

NONE = pd.DataFrame()


def test_metrics_above_their_trivial_values_need_no_caution() -> None:
    assert cautions(make_metrics(), NONE) == []


def test_headlines_have_the_metrics_and_their_trivial_values() -> None:
    found = {item.title: (item.value, item.trivial, item.trivial_name) for item in headlines(make_metrics())}
    assert found == {
        "Accuracy of patch labels": (0.9, 0.6, "majority guess"),
        "Patches with all labels correct": (0.8, 0.3, "majority guess"),
        "Mean AUC of patch labels": (0.85, 0.5, "chance"),
        "Pixel accuracy": (0.8, 0.55, "all background"),
        "Mean class accuracy": (0.7, 0.5, "all background"),
        "Macro F1 of pixels": (0.75, 0.35, "all background"),
        "Mean IoU of pixels": (0.6, 0.3, "all background"),
        "Mean AUC of activation maps": (0.7, 0.5, "chance"),
    }
    assert all(item.interval == [item.value - 0.05, item.value + 0.05] for item in headlines(make_metrics()) if item.value is not None)


def changed(**parts: Any) -> list[str]:
    """The cautions when these fields of the class corn's label differ."""
    metrics = make_metrics()
    corn = metrics["classification"]["per_class"]["corn"]
    metrics["classification"]["per_class"]["corn"] = {**corn, **parts}
    return [line.replace("\u00a0", " ") for line in cautions(metrics, NONE)]


def test_a_label_of_nearly_every_patch_is_named() -> None:
    assert changed(base_rate=0.98, auc=None) == [
        "Present in nearly every patch or nearly none: corn (98.0 %). "
        "A constant prediction is almost always correct there; read the AUC, if any."
    ]


def test_an_auc_of_few_patches_is_named() -> None:
    assert changed(base_rate=0.1) == ["AUC and average precision depend on fewer than 10 patches with or without corn (4)."]


def test_a_metric_below_its_trivial_value_is_named() -> None:
    metrics = make_metrics()
    metrics["segmentation"]["mean_cam_auc"] = 0.4
    assert cautions(metrics, NONE) == ["Mean AUC of activation maps: 0.400, 0.100 below chance (0.500)."]


def test_a_class_that_is_never_predicted_is_named() -> None:
    metrics = make_metrics()
    metrics["segmentation"]["methods"]["cam-argmax"]["confusion"] = [[50, 0], [50, 0]]
    assert cautions(metrics, NONE) == ["The segmentation never predicts corn."]


def test_a_loss_that_still_falls_is_named() -> None:
    still_falling = "The lowest validation loss is that of the last epoch (3): longer training may help."
    assert cautions(make_metrics(), pd.DataFrame({"validation_loss": [0.5, 0.4, 0.3]})) == [still_falling]
    assert cautions(make_metrics(), pd.DataFrame({"validation_loss": [0.5, 0.3, 0.4]})) == []
    assert cautions(make_metrics(), pd.DataFrame({"validation_loss": [0.5]})) == []


def test_the_note_on_intervals_has_resamples_and_blocks() -> None:
    assert interval_note(make_metrics()).startswith("1,000 resamples of the split's 30 spatial blocks of 2 x 2 patches")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"labels": "presence", "presence_min_share": 0.05}, "which classes cover more than 5\u00a0% of each patch"),
        ({"labels": "presence"}, "which classes have a pixel in each patch"),
        ({"labels": "majority"}, "the most frequent class of each patch"),
        ({"labels": "shares"}, "the share of each class in each patch"),
        ({"labels": "shares", "bag_size": 8}, "the share of each class in each group of 8 patches"),
        ({"labels": "shares", "areas": "/data/counties.gpkg"}, "the area of each class in each polygon in counties.gpkg"),
        ({"labels": "shares", "fields": "rpg.gpkg"}, "the share of each class in the part of each patch that the fields in rpg.gpkg cover"),
        ({"labels": "points"}, "the class of one pixel in each patch"),
        ({"labels": "points", "points_per_patch": 5}, "the class of 5 pixels in each patch"),
        ({"labels": "points", "points": "/data/survey.csv"}, "the classes of the points in survey.csv"),
        ({"labels": "points", "fields": "rpg.gpkg"}, "the class of one pixel in each field in rpg.gpkg"),
        ({"labels": "pixels"}, "the class of every pixel"),
        ({"labels": "pixels", "fields": "rpg.gpkg"}, "the class of every pixel inside the fields in rpg.gpkg"),
    ],
)
def test_the_lead_is_true_for_every_kind_of_label(options: dict[str, Any], words: str) -> None:
    assert trained_on(LabelOptions(**options)) == words


def test_no_kind_of_label_lacks_a_lead() -> None:
    assert all(trained_on(LabelOptions(labels=kind)) for kind in KINDS)
    assert has_class(0.005) == "cover more than 0.5\u00a0% of"
