"""What spectra say at borders: against numpy, pixel by pixel, and the laws it must keep."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.spectra import BALANCE, PIXELS, WEIGHT, borders, by_spectra, seen


def fields(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Log probabilities (B, K, H, W) of classes that lie in blocks, patches (B, C, H, W), valid pixels (B, H, W); float64, class 3 never wins."""
    rng = np.random.default_rng(seed)
    block = np.kron(rng.integers(0, 3, (3, 3, 2)), np.ones((1, 4, 5), np.int64))
    scores = rng.normal(0, 0.5, (3, 4, *block.shape[1:])) + 4 * (np.arange(4)[:, None, None] == block[:, None])
    scores[:, 3] = -9
    image = rng.normal(0, 1, (3, 2, *block.shape[1:])) + block[:, None]
    return torch.from_numpy(scores).log_softmax(dim=1), torch.from_numpy(image), torch.from_numpy(rng.random(block.shape) < 0.9)


@settings(max_examples=15)
@given(seed=st.integers(0, 2**31))
def test_agrees_with_numpy(seed: int) -> None:
    log, image, valid = fields(seed)
    label, x, held = log.argmax(dim=1).numpy(), image.numpy(), valid.numpy()
    batch, classes = log.shape[:2]
    border = np.zeros(label.shape, bool)
    for b, y, z in np.ndindex(label.shape):
        border[b, y, z] = len(np.unique(label[b, max(y - 1, 0) : y + 2, max(z - 1, 0) : z + 2])) > 1
    np.testing.assert_array_equal(borders(log.argmax(dim=1)).numpy(), border)
    inner = ~border & held
    everywhere = np.concatenate([x[b][:, inner[b]] for b in range(batch)], axis=1)
    of_all = everywhere.mean(axis=1) if everywhere.size else np.zeros(2)
    mean, off = np.zeros((batch, classes, 2)), []
    for k in range(classes):
        own = [x[b][:, inner[b] & (label[b] == k)] for b in range(batch)]
        count = sum(part.shape[1] for part in own)
        of_batch = (sum(part.sum(axis=1) for part in own) + of_all) / (count + 1)
        for b, part in enumerate(own):
            mean[b, k] = (part.sum(axis=1) + PIXELS * of_batch) / (part.shape[1] + PIXELS)
            off.append(part - mean[b, k][:, None])
    away = np.concatenate(off, axis=1)
    covariance = away @ away.T / max(away.shape[1], 1)
    covariance += (1e-3 * covariance.diagonal().mean() + 1e-6) * np.eye(2)
    wanted = log.numpy().copy()
    for b, y, z in zip(*np.nonzero(border), strict=True):
        apart = x[b, :, y, z] - mean[b]
        density = -WEIGHT / 2 * np.einsum("kc,cd,kd->k", apart, np.linalg.inv(covariance), apart)
        wanted[b, :, y, z] += density - np.log(np.exp(density - density.max()).sum()) - density.max()
    found = by_spectra(log, image, valid)
    assert found.dtype == torch.float32
    if everywhere.size:  # without a pixel away from borders the spectra say nothing, whatever the covariance
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-3, atol=1e-3)


def test_what_is_known_of_classes_stands_for_the_batch_and_the_patchs_own_shares_are_heard() -> None:
    log, image, valid = fields(5)
    of_batch, known = by_spectra(log, image, valid), by_spectra(log, image, valid, seen(log, image, valid))
    share = (log.exp() * valid[:, None]).sum(dim=(2, 3)) / valid.sum(dim=(1, 2))[:, None]
    heard = BALANCE * share.clamp(min=1e-4).log()[:, :, None, None].expand_as(log).float() * borders(log.argmax(dim=1))[:, None]
    torch.testing.assert_close(known, of_batch + heard)


def test_a_patch_is_told_by_what_is_known_and_by_itself() -> None:
    log, image, valid = fields(6)
    known = seen(log, image, valid)
    alone = [by_spectra(log[i : i + 1], image[i : i + 1], valid[i : i + 1], known) for i in range(len(log))]
    torch.testing.assert_close(torch.cat(alone), by_spectra(log, image, valid, known))


def test_away_from_borders_nothing_changes() -> None:
    log, image, valid = fields(1)
    found, border = by_spectra(log, image, valid), borders(log.argmax(dim=1))
    assert border.any()
    assert not border.all()
    inner = ~border[:, None].expand_as(log)
    torch.testing.assert_close(found[inner], log[inner].float())
    assert not torch.allclose(found[~inner], log[~inner].float())


def test_pixels_without_image_data_say_nothing() -> None:
    log, image, valid = fields(2)
    spoilt = torch.where(valid[:, None], image, 1e4)
    held = valid[:, None].expand_as(log)
    torch.testing.assert_close(by_spectra(log, spoilt, valid)[held], by_spectra(log, image, valid)[held])


def test_no_linear_map_of_the_bands_changes_what_they_say() -> None:
    """A covariance makes any units of the bands alike, up to its small ridge."""
    log, image, valid = fields(3)
    mixed = torch.einsum("cd,bdhw->bchw", torch.tensor([[2.0, 1.0], [0.0, 3.0]]).double(), image) + 1
    torch.testing.assert_close(by_spectra(log, mixed, valid), by_spectra(log, image, valid), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("one", [True, False])
def test_without_a_pixel_away_from_borders_all_stays(one: bool) -> None:
    """One class everywhere has no border, a chessboard nothing else: either way no class is told from another by spectra."""
    label = torch.zeros(1, 6, 6, dtype=torch.int64) if one else (torch.arange(6)[:, None] + torch.arange(6))[None] % 2
    log = torch.nn.functional.one_hot(label, 2).movedim(-1, 1).float().log_softmax(dim=1)
    found = by_spectra(log, torch.randn(1, 3, 6, 6), torch.ones(1, 6, 6, dtype=torch.bool))
    torch.testing.assert_close(found.log_softmax(dim=1), log)
