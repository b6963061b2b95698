"""Distances to the nearest class against numpy's own inverse of the shrunk covariance."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cropcam.model.transfer.class_distance import MIN_PIXELS, SHRINKAGE, ClassDistance
from cropcam.pipeline.errors import DataError


def drawn(seed: int, size: int = 4, classes: int = 3, pixels: int = 400) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    class_P = rng.integers(classes, size=pixels)
    mean_KD, mix_DD = rng.normal(0, 4, (classes, size)), rng.normal(0, 1, (size, size))
    return (mean_KD[class_P] + rng.normal(size=(pixels, size)) @ mix_DD).astype(np.float32), class_P


@settings(max_examples=20)
@given(st.integers(0, 1000), st.integers(1, 6))
def test_distances_are_those_of_the_shrunk_covariance(seed: int, size: int) -> None:
    feature_PD, class_P = drawn(seed, size)
    found_P = ClassDistance.fit(feature_PD, class_P)(torch.from_numpy(feature_PD)).numpy()
    values_PD = feature_PD.astype(np.float64)
    means = {k: values_PD[class_P == k].mean(axis=0) for k in np.unique(class_P)}
    within_PD = np.stack([value - means[k] for value, k in zip(values_PD, class_P, strict=True)])
    cov_DD = np.cov(within_PD.T, bias=True).reshape(size, size)
    inverse_DD = np.linalg.inv((1 - SHRINKAGE) * cov_DD + SHRINKAGE * np.trace(cov_DD) / size * np.eye(size))
    expected_P = [min(np.sqrt((value - mean) @ inverse_DD @ (value - mean)) for mean in means.values()) for value in values_PD]
    np.testing.assert_allclose(found_P, expected_P, rtol=2e-3, atol=2e-3)


def test_a_class_with_few_pixels_has_no_mean() -> None:
    feature_PD, class_P = drawn(0)
    few = ClassDistance.fit(feature_PD, np.where(np.arange(len(class_P)) < MIN_PIXELS - 1, 7, class_P % 2))
    assert len(few.mean_KD) == 2
    assert len(ClassDistance.fit(feature_PD[:5], class_P[:5]).mean_KD) == 1, "without a frequent class one mean of all"


def test_features_that_never_change_have_a_distance() -> None:
    found = ClassDistance.fit(np.zeros((100, 3), np.float32), np.zeros(100, np.int64))
    assert float(found(torch.zeros(1, 3))) == 0
    assert float(found(torch.ones(1, 3))) > 1e3


def test_features_that_are_not_finite_are_refused() -> None:
    with pytest.raises(DataError, match=r"features are not finite: its training diverged"):
        ClassDistance.fit(np.array([[np.nan]], np.float32), np.zeros(1, np.int64))


def test_six_digits_are_enough() -> None:
    feature_PD, class_P = drawn(1)
    found = ClassDistance.fit(feature_PD, class_P)
    again = ClassDistance(**{key: tuple(map(tuple, rows)) for key, rows in json.loads(json.dumps(asdict(found))).items()})
    assert again == found
