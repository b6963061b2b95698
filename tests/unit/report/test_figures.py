"""Plots and rasters of the report: well formed, reproducible, with words."""

from __future__ import annotations

import base64
import io
import re
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.image import imread

from cropcam.model.report.figures import Mark, accuracies, curve, diverging, gradient, places, png, reliability, seasons_curve, whiskers

HISTORY = pd.DataFrame(
    {
        "epoch": [1, 2, 3],
        "train_loss": [0.9, 0.5, 0.3],
        "validation_loss": [0.8, 0.4, 0.6],
        "train_accuracy": [0.5, 0.6, 0.7],
        "validation_accuracy": [0.5, 0.7, 0.6],
    }
)


def words(svg: str) -> tuple[str, str]:
    """Label and text of a plot, which must be well-formed XML."""
    root = ElementTree.fromstring(str(svg))  # noqa: S314 - our own drawing
    return root.attrib["aria-label"], " ".join(root.itertext())


def test_a_curve_marks_the_selected_epoch_and_the_majority_guess() -> None:
    label, text = words(curve(HISTORY, "accuracy", 2, 0.55, ("overlap", "best constant")))
    assert label == "overlap of training and validation over 3 epochs; selected epoch 2: 0.700"
    assert {"Overlap", "best constant", "selected epoch 2: 0.700", "validation"} <= set(re.split(r"\s*\n\s*", text))
    assert "best constant" not in words(curve(HISTORY, "loss", 2))[1]


def test_the_same_input_gives_the_same_bytes() -> None:
    assert curve(HISTORY, "loss", 2) == curve(HISTORY, "loss", 2)


def test_ids_of_two_plots_differ() -> None:
    ids = [set(re.findall(r'\bid="([^"]+)"', str(curve(HISTORY, name, 2)))) for name in ("loss", "accuracy")]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_plots_do_not_change_the_style_of_other_plots() -> None:
    before = dict(mpl.rcParams)
    accuracies(np.array([0.2, 0.9]), 0.5, 0.4)
    assert dict(mpl.rcParams) == before


def test_the_histogram_has_both_reference_lines_in_its_legend() -> None:
    label, text = words(accuracies(np.array([0.2, 0.9, 0.95]), 0.71, 0.4))
    assert "over 3 patches; all pixels 0.710" in label
    assert "all pixels 0.710" in text
    assert "majority guess 0.400" in text


def test_the_map_of_patches_draws_a_grid_with_gaps() -> None:
    accuracy = np.array([[0.5, np.nan], [np.nan, 1.0]])
    label, text = words(places(accuracy, np.array([[True, True], [False, True]]), 1.3))
    assert "north up" in label
    assert "pixel accuracy" in text


def test_a_reliability_curve_leaves_out_empty_bins_and_states_the_rest() -> None:
    bins = {"probability": [0.1, None, 0.9], "share": [0.2, None, 0.85], "share_ci95": [[0.1, 0.3], None, None], "pixels": [30, 0, 70]}
    label, text = words(reliability("corn", "#ffd300", {"ece": 0.0649, "reliability": bins}, "1"))
    assert label == "reliability of corn: probability and observed share 0.10 0.20, 0.90 0.85"
    assert {"corn", "ECE 0.065", "observed share", "% of px"} <= set(re.split(r"\s*\n\s*", text))
    empty = {key: [None] for key in ("probability", "share", "share_ci95")} | {"pixels": [0]}
    assert words(reliability("rice", "#000000", {"ece": None, "reliability": empty}, "2"))[0].endswith("observed share ")


def test_whiskers_leave_out_undefined_values() -> None:
    marks = [Mark(0.5, [0.4, 0.6], 0.3), Mark(None, None, None)]
    label, text = words(whiskers(["one", "two"], "Macro F1", marks))
    assert label == "Macro F1: one 0.500, two undefined"
    assert "0.500" in text
    assert "one" in text


def test_a_png_holds_the_pixels() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    head, _, data = png(rgb).partition(",")
    assert head == "data:image/png;base64"
    decoded = imread(io.BytesIO(base64.b64decode(data)))
    np.testing.assert_array_equal(np.rint(decoded[..., :3] * 255), rgb)


def test_a_gradient_goes_from_low_to_high() -> None:
    colours = [tuple(map(int, found)) for found in re.findall(r"rgb\((\d+), (\d+), (\d+)\)", gradient("gray", 3))]
    assert colours == [(0, 0, 0), (128, 128, 128), (255, 255, 255)]


def test_zero_activation_is_white_and_signs_differ() -> None:
    zero, plus, minus = diverging(np.array([[0.0, 2.0, -2.0]]), 2.0)[0].astype(int)
    assert zero.min() > 240
    assert plus[0] > plus[2]
    assert minus[2] > minus[0]
    assert diverging(np.zeros((1, 1)), 0.0).min() > 240


def test_the_curve_of_seasons_states_each_accuracy_and_draws_no_undefined_one() -> None:
    entries = [
        {"seasons": 1, "season": "2016-04-01/2016-06-01", "pixel_accuracy": None, "pixel_accuracy_ci95": None, "pixels": 0},
        {"seasons": 2, "season": "2016-06-01/2016-08-01", "pixel_accuracy": 0.71, "pixel_accuracy_ci95": [0.6, 0.8], "pixels": 9},
        {"seasons": 3, "season": "2016-08-01/2016-10-15", "pixel_accuracy": 0.85, "pixel_accuracy_ci95": None, "pixels": 9},
    ]
    label, text = words(seasons_curve(entries, 0.4))
    assert label == "pixel accuracy by how many of 3 seasons are seen: 0.710 with 2, 0.850 with 3"
    assert {"0.710", "0.850", "2016-06-01", "2016-10-15", "majority guess 0.400"} <= set(re.split(r"\s*\n\s*", text))


def test_a_name_is_no_formula_and_may_have_any_letters() -> None:
    svg = places(np.array([[0.5]]), np.array([[True]]), 1.0, r"$\frac{a$ 田 <b>")
    assert r"$\frac{a$ 田 &lt;b&gt;" in svg
