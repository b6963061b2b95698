"""Differences of two runs at one place, and of one run away and at home, with their intervals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cropcam.model.report.gains import difference_columns, from_home, gain, metric_columns
from cropcam.model.report.runs import EvaluatedRun
from cropcam.pipeline.store.schema import StoreInfo
from support.evaluations import make_evaluated, make_metrics


def test_a_gain_is_that_of_all_pixels_with_an_interval_from_shared_blocks(store: Path, info: StoreInfo) -> None:
    labelled = [100, 50, 100, 80, 100, 100]
    first = make_evaluated("one", store, info, [0.5, 0.5, 0.4, 0.5, 0.6, 0.5], labelled)
    other = make_evaluated("two", store, info, [0.6, 0.6, 0.5, 0.6, 0.7, 0.6], labelled)
    value, limits = gain(first, other) or (0, None)
    assert value == pytest.approx(0.1)
    assert limits == pytest.approx([0.1, 0.1]), "each block gains the same, however different the blocks are"
    uneven = make_evaluated("three", store, info, [0.5, 0.5, 0.4, 0.5, 0.6, 0.9], labelled)
    value, limits = gain(first, uneven) or (0, None)
    assert value == pytest.approx(0.4 * 100 / 530)
    assert limits is not None
    assert limits[0] == 0 < value < limits[1]


def test_there_is_no_gain_on_other_pixels(store: Path, info: StoreInfo) -> None:
    first = make_evaluated("one", store, info, [0.5, 0.5], [100, 50])
    assert gain(first, first) is None
    assert gain(first, make_evaluated("two", store, info, [0.5, 0.5], [100, 51])) is None
    elsewhere = make_evaluated("two", store, info, [0.5, 0.5], [100, 50])
    assert gain(first, replace(elsewhere, config=replace(elsewhere.config, store=replace(elsewhere.config.store, digest="0" * 64)))) is None


def test_a_patch_without_labels_counts_for_neither(store: Path, info: StoreInfo) -> None:
    first = make_evaluated("one", store, info, [0.5, np.nan, 0.5], [100, 0, 100])
    other = make_evaluated("two", store, info, [0.7, np.nan, 0.5], [100, 0, 100])
    assert (gain(first, other) or (0, None))[0] == pytest.approx(0.1)


def with_accuracy(value: float | None, **more: Any) -> dict[str, Any]:
    metrics = {**make_metrics(), **more}
    metrics["segmentation"]["methods"]["cam-argmax"]["pixel_accuracy"] = value
    return metrics


def away(run: EvaluatedRun, metrics: dict[str, Any] | None = None, **more: Any) -> EvaluatedRun:
    """The run on another store."""
    store = {"name": "away", "path": "a.zarr", "digest": "a" * 64}
    return replace(run, metrics={**(metrics or run.metrics), "home": False, "store": store}, **more)


def test_a_gain_away_is_against_the_first_run_on_the_same_store(store: Path, info: StoreInfo) -> None:
    first = make_evaluated("one", store, info, [0.5, 0.5], [100, 100])
    other = make_evaluated("two", store, info, [0.6, 0.8], [100, 100])
    assert gain(first, away(other)) is None
    assert (gain(away(first), away(other)) or (0,))[0] == pytest.approx(0.2)


def test_without_patches_a_gain_has_no_interval(store: Path, info: StoreInfo) -> None:
    none = pd.DataFrame()
    first, other = (away(make_evaluated("a", store, info, [0.5], [100]), with_accuracy(value), patches=none) for value in (0.4, 0.7))
    assert gain(first, other) == (pytest.approx(0.3), None)
    assert gain(first, away(other, with_accuracy(0.7, split="validation"))) is None
    assert gain(first, away(other, with_accuracy(0.7, patches=41))) is None
    assert gain(first, away(other, with_accuracy(None))) is None


def test_the_difference_from_home_draws_both_places(store: Path, info: StoreInfo) -> None:
    """Its spread is that of the two places together, as of independent samples."""
    random = np.random.default_rng(0)
    shares = [np.round(random.normal(mean, 0.08, 60), 2) for mean in (0.8, 0.6)]
    runs = []
    for share in shares:
        run = make_evaluated("one", store, info, share.tolist(), [100] * 60, with_accuracy(float(share.mean())))
        runs.append(replace(run, patches=run.patches.assign(row=np.arange(60) * 2)))  # a block each
    value, limits = from_home(runs[0], away(runs[1])) or (0, None)
    assert limits is not None
    assert value == pytest.approx(shares[1].mean() - shares[0].mean())
    expected = 2 * 1.96 * np.sqrt(sum(share.var() / 60 for share in shares))
    assert limits[1] - limits[0] == pytest.approx(expected, rel=0.1)
    assert limits[0] < value < limits[1]


def test_the_same_patches_elsewhere_have_an_interval_about_zero(store: Path, info: StoreInfo) -> None:
    home = make_evaluated("one", store, info, [0.2, 0.9, 0.4, 0.7], [100] * 4, with_accuracy(0.55))
    value, limits = from_home(home, away(home)) or (1, None)
    assert (value, limits is not None and limits[0] < 0 < limits[1]) == (0, True)


def test_where_there_is_nothing_to_draw_there_is_no_interval(store: Path, info: StoreInfo) -> None:
    home = make_evaluated("one", store, info, [0.5, 0.6, 0.7], [100] * 3, with_accuracy(0.6))
    assert from_home(home, away(home, with_accuracy(None))) is None
    assert from_home(home, away(home, with_accuracy(0.4), patches=pd.DataFrame())) == (pytest.approx(-0.2), None)
    assert from_home(home, away(home, with_accuracy(0.4), patches=home.patches[:1])) == (pytest.approx(-0.2), None)


def test_differences_and_metrics_are_three_columns() -> None:
    assert difference_columns("gain", (0.1, [0.0, 0.2])) == {"gain": 0.1, "gain_low": 0.0, "gain_high": 0.2}
    assert difference_columns("gain", None) == {"gain": None, "gain_low": None, "gain_high": None}
    assert metric_columns({"f": "f1"}, {"f1": 0.5, "f1_ci95": None}) == {"f": 0.5, "f_low": None, "f_high": None}


def test_patches_of_two_stores_are_of_two_blocks(store: Path, info: StoreInfo) -> None:
    first, other = (make_evaluated(name, store, info, values, [100, 100]) for name, values in (("one", [0.5, 0.5]), ("two", [0.7, 0.5])))
    for run in (first, other):
        run.patches[["row", "col"]] = 0
    assert (gain(first, other) or (0, 1))[1] is None, "one block has no interval"
    for run in (first, other):
        run.patches.insert(1, "store", ["iowa", "ohio"])
    value, limits = gain(first, other) or (0, None)
    assert value == pytest.approx(0.1)
    assert limits == pytest.approx([0, 0.2])
