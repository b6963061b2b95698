"""Refinement wall to wall: the laws it keeps (against loops over the whole raster: test_predictor)."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from cropcam.model.inference.refinement import cell_px, refine_window, ring_px
from cropcam.model.segmentation.methods import Method
from cropcam.model.segmentation.spectral import ClassStatistics, refine_by_spectra

CLASSES, BANDS = 3, 2
METHOD = Method(
    "spectral", (1.0,) * CLASSES, (0.0,) * CLASSES, mean_KC=((-1.0, 0.0), (0.0, 1.0), (1.0, -1.0)), cov_CC=((1.0, 0.3), (0.3, 0.7))
)


def fields(cells: int, cell: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits of square fields of a class each, unsure about their edges, and bands that depend on the class."""
    random = np.random.default_rng(seed)
    side = cells * cell + 2
    class_YX = random.integers(0, CLASSES, (side // 6 + 1, side // 6 + 1)).repeat(6, axis=0).repeat(6, axis=1)[:side, :side]
    logits_KYX = random.normal(0, 0.5, (CLASSES, side, side)) + 2 * (np.arange(CLASSES)[:, None, None] == class_YX)
    x_CYX = np.array(METHOD.mean_KC).T[:, class_YX] + random.normal(0, 0.5, (BANDS, side, side))
    return logits_KYX.astype(np.float32), x_CYX.astype(np.float32)


@settings(max_examples=20)
@given(size_px=st.sampled_from([8, 9, 16]), seed=st.integers(0, 99))
def test_in_the_middle_of_a_patch_it_is_the_refinement_of_the_patch(size_px: int, seed: int) -> None:
    """At the corner of four cells the patch about it has all the weight but a trace: the tents of the others are nearly 0 there."""
    cell = cell_px(size_px)
    logits_KYX, x_CYX = fields(4, cell, seed)
    valid_YX = np.ones(logits_KYX.shape[1:], bool)
    found = softmax(refine_window(logits_KYX, x_CYX, valid_YX, METHOD, cell), axis=0)
    patch = np.s_[:, 1 + cell : 1 + 3 * cell, 1 + cell : 1 + 3 * cell]
    statistics = ClassStatistics(torch.tensor(METHOD.mean_KC), torch.tensor(METHOD.cov_CC))
    alone = refine_by_spectra(torch.from_numpy(logits_KYX[patch])[None], torch.from_numpy(x_CYX[patch])[None], torch.ones(1, 2 * cell, 2 * cell, dtype=torch.bool), statistics)  # fmt: skip
    middle = np.s_[:, cell - 1 : cell + 1, cell - 1 : cell + 1]
    share = (0.5 / cell) * 2  # weight of the other three patches, at most
    assert np.abs(found[middle] - softmax(alone[0].numpy(), axis=0)[middle]).max() <= share


def test_pixels_away_from_boundaries_stay() -> None:
    logits_KYX, x_CYX = fields(5, 5, 0)
    valid_YX = np.ones(logits_KYX.shape[1:], bool)
    found = refine_window(logits_KYX, x_CYX, valid_YX, METHOD, 5)
    class_YX = logits_KYX.argmax(axis=0)
    core = np.s_[6:-6, 6:-6]
    near = np.stack([np.roll(class_YX, shift, (0, 1)) for shift in [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]])
    boundary = (near != class_YX).any(axis=0)[core]
    assert found.shape == (CLASSES, 15, 15)
    assert 0.2 < boundary.mean() < 1
    np.testing.assert_array_equal(found[:, ~boundary], logits_KYX[:, *core][:, ~boundary])
    assert (np.abs(log_softmax(found, axis=0) - log_softmax(logits_KYX[:, *core], axis=0)).max(axis=0)[boundary] > 0).all()


def test_pixels_without_data_neither_count_nor_make_a_boundary() -> None:
    logits_KYX, x_CYX = fields(5, 5, 1)
    valid_YX = np.random.default_rng(0).random(logits_KYX.shape[1:]) < 0.7
    random = np.random.default_rng(1)
    other = [np.where(valid_YX, values, random.normal(0, 9, values.shape)).astype(np.float32) for values in (logits_KYX, x_CYX)]
    one, two = refine_window(logits_KYX, x_CYX, valid_YX, METHOD, 5), refine_window(other[0], other[1], valid_YX, METHOD, 5)
    np.testing.assert_array_equal(one[:, valid_YX[6:-6, 6:-6]], two[:, valid_YX[6:-6, 6:-6]])


def test_a_wider_window_has_the_same_pixels() -> None:
    logits_KYX, x_CYX = fields(7, 4, 2)
    valid_YX = np.random.default_rng(0).random(logits_KYX.shape[1:]) < 0.9
    whole = refine_window(logits_KYX, x_CYX, valid_YX, METHOD, 4)
    part = np.s_[..., 8:, 4:]  # whole cells from the upper left
    found = refine_window(logits_KYX[part], x_CYX[part], valid_YX[part], METHOD, 4)
    np.testing.assert_allclose(found, whole[:, 8:, 4:], rtol=0, atol=1e-5)


@given(st.integers(1, 200))
def test_the_ring_holds_the_patches_that_cover_a_pixel_and_their_boundaries(size_px: int) -> None:
    assert ring_px(size_px) == cell_px(size_px) + 1
    assert cell_px(size_px) >= 1
