"""Lines of a terminal: the values of metrics.json in aligned columns."""

from __future__ import annotations

from cropcam.model.report.terminal import classes, estimate, folds, headline, methods, side_by_side
from support.evaluations import make_metrics, with_ci


def test_the_headline_has_labels_and_pixels_with_the_majority_guess() -> None:
    first, labels, pixels = headline(make_metrics()).splitlines()
    assert first == "40 patches of the test split, labels: presence above 5 % of a patch"
    assert labels == (
        "classification  accuracy 0.9000 [0.8500, 0.9500]  majority guess 0.6000  mean AUC 0.8500 [0.8000, 0.9000] "
        "over 2 classes with present and absent patches"
    )
    assert pixels == (
        "segmentation    accuracy 0.8000 [0.7500, 0.8500]  majority guess 0.5500  macro F1 0.7500 [0.7000, 0.8000]  "
        "(all background: 0.3500)  by cam-argmax"
    )


def test_probabilities_have_a_line_with_their_error_before_and_after() -> None:
    figures = with_ci(ece=0.02, classwise_ece=0.01, brier=0.25, base_rate_brier=0.7)
    part = {**figures, "before": {"ece": 0.055}, "temperature": 1.1846, "fit": "fitted to 9 labels (shares) of 9 validation patches"}
    assert headline(make_metrics(calibration=part)).splitlines()[3] == (
        "calibration     ECE 0.0200 [-0.0300, 0.0700]  (at temperature 1: 0.0550)  Brier score 0.2500 [0.2000, 0.3000]  (class shares: 0.7000)  "
        "temperature 1.1846, fitted to 9 labels (shares) of 9 validation patches"
    )


def test_an_auc_of_no_class_is_undefined() -> None:
    metrics = make_metrics()
    for entry in metrics["classification"]["per_class"].values():
        entry["auc"] = None
    assert "mean AUC undefined: no class has present and absent patches" in headline(metrics)


def test_methods_mark_the_default() -> None:
    metrics = make_metrics()
    metrics["segmentation"]["methods"]["other"] = with_ci(pixel_accuracy=0.9, macro_f1=None)
    header, default, other = methods(metrics["segmentation"]).splitlines()
    assert default.split()[-1] == "default"
    assert other.split() == ["other", "0.9000", "[0.8500,", "0.9500]", "undefined"]
    assert default.index("0.7500 [0.7000") == header.index("macro F1") == other.index("undefined")


def test_each_class_has_one_line() -> None:
    _, background, corn = classes(make_metrics()).splitlines()
    assert background.split()[0] == "background"
    assert corn.split() == [
        "corn",
        "0.5000",
        "0.7000",
        "0.8000",
        "0.7500",
        "[0.7000,",
        "0.8000]",
        "0.4000",
        "0.8500",
        "[0.8000,",
        "0.9000]",
    ]


def test_runs_have_one_line_each() -> None:
    names = ("label_accuracy", "label_majority", "pixel_accuracy", "pixel_majority", "pixel_accuracy_gain", "macro_f1")
    empty = dict.fromkeys([*names, *(f"{name}_{end}" for name in names for end in ("low", "high"))])
    run = {**empty, "run": "one", "labels_rule": "shares", "model": "fcn", "seed": 3, "method": "spectral", "macro_f1": 0.5}
    trees = {**run, "run": "two", "model": "trees", "macro_f1_low": 0.4, "macro_f1_high": 0.6}
    header, line = side_by_side([run]).splitlines()
    assert header.split() == ["run", "labels", "model", "seed", "method", *names]
    assert line.split() == ["one", "shares", "fcn", "3", "spectral", "0.5000"]
    _, _, line = side_by_side([run, trees]).splitlines()
    assert line.split() == ["two", "shares", "trees", "3", "spectral", "0.5000", "[0.4000,", "0.6000]"]


def test_a_run_away_has_its_place_and_the_difference_from_home() -> None:
    names = ("label_accuracy", "label_majority", "pixel_accuracy", "pixel_majority", "pixel_accuracy_gain", "macro_f1")
    more = ("pixel_accuracy_from_home", "reference_pixel_accuracy")
    empty = dict.fromkeys([f"{name}{end}" for name in (*names, *more) for end in ("", "_low", "_high")])
    words = {"run": "one", "labels_rule": "shares", "model": "fcn", "seed": 3, "method": "spectral", "reference": None}
    home = {**empty, **words, "place": "dakota", "home": True}
    away = {**home, "place": "illinois", "home": False, "pixel_accuracy": 0.7, "pixel_accuracy_from_home": -0.1}
    away |= {"pixel_accuracy_from_home_low": -0.15, "pixel_accuracy_from_home_high": -0.05}
    header, first, second = side_by_side([home, away]).splitlines()
    assert header.split() == ["run", "place", "labels", "model", "seed", "method", *names[:5], more[0], names[5]]
    assert first.split() == ["one", "dakota", "(home)", "shares", "fcn", "3", "spectral"]
    assert second.split()[1] == "illinois"
    assert second.split()[-4:] == ["0.7000", "-0.1000", "[-0.1500,", "-0.0500]"]
    assert "place" not in side_by_side([home, home])
    header, _, line = side_by_side([home, {**away, "reference": "there", "reference_pixel_accuracy": 0.9}]).splitlines()
    assert header.split()[-3:] == [*more, "macro_f1"]
    assert line.split()[-1] == "0.9000"


def test_folds_are_one_line_each_and_their_means() -> None:
    row = {"fold": "iowa", "left_out": "iowa", "trained_on": "ohio, utah", "patches": 1200, "macro_f1": 0.5, "majority_accuracy": 0.4}
    values = {"pixel_accuracy": 0.7, "pixel_accuracy_low": 0.6, "pixel_accuracy_high": 0.8, "home_pixel_accuracy": 0.9, "difference": -0.2}
    title, first, last = folds([row | values, {**row, **values, "fold": "mean", "pixel_accuracy_low": None}]).splitlines()
    assert title.split() == [
        "fold",
        "left",
        "out",
        "trained",
        "on",
        "patches",
        "pixel",
        "accuracy",
        "macro",
        "F1",
        "majority",
        "at",
        "home",
        "difference",
    ]
    assert first.split() == [
        "iowa",
        "iowa",
        "ohio,",
        "utah",
        "1,200",
        "0.7000",
        "[0.6000,",
        "0.8000]",
        "0.5000",
        "0.4000",
        "0.9000",
        "-0.2000",
    ]
    assert last.split()[:6] == ["mean", "iowa", "ohio,", "utah", "1,200", "0.7000"]


def test_an_interval_has_its_lower_and_its_upper_end() -> None:
    assert estimate({"f1": 0.5, "f1_ci95": [0.41, 0.62]}, "f1") == "0.5000 [0.4100, 0.6200]"
    assert estimate({"f1": None, "f1_ci95": None}, "f1") == "undefined"
