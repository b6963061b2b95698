"""Calibration figures: torchmetrics and scikit-learn as oracles, laws of adding up, intervals."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle
from sklearn.calibration import calibration_curve

from cropcam.model.evaluation.bootstrap import Bootstrap
from cropcam.model.evaluation.calibration import BINS, CalibrationCounts, calibration, summary

NAMES = ("background", "corn", "soybean", "forest")
Arrays = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]


def pixels(seed: int = 0, count: int = 4000, sharpness: float = 1.0) -> Arrays:
    """Blocks, truth and probabilities of pixels: the truth is drawn from the probabilities, which are then made sharper."""
    random = np.random.default_rng(seed)
    block, logits = np.sort(random.integers(0, 12, count)), random.normal(0, 1.5, (count, len(NAMES)))
    drawn = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (drawn.cumsum(axis=1) < random.random((count, 1))).sum(axis=1)
    given_ = np.exp(sharpness * logits) / np.exp(sharpness * logits).sum(axis=1, keepdims=True)
    return block, truth, given_.astype(np.float32)


def counted(block: npt.NDArray[np.int64], truth: npt.NDArray[np.int64], probability: npt.NDArray[np.float32]) -> CalibrationCounts:
    counts = CalibrationCounts(12, len(NAMES))
    counts.add(block, truth, probability)
    return counts


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 2.0])
def test_the_figures_are_those_of_torchmetrics_and_scikit_learn(sharpness: float) -> None:
    block, truth, probability = pixels(1, sharpness=sharpness)
    found = calibration(counted(block, truth, probability), NAMES, Bootstrap.of(12, 50))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations of its own dependencies
        import torch
        from torchmetrics.functional.classification import binary_calibration_error, multiclass_calibration_error
    scores, labels = torch.from_numpy(np.asfortranarray(probability)), torch.from_numpy(truth)
    assert found["ece"] == pytest.approx(float(multiclass_calibration_error(scores, labels, len(NAMES), n_bins=BINS)), abs=2e-5)
    of_class = [float(binary_calibration_error(scores[:, k], (labels == k).long(), n_bins=BINS)) for k in range(len(NAMES))]
    assert [found["per_class"][name]["ece"] for name in NAMES] == pytest.approx(of_class, abs=2e-5)
    assert found["classwise_ece"] == pytest.approx(np.mean(of_class), abs=2e-5)
    brier = [oracle.brier_score_loss(truth == k, probability[:, k]) for k in range(len(NAMES))]
    assert [found["per_class"][name]["brier"] for name in NAMES] == pytest.approx(brier, abs=2e-6)
    assert found["brier"] == pytest.approx(sum(brier), abs=1e-5)
    shares = np.bincount(truth) / len(truth)
    assert found["base_rate_brier"] == pytest.approx(1 - (shares**2).sum())
    for k, name in enumerate(NAMES):
        curve = found["per_class"][name]["reliability"]
        share, mean = calibration_curve(truth == k, probability[:, k].astype(np.float64), n_bins=BINS)
        known = [place for place, count in enumerate(curve["pixels"]) if count]
        assert [curve["share"][place] for place in known] == pytest.approx(share)
        assert [curve["probability"][place] for place in known] == pytest.approx(mean, abs=1e-6)
        assert sum(curve["pixels"]) == len(truth)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 399), max_size=4))
def test_counts_add_up_however_the_pixels_come(seed: int, cuts: list[int]) -> None:
    block, truth, probability = pixels(seed, 400)
    whole, parts = counted(block, truth, probability), CalibrationCounts(12, len(NAMES))
    for start, stop in zip([0, *sorted(cuts)], [*sorted(cuts), 400], strict=True):
        parts.add(block[start:stop], truth[start:stop], probability[start:stop])
    for name, values in vars(whole).items():
        np.testing.assert_array_equal(vars(parts)[name], values)


def test_probabilities_that_the_truth_is_drawn_from_are_calibrated_and_sharper_ones_are_not() -> None:
    honest, sharp = (summary(counted(*pixels(3, 100_000, sharpness)), Bootstrap.of(12, 10)) for sharpness in (1.0, 2.0))
    assert honest["ece"] < 0.01
    assert honest["classwise_ece"] < 0.01
    assert sharp["ece"] > 0.1
    assert sharp["brier"] > honest["brier"]
    assert honest["brier"] < honest["base_rate_brier"]


def test_an_interval_is_of_the_blocks_drawn_again() -> None:
    block, truth, probability = pixels(5)
    bootstrap = Bootstrap.of(12, 200)
    found = calibration(counted(block, truth, probability), NAMES, bootstrap)
    drawn = [np.repeat(np.arange(len(block)), weights[block].astype(int)) for weights in bootstrap.weights_SB[1:]]
    brier = [oracle.brier_score_loss(truth[index] == 1, probability[index, 1]) for index in drawn]
    assert found["per_class"]["corn"]["brier_ci95"] == pytest.approx(np.percentile(brier, [2.5, 97.5]), abs=1e-5)
    share = [(truth[index] == 1)[probability[index, 1] < 1 / BINS].mean() for index in drawn]
    assert found["per_class"]["corn"]["reliability"]["share_ci95"][0] == pytest.approx(np.percentile(share, [2.5, 97.5]))


def test_an_empty_bin_has_no_values_and_certainty_lies_in_the_last_bin() -> None:
    counts = CalibrationCounts(1, 2)
    counts.add(np.zeros(3, np.int64), np.array([0, 0, 1]), np.array([[1, 0]] * 3, np.float32))
    found = calibration(counts, NAMES[:2], Bootstrap.of(1))
    curve = found["reliability"]
    assert (curve["pixels"], curve["share"][-1]) == ([0] * (BINS - 1) + [3], pytest.approx(2 / 3))
    assert curve["share"][:-1] == curve["probability"][:-1] == [None] * (BINS - 1)
    assert (found["ece"], found["ece_ci95"]) == (pytest.approx(1 / 3), None)
    assert (found["brier"], found["base_rate_brier"]) == (pytest.approx(2 / 3), pytest.approx(4 / 9))


def test_a_batch_without_a_labelled_pixel_changes_nothing() -> None:
    counts = CalibrationCounts(2, 2)
    counts.add(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 2), np.float32))
    assert not counts.bins_BK1ME.any()
