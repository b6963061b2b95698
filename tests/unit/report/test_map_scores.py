"""The output of a map against points: every class, aligned, with its figures."""

from __future__ import annotations

from typing import Any

import pytest

from cropcam.model.report.map_scores import map_classes, map_confusion, map_headline
from support.evaluations import with_ci


@pytest.fixture
def scores() -> dict[str, Any]:
    undefined = dict.fromkeys([name + end for name in ("precision", "accuracy", "f1") for end in ("", "_ci95")])
    return {
        "map": {"path": "map.tif"},
        "points": {"read": 1210, "used": 1200, "per_class": {"background": 1200, "corn": 0}},
        **with_ci(pixel_accuracy=0.8, macro_f1=0.7, mean_iou=0.6, majority_accuracy=0.5),
        "majority": {"class": "background"},
        "per_class": {"background": with_ci(precision=0.9, accuracy=0.8, f1=0.85), "corn": undefined},
        "confusion": [[960, 240], [0, 0]],
        "intervals": {"blocks": 31, "cell_km": 10.0},
    }


def test_two_lines_say_what_was_scored_and_how_well(scores: dict[str, Any]) -> None:
    assert map_headline(scores).splitlines() == [
        "map.tif: 1,200 of 1,210 points in 31 cells of 10 km",
        "accuracy 0.8000 [0.7500, 0.8500]  majority guess 0.5000 (all background)  macro F1 0.7000 [0.6500, 0.7500]  "
        "mean IoU 0.6000 [0.5500, 0.6500]",
    ]
    scores["points"]["read"] = 1200
    assert map_headline(scores).startswith("map.tif: 1,200 points in")


def test_each_class_has_users_and_producers_accuracy(scores: dict[str, Any]) -> None:
    header, background, corn = map_classes(scores).splitlines()
    assert " ".join(background.split()) == "background 1,200 0.9000 [0.8500, 0.9500] 0.8000 [0.7500, 0.8500] 0.8500 [0.8000, 0.9000]"
    assert corn.split() == ["corn", "0", "undefined", "undefined", "undefined"]
    assert background.index("0.8000 [0.75") == header.index("producer's")


def test_the_confusion_matrix_has_rows_of_points(scores: dict[str, Any]) -> None:
    assert [line.split() for line in map_confusion(scores).splitlines()] == [
        ["points", "\\", "map", "background", "corn"],
        ["background", "960", "240"],
        ["corn", "0", "0"],
    ]
