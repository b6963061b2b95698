"""What a network labels itself: against numpy, and the laws it must keep."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.losses import Batch, Targets
from model.networks import build
from model.selflabels import ROUNDS, mended_labels, own_label_loss, self_labels
from pipeline.legend import UNLABELLED

Floats = npt.NDArray[np.float64]


def oracle(scores_BKHW: Floats, valid_BHW: npt.NDArray[np.bool_], share_BK: Floats, group_B: list[int]) -> tuple[Floats, Floats]:
    """Matched log probabilities (B, K, H, W) and the mean over each group's valid pixels (B, K), pixel by pixel."""
    batch, classes, height, width = scores_BKHW.shape
    chance = np.exp(scores_BKHW - scores_BKHW.max(axis=1, keepdims=True))
    chance /= chance.sum(axis=1, keepdims=True)
    log = np.zeros_like(chance)
    for b in range(batch):
        for y in range(height):
            for x in range(width):
                near = np.s_[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
                held = valid_BHW[b][near]
                mean = chance[b][:, *near][:, held].sum(axis=1) / max(held.sum(), 1e-9)
                log[b, :, y, x] = np.log(np.maximum(mean, 1e-6))
    mean_BK = np.zeros((batch, classes))
    for _ in range(ROUNDS):
        matched = np.exp(log) / np.exp(log).sum(axis=1, keepdims=True)
        for b in range(batch):
            of_group = [i for i in range(batch) if group_B[i] == group_B[b]]
            mean_BK[b] = np.concatenate([matched[i][:, valid_BHW[i]] for i in of_group], axis=1).mean(axis=1)
        log = log + (np.log(np.maximum(share_BK, 1e-6)) - np.log(mean_BK))[:, :, None, None]
    return log, mean_BK


@settings(max_examples=25)
@given(seed=st.integers(0, 2**31), together=st.booleans())
def test_agrees_with_numpy(seed: int, together: bool) -> None:
    rng = np.random.default_rng(seed)
    scores, valid = rng.normal(0, 2, (3, 4, 6, 5)), rng.random((3, 6, 5)) < 0.8
    valid[:, 0, 0] = True
    share = rng.dirichlet(np.ones(4), 3)
    group = [0, 0, 1] if together else [0, 1, 2]
    if together:
        share[1] = share[0]
    log, _ = oracle(scores, valid, share, group)
    targets = Targets(torch.from_numpy(valid), torch.from_numpy(share), group_B=torch.tensor(group) if together else None)
    found = mended_labels(torch.from_numpy(scores), targets).numpy()
    best = np.sort(log, axis=1)
    sure = valid & (best[:, -1] - best[:, -2] > 1e-6)
    np.testing.assert_array_equal(found[sure], log.argmax(axis=1)[sure])
    assert (found[~valid] == UNLABELLED).all()


def test_there_is_as_much_of_each_class_as_its_share() -> None:
    """Over many pixels whose scores differ, the labels have the shares, whatever the network thought before."""
    torch.manual_seed(0)
    scores = 3 * torch.randn(1, 3, 60, 60).double() + torch.tensor([4.0, 0.0, -4.0])[:, None, None]
    share = torch.tensor([[0.2, 0.5, 0.3]]).double()
    assert (scores.argmax(dim=1) == 0).float().mean() > 0.7
    label = mended_labels(scores, Targets(torch.ones(1, 60, 60, dtype=torch.bool), share))
    found = torch.bincount(label.ravel(), minlength=3) / label.numel()
    assert (found - share[0]).abs().max() < 0.15  # the mean probability has them exactly, the largest nearly


def test_a_class_that_is_not_there_is_never_given() -> None:
    scores = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1)) + torch.tensor([9.0, 0.0, 0.0])[:, None, None]
    label = mended_labels(scores, Targets(torch.ones(2, 8, 8, dtype=torch.bool), torch.tensor([[0.0, 0.6, 0.4], [0.0, 0.0, 1.0]])))
    assert set(label[0].unique().tolist()) == {1, 2}
    assert label[1].unique().tolist() == [2]


def test_a_patch_without_a_label_does_not_spoil_its_group() -> None:
    valid, share = torch.ones(3, 6, 6, dtype=torch.bool), torch.tensor([[0.9, 0.1, 0.0]] * 3)
    scores, group = torch.randn(3, 3, 6, 6), torch.zeros(3, dtype=torch.int64)
    for unknown in range(3):
        known = torch.arange(3) != unknown
        shares = torch.where(known[:, None], share, torch.nan)
        label = mended_labels(scores, Targets(valid, shares, group_B=group))
        assert (label[unknown] == UNLABELLED).all()
        assert set(label[known].unique().tolist()) <= {0, 1}


def test_patches_without_shares_label_nothing() -> None:
    valid = torch.ones(2, 7, 7, dtype=torch.bool)
    share = torch.tensor([[torch.nan] * 3, [0.5, 0.5, 0.0]])
    label = mended_labels(torch.randn(2, 3, 7, 7), Targets(valid, share))
    assert (label[0] == UNLABELLED).all()
    assert (label[1] != UNLABELLED).all()


def test_without_shares_the_largest_score_wins_where_there_is_image_data() -> None:
    scores, valid = torch.randn(2, 4, 5, 6), torch.rand(2, 5, 6) < 0.7
    label = self_labels(scores, valid)
    np.testing.assert_array_equal(label[valid], scores.numpy().argmax(axis=1)[valid.numpy()])
    assert (label[~valid] == UNLABELLED).all()


def test_the_loss_is_the_cross_entropy_with_what_was_said() -> None:
    """Against numpy; a class that scores 0 gets the pixels that no other claims, and no gradient."""
    network = build("fcn", 2, 3)
    x, valid = torch.randn(2, 2, 6, 7), torch.rand(2, 6, 7) < 0.8
    said, rest = torch.randn(2, 3, 6, 7), torch.tensor([False, True, False])
    for rest_K in (None, rest):
        batch = Batch(network, network(x), valid)
        scores, wanted = batch.scores_BKHW.detach().double().numpy().copy(), said.double().numpy().copy()
        if rest_K is not None:
            scores[:, 1] = wanted[:, 1] = 0
        log = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        chosen = np.take_along_axis(log, wanted.argmax(axis=1)[:, None], axis=1)[:, 0]
        loss, pixels = own_label_loss(batch, said, Targets(valid), "presence", rest_K)
        assert pixels == valid.sum()
        assert loss.item() == pytest.approx(-chosen[valid.numpy()].mean(), rel=1e-5)
        network.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        assert network.dense.bias.grad is not None
        assert bool(network.dense.bias.grad[1] == 0) == (rest_K is not None)


def test_without_a_pixel_to_label_there_is_a_loss_of_nothing() -> None:
    network = build("fcn", 2, 3)
    valid = torch.zeros(1, 6, 6, dtype=torch.bool)
    batch = Batch(network, network(torch.randn(1, 2, 6, 6)), valid)
    loss, pixels = own_label_loss(batch, torch.randn(1, 3, 6, 6), Targets(valid), "points")
    loss.backward()  # type: ignore[no-untyped-call]
    assert (loss.item(), pixels.item()) == (0, 0)
    assert all(weight.grad is not None and not weight.grad.any() for weight in network.parameters())
