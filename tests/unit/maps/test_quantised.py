"""The bytes of a map against numpy and scipy in double precision."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, softmax
from scipy.stats import entropy

from cropcam.pipeline.maps.quantised import STEPS, classes_of, quantised, sigmoids

RNG = np.random.default_rng(0)


def random_logits(classes: int, seed: int, kind: str) -> np.ndarray:
    """Logits of 4 x 6 pixels: random ones, equal ones, whole numbers with many ties, sure ones, and classes without a share."""
    random = np.random.default_rng(seed)
    logits_KYX = random.normal(0, {"sure": 40.0, "alike": 1e-3}.get(kind, 2.0), (classes, 4, 6))
    if kind == "ties":
        logits_KYX = np.round(logits_KYX)
    elif kind == "equal":
        logits_KYX[:] = logits_KYX[:1]
    elif kind == "absent" and classes > 1:
        logits_KYX[random.permutation(classes)[: random.integers(1, classes)]] = -np.inf
    return logits_KYX.astype(np.float32)


@settings(max_examples=150)
@given(
    classes=st.one_of(st.integers(1, 8), st.integers(30, 60)),
    seed=st.integers(0, 9999),
    kind=st.sampled_from(["random", "ties", "equal", "sure", "alike", "absent"]),
)
def test_the_class_is_the_strict_maximum_of_the_probabilities_written(classes: int, seed: int, kind: str) -> None:
    logits_KYX, valid_YX = random_logits(classes, seed, kind), np.random.default_rng(seed).random((4, 6)) < 0.8
    found = quantised(logits_KYX, valid_YX)
    assert {layer.dtype for layer in found} == {np.dtype(np.uint8)}
    share_KYX = softmax(logits_KYX.astype(np.float64), axis=0)
    np.testing.assert_array_equal(found.class_YX, np.where(valid_YX, logits_KYX.argmax(axis=0), 255))
    np.testing.assert_array_equal(found.class_YX, classes_of(logits_KYX, valid_YX))
    ordered_KYX = np.sort(found.probability_KYX.astype(int), axis=0)
    assert (found.probability_KYX[:, valid_YX].argmax(axis=0) == found.class_YX[valid_YX]).all()
    if classes > 1:
        assert (ordered_KYX[-1] > ordered_KYX[-2])[valid_YX].all()
    exact_KYX = STEPS * share_KYX
    is_class_KYX = np.arange(classes)[:, None, None] == logits_KYX.argmax(axis=0)
    others = valid_YX & ~is_class_KYX
    assert np.abs(found.probability_KYX - exact_KYX)[others].max(initial=0) <= 0.5 + 1e-4
    raised_KYX = found.probability_KYX - exact_KYX
    assert raised_KYX[valid_YX & is_class_KYX].min(initial=0) >= -0.5 - 1e-4
    assert raised_KYX[valid_YX & is_class_KYX].max(initial=0) <= 1.5 + 1e-4  # one above an equal one that was rounded up
    assert (found.probability_KYX[:, ~valid_YX] == 255).all()
    assert found.probability_KYX[:, valid_YX].max(initial=0) <= STEPS
    largest = np.log(classes) if classes > 1 else 1.0
    exact_YX = STEPS * entropy(share_KYX, axis=0) / largest
    assert np.abs(found.entropy_YX - exact_YX)[valid_YX].max(initial=0) <= 0.5 + 1e-4
    assert (found.entropy_YX[~valid_YX] == 255).all()


def test_known_pixels() -> None:
    shares = np.array([[0.5, 0.24, 0.0, 1 / 3], [0.5, 0.24, 1.0, 1 / 3], [0.0, 0.52, 0.0, 1 / 3]])
    with np.errstate(divide="ignore"):
        logits_KYX = np.log(shares)[:, None].astype(np.float32)
    found = quantised(logits_KYX, np.ones((1, 4), bool))
    np.testing.assert_array_equal(found.class_YX, [[0, 2, 1, 0]])
    np.testing.assert_array_equal(found.probability_KYX[:, 0].T, [[126, 125, 0], [60, 60, 130], [0, 250, 0], [84, 83, 83]])
    np.testing.assert_array_equal(found.entropy_YX, [[158, 233, 0, 250]])


def test_one_class_is_certain() -> None:
    found = quantised(RNG.normal(size=(1, 2, 3)).astype(np.float32), np.ones((2, 3), bool))
    assert (found.class_YX == 0).all()
    assert (found.probability_KYX == 250).all()
    assert (found.entropy_YX == 0).all()


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_layout_in_memory_does_not_matter(order: str) -> None:
    logits_KYX = RNG.normal(size=(5, 4, 6)).astype(np.float32)
    valid_YX = np.ones((4, 6), bool)
    for one, other in zip(quantised(np.array(logits_KYX, order=order), valid_YX), quantised(logits_KYX.copy(), valid_YX), strict=True):  # type: ignore[call-overload]
        np.testing.assert_array_equal(one, other)


@given(seed=st.integers(0, 999), size=st.sampled_from([0.1, 3.0, 1e4]))
def test_sigmoids(seed: int, size: float) -> None:
    values_KYX = np.random.default_rng(seed).normal(0, size, (3, 4, 5)).astype(np.float32)
    valid_YX = np.random.default_rng(seed).random((4, 5)) < 0.7
    found = sigmoids(values_KYX, valid_YX)
    assert found.dtype == np.uint8
    assert np.abs(found - 250 * expit(values_KYX.astype(np.float64)))[:, valid_YX].max(initial=0) <= 0.5 + 1e-3
    assert (found[:, ~valid_YX] == 255).all()
