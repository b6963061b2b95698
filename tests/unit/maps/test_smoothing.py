"""Bayesian smoothing against a plain loop over pixels, and its laws."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from cropcam.pipeline.maps import smoothing
from cropcam.pipeline.maps.smoothing import RADIUS_PX, smoothed


def slow(logits_KYX: np.ndarray, valid_YX: np.ndarray, smoothness: float) -> np.ndarray:
    """Probabilities, pixel by pixel, in double precision."""
    classes, height, width = logits_KYX.shape
    share_KYX = softmax(logits_KYX.astype(np.float64), axis=0)
    found_KYX = share_KYX.copy()

    def odds(share: float) -> float:
        return max(-30.0, min(30.0, math.log(max(share, 1e-300)) - math.log(max(1 - share, 1e-300))))

    for y in range(height):
        for x in range(width):
            if not valid_YX[y, x]:
                continue
            means = []
            for k in range(classes):
                near = sorted(
                    odds(share_KYX[k, row, col])
                    for row in range(height)
                    for col in range(width)
                    if abs(row - y) <= 3 and abs(col - x) <= 3 and valid_YX[row, col]
                )
                upper = near[len(near) // 2 :]
                mean = sum(upper) / len(upper)
                variance = sum((value - mean) ** 2 for value in upper) / (len(upper) - 1) if len(upper) > 1 else 0.0
                means.append((variance * odds(share_KYX[k, y, x]) + smoothness * mean) / (variance + smoothness))
            raw_K = 1 / (1 + np.exp(-np.array(means)))
            found_KYX[:, y, x] = raw_K / raw_K.sum()
    return found_KYX


@settings(max_examples=25)
@given(
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    classes=st.integers(1, 4),
    valid_share=st.sampled_from([0.1, 0.6, 1.0]),
    smoothness=st.sampled_from([0.5, 10.0, 20.0]),
    size=st.sampled_from([1.0, 4.0]),
    seed=st.integers(0, 999),
)
def test_it_is_the_plain_loop(height: int, width: int, classes: int, valid_share: float, smoothness: float, size: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    logits_KYX = random.normal(0, size, (classes, height, width)).astype(np.float32)
    valid_YX = random.random((height, width)) < valid_share
    found = np.exp(smoothed(logits_KYX, valid_YX, smoothness))
    expected = slow(logits_KYX, valid_YX, smoothness)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-4)
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-5)


@settings(max_examples=20)
@given(size=st.sampled_from([1.0, 6.0, 15.0]), seed=st.integers(0, 999))
def test_rounding_of_the_logits_stays_as_small(size: float, seed: int) -> None:
    """Where a class is nearly certain, its odds are known as exactly as elsewhere: windows, whose logits differ by rounding, leave no trace."""
    random = np.random.default_rng(seed)
    logits_KYX = random.normal(0, size, (3, 12, 12)).astype(np.float32)
    other_KYX = logits_KYX * (1 + 1e-7 * random.normal(0, 1, logits_KYX.shape)).astype(np.float32)
    one, two = (softmax(smoothed(values, np.ones((12, 12), bool), 0.5), axis=0) for values in (logits_KYX, other_KYX))
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-5)


def test_a_lone_pixel_gives_way_to_its_neighbours_and_a_field_stays() -> None:
    logits_KYX = np.stack([np.full((15, 15), 1.0), np.full((15, 15), -1.0)]).astype(np.float32)
    logits_KYX[:, 7, 7] = -0.2, 0.2
    logits_KYX[:, :, 10:] = [[[-1.0]], [[1.0]]]
    found = smoothed(logits_KYX, np.ones((15, 15), bool), 10.0).argmax(axis=0)
    assert found[7, 7] == 0
    assert (found[:, 11:] == 1).all()


def test_pixels_without_data_are_no_neighbours_and_stay() -> None:
    random = np.random.default_rng(0)
    logits_KYX, valid_YX = random.normal(0, 2, (3, 9, 9)).astype(np.float32), np.ones((9, 9), bool)
    valid_YX[2:5, 3:6] = False
    other_KYX = np.where(valid_YX, logits_KYX, random.normal(0, 9, logits_KYX.shape)).astype(np.float32)
    one, other = (smoothed(values, valid_YX, 10.0) for values in (logits_KYX, other_KYX))
    np.testing.assert_array_equal(one[:, valid_YX], other[:, valid_YX])
    np.testing.assert_allclose(softmax(one, axis=0)[:, ~valid_YX], softmax(logits_KYX, axis=0)[:, ~valid_YX], atol=1e-6)


def test_a_class_without_a_share_gets_none() -> None:
    logits_KYX = np.random.default_rng(0).normal(0, 2, (3, 9, 9)).astype(np.float32)
    logits_KYX[1] = -np.inf
    found = np.exp(smoothed(logits_KYX, np.ones((9, 9), bool), 10.0))
    assert np.isfinite(found).all()
    assert found[1].max() < 1e-6


def test_the_strips_of_the_threads_leave_no_trace(monkeypatch) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    logits_KYX = np.random.default_rng(0).normal(0, 2, (3, 20, 11)).astype(np.float32)
    valid_YX = np.random.default_rng(1).random((20, 11)) < 0.9
    whole = smoothed(logits_KYX, valid_YX, 10.0)
    monkeypatch.setattr(smoothing, "STRIP_PX", 3)
    np.testing.assert_array_equal(smoothed(logits_KYX, valid_YX, 10.0), whole)
    part = smoothed(logits_KYX[:, 2:], valid_YX[2:], 10.0)
    np.testing.assert_array_equal(part[:, RADIUS_PX:], whole[:, 2 + RADIUS_PX :])


def test_the_largest_smoothness_is_the_mean_of_the_neighbours() -> None:
    logits_KYX = np.random.default_rng(3).normal(size=(3, 9, 9)).astype(np.float32)
    valid_YX = np.ones((9, 9), bool)
    np.testing.assert_allclose(smoothed(logits_KYX, valid_YX, 1e308), smoothed(logits_KYX, valid_YX, 1e9), atol=1e-6)
