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
from cropcam.model.evaluation.bootstrap import BINS, Bootstrap, about, beside, block_of, edges, histograms, interval
from cropcam.model.evaluation.results import classification, method

NAMES = ("background", "corn", "soybean")
BLOCKS, RESAMPLES = 12, 80


@pytest.fixture(scope="module")
def pixels() -> tuple[npt.NDArray[Any], ...]:
    """Block, truth and answer of 600 pixels; blocks of different size and difficulty."""
    random = np.random.default_rng(1)
    block = np.sort(random.integers(BLOCKS, size=600))
    truth = random.integers(len(NAMES), size=600)
    hard = random.random(BLOCKS)[block] * 0.6
    return block, truth, np.where(random.random(600) < hard, random.integers(len(NAMES), size=600), truth)


def members(weights_B: npt.NDArray[Any], block: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The samples of one resample, written out."""
    return np.concatenate([np.tile(np.flatnonzero(block == b), int(times)) for b, times in enumerate(weights_B)])


def percentiles(values: list[float]) -> Any:
    return pytest.approx(list(np.percentile(values, [2.5, 97.5])))


def test_pixel_figures_are_those_of_a_loop_over_resamples(pixels: Any) -> None:
    block, truth, answer = pixels
    bootstrap = Bootstrap.of(BLOCKS, RESAMPLES)
    found = method(metrics.confusions(block, truth, answer, BLOCKS, 3), NAMES, bootstrap)
    samples = [(truth[chosen], answer[chosen]) for chosen in (members(row, block) for row in bootstrap.weights_RB)]
    for name, score in {
        "pixel_accuracy": oracle.accuracy_score,
        "mean_class_accuracy": oracle.balanced_accuracy_score,
        "macro_f1": lambda a, b: oracle.f1_score(a, b, average="macro"),
        "mean_iou": lambda a, b: oracle.jaccard_score(a, b, average="macro"),
    }.items():
        assert found[name] == pytest.approx(score(truth, answer))
        assert found[name + "_ci95"] == percentiles([score(*sample) for sample in samples])
    for k, name in enumerate(NAMES):
        entry = found["per_class"][name]
        for key, score in {
            "accuracy": oracle.recall_score,
            "precision": oracle.precision_score,
            "f1": oracle.f1_score,
            "iou": oracle.jaccard_score,
        }.items():
            assert entry[key] == pytest.approx(score(truth, answer, labels=[k], average=None)[0])
            assert entry[key + "_ci95"] == percentiles([score(*sample, labels=[k], average=None)[0] for sample in samples])
        assert entry["base_rate_ci95"] == percentiles([(sample[0] == k).mean() for sample in samples])


def test_label_figures_are_those_of_a_loop_over_resamples() -> None:
    random = np.random.default_rng(5)
    count = 240  # fewer patches than bins: every score is a bin of its own, and even ranks are exact
    block = np.sort(random.integers(BLOCKS, size=count))
    present = random.random((count, 3)) < [0.7, 0.4, 0.2]
    logits = (present * 1.5 + random.normal(size=present.shape) + random.normal(size=BLOCKS)[block, None] - 0.7).astype(np.float32)
    bootstrap = Bootstrap.of(BLOCKS, RESAMPLES)
    found = classification(present, logits, block, NAMES, bootstrap)
    draws = [members(row, block) for row in bootstrap.weights_RB]
    right = (logits > 0) == present
    assert found["accuracy_ci95"] == percentiles([right[draw].mean() for draw in draws])
    assert found["exact_match_ci95"] == percentiles([right[draw].all(axis=1).mean() for draw in draws])
    rates = [present[draw].mean(axis=0) for draw in draws]
    assert found["majority_accuracy_ci95"] == percentiles([np.maximum(rate, 1 - rate).mean() for rate in rates])
    assert found["labels_per_patch_ci95"] == percentiles([rate.sum() for rate in rates])
    aucs = [[oracle.roc_auc_score(present[draw, k], logits[draw, k]) for k in range(3)] for draw in draws]
    assert found["mean_auc_ci95"] == percentiles([np.mean(row) for row in aucs])
    for k, name in enumerate(NAMES):
        entry = found["per_class"][name]
        assert entry["auc_ci95"] == percentiles([row[k] for row in aucs])
        assert entry["average_precision_ci95"] == percentiles(
            [oracle.average_precision_score(present[draw, k], logits[draw, k]) for draw in draws]
        )
        assert entry["f1_ci95"] == percentiles([oracle.f1_score(present[draw, k], logits[draw, k] > 0) for draw in draws])
        assert entry["confusion"] == oracle.confusion_matrix(present[:, k], logits[:, k] > 0).tolist()


def test_coarse_histograms_lose_next_to_nothing_of_an_interval() -> None:
    random = np.random.default_rng(2)
    block = np.repeat(np.arange(30), 700)
    positive = random.random(block.size) < 0.05
    score = (random.normal(size=block.size) + 1.5 * positive + 0.5 * random.normal(size=30)[block]).astype(np.float32)
    bootstrap = Bootstrap.of(30, 60)
    counts = histograms(block, positive, score, edges(score[::7]), 30)  # bounds from some of the scores only
    coarse, exact = float(metrics.auc_of_counts(counts.sum(axis=0))), metrics.roc_auc(positive, score)
    found = interval(exact, metrics.auc_of_counts(bootstrap.sums(counts)), exact - coarse)
    draws = [members(row, block) for row in bootstrap.weights_RB]
    expected = np.percentile([oracle.roc_auc_score(positive[draw], score[draw]) for draw in draws], [2.5, 97.5])
    assert found == pytest.approx(list(expected), abs=1e-3)


def test_nineteen_in_twenty_intervals_hold_the_truth_where_blocks_are_independent() -> None:
    random = np.random.default_rng(0)
    blocks, pixels_each, hits = 40, 50, 0
    for trial in range(300):
        chance_B = random.beta(8, 4, size=blocks)  # of a pixel being right: 2/3 on average, and the blocks differ
        right_B = random.binomial(pixels_each, chance_B)
        sums = Bootstrap.of(blocks, 400, seed=trial).sums(np.stack([right_B, np.full(blocks, pixels_each)], axis=1))
        low, high = interval(right_B.sum() / (blocks * pixels_each), sums[:, 0] / sums[:, 1]) or (1, 0)
        hits += low <= 2 / 3 <= high
    assert 0.89 <= hits / 300 <= 0.98


def test_pixels_of_a_block_drawn_one_by_one_would_look_like_far_more_evidence() -> None:
    random = np.random.default_rng(4)
    right = np.repeat(random.random(30) < 0.7, 100).astype(float)  # all pixels of a block are right, or none

    def width(units: npt.NDArray[Any]) -> float:
        low, high = interval(0.7, Bootstrap.of(len(units)).sums(units) / units[0].size / len(units)) or (0.0, 0.0)
        return high - low

    assert width(right.reshape(30, 100).sum(axis=1)) > 5 * 100 * width(right)


@given(st.integers(3, 20), st.integers(0, 2**31))
@settings(deadline=None, max_examples=25)
def test_more_of_the_same_blocks_never_widen_an_interval_much(blocks: int, seed: int) -> None:
    right_B = np.random.default_rng(seed).integers(0, 100, size=blocks) / 100

    def width(values: npt.NDArray[Any]) -> float:
        low, high = interval(values.mean(), Bootstrap.of(len(values)).sums(values) / len(values)) or (0.0, 0.0)
        return high - low

    assert width(np.tile(right_B, 8)) <= width(right_B) * 0.6 + 1e-9  # about 1 / sqrt(8)


def test_what_every_block_agrees_on_has_an_interval_without_width() -> None:
    same = np.tile([[8, 2], [1, 9]], (5, 1, 1))
    found = method(same, NAMES[:2], Bootstrap.of(5, 50))
    assert found["pixel_accuracy_ci95"] == [0.85, 0.85]


def test_undefined_figures_and_classes_of_few_blocks_have_no_interval() -> None:
    confusion = np.zeros((20, 3, 3), np.int64)
    confusion[:, 0, 0], confusion[:, 0, 1], confusion[:, 0, 2] = 10, 5, 1
    confusion[3, 1, 1] = 4  # corn is true in one block alone; soybean nowhere, though predicted
    found = method(confusion, NAMES, Bootstrap.of(20))
    corn, soybean = found["per_class"]["corn"], found["per_class"]["soybean"]
    assert (corn["accuracy"], corn["accuracy_ci95"]) == (1.0, None)
    assert corn["f1"] == 8 / 108
    for key in ("accuracy", "precision", "f1", "iou"):
        assert corn[key + "_ci95"] is None, "resamples without corn's block have no figure of it"
        assert (soybean[key], soybean[key + "_ci95"]) == (None, None)
    assert found["pixel_accuracy_ci95"] is not None
    assert found["macro_f1_ci95"] is not None
    assert found["macro_f1"] == pytest.approx((corn["f1"] + found["per_class"]["background"]["f1"]) / 2)


def test_a_label_that_no_patch_has_is_null_and_so_are_its_intervals() -> None:
    present = np.tile([[True, False, True], [False, False, True]], (20, 1))
    logits = np.where(present, 1.0, -1.0).astype(np.float32)
    logits[:3, 1] = 1.0  # corn is said to be present three times
    found = classification(present, logits, np.arange(40) // 4, NAMES, Bootstrap.of(10, 50))
    corn = found["per_class"]["corn"]
    for key in ("precision", "recall", "f1", "auc", "average_precision"):
        assert (corn[key], corn[key + "_ci95"]) == (None, None)
    assert (corn["accuracy"], corn["majority_accuracy"], corn["confusion"]) == (37 / 40, 1.0, [[37, 3], [0, 0]])
    assert found["mean_auc"] == 1.0


def test_one_block_has_no_interval_and_says_so() -> None:
    found = method(np.array([[[3, 1], [0, 4]]]), NAMES[:2], Bootstrap.of(1))
    assert (found["pixel_accuracy"], found["pixel_accuracy_ci95"]) == (0.875, None)
    assert "no interval can be given" in about(1, (5, 5))["note"]
    assert "too narrow" in about(5, (5, 5))["note"]
    assert "note" not in about(50, (5, 5))


def test_a_perfect_ranking_keeps_its_interval_at_one() -> None:
    block, score = np.repeat(np.arange(10), 1000), np.tile(np.arange(1000, dtype=np.float32), 10)
    positive = score >= 995
    bootstrap = Bootstrap.of(10, 50)
    counts = histograms(block, positive, score, edges(score), 10)
    coarse = float(metrics.auc_of_counts(counts.sum(axis=0)))
    assert coarse < 1.0
    values = beside({"auc": metrics.roc_auc(positive, score)}, {"auc": metrics.auc_of_counts(bootstrap.sums(counts))}, {"auc": coarse})
    assert values == {"auc": 1.0, "auc_ci95": [pytest.approx(1.0), 1.0]}


@given(st.integers(2, 40), st.integers(1, 30), st.integers(0, 99))
def test_each_resample_draws_as_many_blocks_as_there_are(blocks: int, resamples: int, seed: int) -> None:
    weights = Bootstrap.of(blocks, resamples, seed).weights_RB
    assert weights.shape == (resamples, blocks)
    np.testing.assert_array_equal(weights.sum(axis=1), blocks)
    np.testing.assert_array_equal(weights, Bootstrap.of(blocks, resamples, seed).weights_RB)


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
