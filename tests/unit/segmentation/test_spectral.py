"""Spectral refinement at class boundaries: against numpy, pixel by pixel, and its invariances."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cropcam.model.segmentation.spectral import (
    LIKELIHOOD_WEIGHT,
    PRIOR_WEIGHT,
    SHRINKAGE_PIXELS,
    boundary_mask,
    class_statistics,
    refine_by_spectra,
)


def fields(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Log probabilities (B, K, H, W) of classes that lie in blocks, patches (B, C, H, W), valid pixels (B, H, W); float64, class 3 never wins."""
    rng = np.random.default_rng(seed)
    block = np.kron(rng.integers(0, 3, (3, 3, 2)), np.ones((1, 4, 5), np.int64))
    scores = rng.normal(0, 0.5, (3, 4, *block.shape[1:])) + 4 * (np.arange(4)[:, None, None] == block[:, None])
    scores[:, 3] = -9
    image = rng.normal(0, 1, (3, 2, *block.shape[1:])) + block[:, None]
    return torch.from_numpy(scores).log_softmax(dim=1), torch.from_numpy(image), torch.from_numpy(rng.random(block.shape) < 0.9)


def refined(log: torch.Tensor, image: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Refined by the statistics of the same patches."""
    return refine_by_spectra(log, image, valid, class_statistics(log, image, valid))


@settings(max_examples=15)
@given(seed=st.integers(0, 2**31))
def test_agrees_with_numpy(seed: int) -> None:
    log, image, valid = fields(seed)
    label, x, held = log.argmax(dim=1).numpy(), image.numpy(), valid.numpy()
    batch, classes = log.shape[:2]
    boundary = np.zeros(label.shape, bool)
    for b, y, z in np.ndindex(label.shape):
        boundary[b, y, z] = len(np.unique(label[b, max(y - 1, 0) : y + 2, max(z - 1, 0) : z + 2])) > 1
    np.testing.assert_array_equal(boundary_mask(log.argmax(dim=1)).numpy(), boundary)
    inner = ~boundary & held
    everywhere = np.concatenate([x[b][:, inner[b]] for b in range(batch)], axis=1)
    of_all = everywhere.mean(axis=1) if everywhere.size else np.zeros(2)
    mean, off = np.zeros((batch, classes, 2)), []
    for k in range(classes):
        own = [x[b][:, inner[b] & (label[b] == k)] for b in range(batch)]
        count = sum(part.shape[1] for part in own)
        of_batch = (sum(part.sum(axis=1) for part in own) + of_all) / (count + 1)
        for b, part in enumerate(own):
            mean[b, k] = (part.sum(axis=1) + SHRINKAGE_PIXELS * of_batch) / (part.shape[1] + SHRINKAGE_PIXELS)
            off.append(part - mean[b, k][:, None])
    away = np.concatenate(off, axis=1)
    covariance = away @ away.T / max(away.shape[1], 1)
    covariance += (1e-3 * covariance.diagonal().mean() + 1e-6) * np.eye(2)
    share = (np.exp(log.numpy()) * held[:, None]).sum(axis=(2, 3)) / held.sum(axis=(1, 2))[:, None]
    expected = log.numpy().copy()
    for b, y, z in zip(*np.nonzero(boundary), strict=True):
        apart = x[b, :, y, z] - mean[b]
        density = -LIKELIHOOD_WEIGHT / 2 * np.einsum("kc,cd,kd->k", apart, np.linalg.inv(covariance), apart)
        expected[b, :, y, z] += density - np.log(np.exp(density - density.max()).sum()) - density.max()
        expected[b, :, y, z] += PRIOR_WEIGHT * np.log(share[b].clip(min=1e-4))
    found = refined(log, image, valid)
    assert found.dtype == torch.float32
    if everywhere.size:  # without a pixel away from boundaries the spectra carry no information, whatever the covariance
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-3, atol=1e-3)


def test_the_result_of_a_patch_depends_on_no_other_patch() -> None:
    log, image, valid = fields(6)
    statistics = class_statistics(log, image, valid)
    alone = [refine_by_spectra(log[i : i + 1], image[i : i + 1], valid[i : i + 1], statistics) for i in range(len(log))]
    torch.testing.assert_close(torch.cat(alone), refine_by_spectra(log, image, valid, statistics))


def test_away_from_boundaries_nothing_changes() -> None:
    log, image, valid = fields(1)
    found, boundary = refined(log, image, valid), boundary_mask(log.argmax(dim=1))
    assert boundary.any()
    assert not boundary.all()
    inner = ~boundary[:, None].expand_as(log)
    torch.testing.assert_close(found[inner], log[inner].float())
    assert not torch.allclose(found[~inner], log[~inner].float())


def test_pixels_without_image_data_have_no_influence() -> None:
    log, image, valid = fields(2)
    spoilt = torch.where(valid[:, None], image, 1e4)
    held = valid[:, None].expand_as(log)
    torch.testing.assert_close(refined(log, spoilt, valid)[held], refined(log, image, valid)[held])


def test_a_linear_map_of_the_bands_changes_nothing() -> None:
    """A covariance makes any units of the bands alike, up to its small ridge."""
    log, image, valid = fields(3)
    mixed = torch.einsum("cd,bdhw->bchw", torch.tensor([[2.0, 1.0], [0.0, 3.0]]).double(), image) + 1
    torch.testing.assert_close(refined(log, mixed, valid), refined(log, image, valid), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("one", [True, False])
def test_without_a_pixel_away_from_boundaries_no_class_changes(one: bool) -> None:
    """One class everywhere has no boundary, a chessboard nothing else: either way spectra separate no classes."""
    label = torch.zeros(1, 6, 6, dtype=torch.int64) if one else (torch.arange(6)[:, None] + torch.arange(6))[None] % 2
    log = torch.nn.functional.one_hot(label, 2).movedim(-1, 1).float().log_softmax(dim=1)
    found = refined(log, torch.randn(1, 3, 6, 6), torch.ones(1, 6, 6, dtype=torch.bool))
    assert torch.equal(found.argmax(dim=1), log.argmax(dim=1))
