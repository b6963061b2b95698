"""The comparison of runs: differences and paired gains."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cropcam.model.report.compare import differences, gain
from cropcam.pipeline.store.schema import StoreInfo
from support.evaluations import make_evaluated, make_metrics, with_ci

PIXELS = with_ci(pixel_accuracy=0.6, mean_class_accuracy=0.5, macro_f1=0.4, mean_iou=0.3)


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


def test_differences_of_split_presence_and_store_are_named(store: Path, info: StoreInfo) -> None:
    first = make_evaluated("one", store, info, [0.5], [100])
    assert differences(first, make_evaluated("two", store, info, [0.6], [100])) == []
    metrics = {**make_metrics(), "split": "validation"}
    other = make_evaluated("two", store, replace(info, split_seed=9), [0.5], [100], metrics)
    other = replace(other, config=other.config.changed(presence_min_share=0.25))
    assert differences(first, other) == [
        "the split: validation against test",
        "presence_min_share: 0.25 against 0.05",
        "the store: split_seed: 9 against 0",
    ]
