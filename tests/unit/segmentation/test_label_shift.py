"""Label shift: the shares are met, whatever the probabilities; scipy as the oracle; shares out of reach; bad shares."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp, softmax

from cropcam.model.segmentation.label_shift import LARGEST, label_shift


def log_probabilities(seed: int, pixels: int, classes: int, sharpness: float) -> npt.NDArray[np.float64]:
    random = np.random.default_rng(seed)
    return log_softmax(sharpness * (random.normal(size=(pixels, classes)) + random.normal(size=classes)), axis=1)


@settings(deadline=None, max_examples=80)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 300),
    st.integers(2, 9),
    st.floats(0.01, 8),
    st.lists(st.floats(0, 1), min_size=9, max_size=9).filter(lambda shares: max(shares[:2]) > 0.01),
)
def test_the_mean_probability_is_the_share(seed: int, pixels: int, classes: int, sharpness: float, shares: list[float]) -> None:
    log, target = log_probabilities(seed, pixels, classes, sharpness), np.array(shares[:classes])
    target = np.where(target < 1e-3, 0, target)
    found = label_shift(log, target)
    shifted = softmax(log + found.offset_K, axis=1).mean(axis=0)
    np.testing.assert_allclose(found.reached_K, shifted, atol=1e-9)
    np.testing.assert_allclose(shifted, target / target.sum(), atol=1e-5)
    assert found.is_met(target)
    assert (found.reached_K[target == 0] == 0).all()
    assert found.offset_K[target > 0].mean() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_the_offsets_are_those_of_a_general_minimiser(seed: int) -> None:
    log, target = log_probabilities(seed, 500, 4, 2.0), np.array([0.1, 0.2, 0.3, 0.4])
    best = minimize(lambda offset: logsumexp(log + offset, axis=1).mean() - target @ offset, np.zeros(4), tol=1e-12)
    np.testing.assert_allclose(label_shift(log, target).offset_K, best.x - best.x.mean(), atol=1e-3)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_the_shares_that_are_there_need_no_shift_and_constants_change_nothing(seed: int) -> None:
    log, random = log_probabilities(seed, 100, 5, 2.0), np.random.default_rng(seed)
    np.testing.assert_allclose(label_shift(log, np.exp(log).mean(axis=0)).offset_K, 0, atol=1e-4)
    target = random.dirichlet(np.ones(5))
    logits = log + random.normal(size=(100, 1)) * 20
    np.testing.assert_allclose(label_shift(logits, 100 * target).offset_K, label_shift(log, target).offset_K, atol=1e-4)


def test_it_is_the_rule_of_saerens_where_that_one_is_right() -> None:
    """Two classes with normal spectra: where their shares alone differ, the factor is the ratio of the shares."""
    random = np.random.default_rng(0)
    trained, there = np.array([0.5, 0.5]), np.array([0.8, 0.2])
    value = random.normal(2.0 * (random.random(400_000) < there[1]))
    log = log_softmax(np.stack([np.log(trained[0]) - value**2 / 2, np.log(trained[1]) - (value - 2) ** 2 / 2], axis=1), axis=1)
    offset = label_shift(log, there).offset_K
    assert offset[1] - offset[0] == pytest.approx(np.log((there[1] / trained[1]) / (there[0] / trained[0])), abs=0.02)


def test_a_share_out_of_reach_ends_within_bounds_and_says_so() -> None:
    log = np.log(
        np.array([[1.0, 0.0, 0.0]] * 50 + [[0.5, 0.5, 0.0]] * 50),
        where=np.array([[True, False, False]] * 50 + [[True, True, False]] * 50),
        out=np.full((100, 3), -np.inf),
    )
    found = label_shift(log, np.array([0.2, 0.8, 0.0]))
    assert not found.is_met(np.array([0.2, 0.8, 0.0]))
    np.testing.assert_allclose(found.reached_K, [0.5, 0.5, 0], atol=1e-6)
    assert np.ptp(found.offset_K[:2]) <= LARGEST + 1e-9
    absent = label_shift(np.full((4, 2), [0.0, -np.inf]), np.array([0.5, 0.5]))
    assert np.isfinite(absent.offset_K).all()
    assert not absent.is_met(np.array([0.5, 0.5]))


def test_one_class_with_a_share_gets_every_pixel() -> None:
    found = label_shift(log_probabilities(0, 20, 3, 1.0), np.array([0.0, 7.0, 0.0]))
    assert found.reached_K.tolist() == [0, 1, 0]
    assert found.offset_K.tolist() == [-np.inf, 0, -np.inf]


@pytest.mark.parametrize("target", [[0.0, 0.0], [-0.1, 1.1], [np.nan, 1.0], [np.inf, 1.0]])
def test_shares_that_are_none_are_refused(target: list[float]) -> None:
    with pytest.raises(ValueError, match="shares of at least 0 with a sum above 0"):
        label_shift(np.zeros((3, 2)), np.array(target))
    with pytest.raises(ValueError, match="0 pixels"):
        label_shift(np.zeros((0, 2)), np.array([0.5, 0.5]))
