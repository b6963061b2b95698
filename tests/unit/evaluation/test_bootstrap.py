"""Intervals: every resample recomputed in a loop by scikit-learn, coverage on independent blocks, and where there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from cropcam.model.evaluation import metrics
from cropcam.model.evaluation.bootstrap import (
    BINS,
    Bootstrap,
    block_of,
    by_class,
    described,
    edges,
    histograms,
    interval,
    metadata,
    with_intervals,
)


def members(weights_B: npt.NDArray[Any], block: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The samples of one resample, written out."""
    return np.concatenate([np.tile(np.flatnonzero(block == b), int(times)) for b, times in enumerate(weights_B)])


def test_coarse_histograms_lose_next_to_nothing_of_an_interval() -> None:
    random = np.random.default_rng(2)
    block = np.repeat(np.arange(30), 700)
    positive = random.random(block.size) < 0.05
    score = (random.normal(size=block.size) + 1.5 * positive + 0.5 * random.normal(size=30)[block]).astype(np.float32)
    bootstrap = Bootstrap.of(30, 60)
    counts = histograms(block, positive, score, edges(score[::7]), 30)  # bounds from some of the scores only
    auc_S, exact = metrics.auc_of_counts(bootstrap.sums(counts)), float(oracle.roc_auc_score(positive, score))
    found = interval(exact, auc_S[1:], exact - auc_S[0])
    draws = [members(row, block) for row in bootstrap.weights_SB[1:]]
    expected = np.percentile([oracle.roc_auc_score(positive[draw], score[draw]) for draw in draws], [2.5, 97.5])
    assert found == pytest.approx(list(expected), abs=1e-3)


def test_nineteen_in_twenty_intervals_hold_the_truth_where_blocks_are_independent() -> None:
    random = np.random.default_rng(0)
    blocks, pixels_each, hits = 40, 50, 0
    for trial in range(300):
        chance_B = random.beta(8, 4, size=blocks)  # of a pixel being right: 2/3 on average, and the blocks differ
        right_B = random.binomial(pixels_each, chance_B)
        sums = Bootstrap.of(blocks, 400, seed=trial).sums(np.stack([right_B, np.full(blocks, pixels_each)], axis=1))[1:]
        low, high = interval(right_B.sum() / (blocks * pixels_each), sums[:, 0] / sums[:, 1]) or (1, 0)
        hits += low <= 2 / 3 <= high
    assert 0.89 <= hits / 300 <= 0.98


def test_pixels_of_a_block_drawn_one_by_one_would_look_like_far_more_evidence() -> None:
    random = np.random.default_rng(4)
    right = np.repeat(random.random(30) < 0.7, 100).astype(float)  # all pixels of a block are right, or none

    def width(units: npt.NDArray[Any]) -> float:
        low, high = interval(0.7, Bootstrap.of(len(units)).sums(units)[1:] / units[0].size / len(units)) or (0.0, 0.0)
        return high - low

    assert width(right.reshape(30, 100).sum(axis=1)) > 5 * 100 * width(right)


@given(st.integers(3, 20), st.integers(0, 2**31))
@settings(deadline=None, max_examples=25)
def test_more_of_the_same_blocks_never_widen_an_interval_much(blocks: int, seed: int) -> None:
    right_B = np.random.default_rng(seed).integers(0, 100, size=blocks) / 100

    def width(values: npt.NDArray[Any]) -> float:
        low, high = interval(values.mean(), Bootstrap.of(len(values)).sums(values)[1:] / len(values)) or (0.0, 0.0)
        return high - low

    assert width(np.tile(right_B, 8)) <= width(right_B) * 0.6 + 1e-9  # about 1 / sqrt(8)


def test_notes_depend_on_the_number_of_blocks() -> None:
    assert "no interval can be given" in metadata(1, (5, 5))["note"]
    assert "too narrow" in metadata(5, (5, 5))["note"]
    assert "note" not in metadata(50, (5, 5))
    assert metadata(50, (5, 3))["block_patches"] == [5, 3]
    found = described("by hand", "cell", 1, {"cell_km": 10.0}, "give more")
    assert (found["note"], found["blocks"], found["cell_km"]) == ("one cell: no interval can be given; give more", 1, 10.0)
    assert described("by hand", "cell", 5, {}, "")["note"] == "fewer than 20 cells: intervals are too narrow"


def test_a_perfect_ranking_keeps_its_interval_at_one() -> None:
    block, score = np.repeat(np.arange(10), 1000), np.tile(np.arange(1000, dtype=np.float32), 10)
    positive = score >= 995
    bootstrap = Bootstrap.of(10, 50)
    counts = histograms(block, positive, score, edges(score), 10)
    auc_S = metrics.auc_of_counts(bootstrap.sums(counts))
    assert auc_S[0] < 1.0
    assert with_intervals({"auc": auc_S}, {"auc": 1.0}) == {"auc": 1.0, "auc_ci95": [pytest.approx(1.0), 1.0]}


def test_undefined_metrics_are_null_and_have_no_interval() -> None:
    values_S = {
        "never": np.full(101, np.nan),
        "seldom": np.r_[0.5, np.full(94, 0.4), np.full(6, np.nan)],
        "mostly": np.r_[0.5, np.full(96, 0.4), np.full(4, np.nan)],
    }
    assert with_intervals(values_S) == {
        "never": None,
        "never_ci95": None,
        "seldom": 0.5,
        "seldom_ci95": None,
        "mostly": 0.5,
        "mostly_ci95": [0.4, 0.4],
    }


def test_each_class_has_its_own_interval_and_exact_value() -> None:
    values_SK = {"auc": np.array([[0.5, 0.7], [0.4, 0.6], [0.6, 0.8]])}
    entries = by_class(values_SK, ["corn", "forest"], {"auc": np.array([0.55, 0.7])})
    assert (entries["corn"]["auc"], entries["forest"]["auc"]) == (0.55, 0.7)
    assert entries["corn"]["auc_ci95"] == pytest.approx(np.percentile([0.45, 0.65], [2.5, 97.5]).tolist())
    assert entries["forest"]["auc_ci95"] == pytest.approx(np.percentile([0.6, 0.8], [2.5, 97.5]).tolist())


@given(st.integers(2, 40), st.integers(1, 30), st.integers(0, 99))
def test_each_resample_draws_as_many_blocks_as_there_are(blocks: int, resamples: int, seed: int) -> None:
    weights = Bootstrap.of(blocks, resamples, seed).weights_SB
    assert weights.shape == (1 + resamples, blocks)
    assert (weights[0] == 1).all()
    np.testing.assert_array_equal(weights.sum(axis=1), blocks)
    np.testing.assert_array_equal(weights, Bootstrap.of(blocks, resamples, seed).weights_SB)


def test_blocks_are_those_of_the_splits() -> None:
    row, col = np.array([0, 4, 5, 5, 9, 0]), np.array([0, 2, 2, 3, 5, 3])
    assert block_of(row, col, (3, 5)).tolist() == [0, 0, 2, 3, 3, 1]


def test_histograms_count_every_score_once() -> None:
    random = np.random.default_rng(8)
    block, positive, score = random.integers(4, size=500), random.random(500) < 0.3, random.normal(size=500).astype(np.float32)
    counts = histograms(block, positive, score, edges(score), 4)
    assert counts.shape == (4, 2, BINS)
    np.testing.assert_array_equal(counts.sum(axis=2)[:, 1], np.bincount(block[positive], minlength=4))
    assert counts.sum() == 500
    assert counts.sum(axis=(0, 1)).max() <= 3
