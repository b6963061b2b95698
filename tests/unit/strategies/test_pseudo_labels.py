"""What a network labels itself: against numpy, and the laws it must keep."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from cropcam.model.losses.objectives import ModelOutputs, Targets
from cropcam.model.networks import build
from cropcam.model.strategies.pseudo_labels import (
    MATCHING_ITERATIONS,
    PseudoLabeler,
    argmax_labels,
    prior_matched_labels,
    proportion_matched_labels,
)
from cropcam.pipeline.legend import UNLABELLED

Floats = npt.NDArray[np.float64]


def averaged(logits_BKHW: Floats, valid_BHW: npt.NDArray[np.bool_]) -> Floats:
    """Log of the mean softmax of the valid pixels within 3 x 3 (B, K, H, W), pixel by pixel."""
    batch, _, height, width = logits_BKHW.shape
    chance = np.exp(logits_BKHW - logits_BKHW.max(axis=1, keepdims=True))
    chance /= chance.sum(axis=1, keepdims=True)
    log = np.zeros_like(chance)
    for b in range(batch):
        for y in range(height):
            for x in range(width):
                near = np.s_[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
                held = valid_BHW[b][near]
                mean = chance[b][:, *near][:, held].sum(axis=1) / max(held.sum(), 1e-9)
                log[b, :, y, x] = np.log(np.maximum(mean, 1e-6))
    return log


def means(log_BKHW: Floats, valid_BHW: npt.NDArray[np.bool_], bag_B: list[int]) -> Floats:
    """Mean probability over the valid pixels of each patch's bag (B, K)."""
    chance = np.exp(log_BKHW) / np.exp(log_BKHW).sum(axis=1, keepdims=True)
    found = []
    for bag in bag_B:
        members = [i for i in range(len(bag_B)) if bag_B[i] == bag]
        found.append(np.concatenate([chance[i][:, valid_BHW[i]] for i in members], axis=1).mean(axis=1))
    return np.array(found)


def assert_largest(found_BHW: npt.NDArray[np.int64], log_BKHW: Floats, valid_BHW: npt.NDArray[np.bool_]) -> None:
    best = np.sort(log_BKHW, axis=1)
    sure = valid_BHW & (best[:, -1] - best[:, -2] > 1e-6)
    np.testing.assert_array_equal(found_BHW[sure], log_BKHW.argmax(axis=1)[sure])
    assert (found_BHW[~valid_BHW] == UNLABELLED).all()


@settings(max_examples=25)
@given(seed=st.integers(0, 2**31), together=st.booleans())
def test_agrees_with_numpy(seed: int, together: bool) -> None:
    rng = np.random.default_rng(seed)
    scores, valid = rng.normal(0, 2, (3, 4, 6, 5)), rng.random((3, 6, 5)) < 0.8
    valid[:, 0, 0] = True
    share = rng.dirichlet(np.ones(4), 3)
    bag_B = [0, 0, 1] if together else [0, 1, 2]
    if together:
        share[1] = share[0]
    log = averaged(scores, valid)
    for _ in range(MATCHING_ITERATIONS):
        log = log + (np.log(np.maximum(share, 1e-6)) - np.log(means(log, valid, bag_B)))[:, :, None, None]
    targets = Targets(torch.from_numpy(valid), torch.from_numpy(share), bag_B=torch.tensor(bag_B) if together else None)
    assert_largest(proportion_matched_labels(torch.from_numpy(scores), targets).numpy(), log, valid)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**31), min_share=st.sampled_from([0.0, 0.1, 0.4]))
def test_with_a_prior_agrees_with_numpy(seed: int, min_share: float) -> None:
    """The batch has the prior, then each patch the marginal of its presence label; a patch without a label is only part of the batch."""
    rng = np.random.default_rng(seed)
    scores, valid = rng.normal(0, 2, (3, 4, 6, 5)), rng.random((3, 6, 5)) < 0.8
    valid[:, 0, 0] = True
    prior, label = rng.dirichlet(np.ones(4)), (rng.random((3, 4)) < 0.6).astype(np.float64)
    label[1] = np.nan
    least, log = max(min_share, 0.5 / 30), averaged(scores, valid)
    for _ in range(MATCHING_ITERATIONS):
        log = log + (np.log(np.maximum(prior, 1e-6)) - np.log(means(log, valid, [0, 0, 0])))[:, :, None, None]
        mean = means(log, valid, [0, 1, 2])
        wanted = np.where(label > 0, np.maximum(mean, least), np.minimum(mean, least))
        log = log + np.where(np.isnan(label), 0, np.log(wanted) - np.log(mean))[:, :, None, None]
    targets = Targets(torch.from_numpy(valid), torch.from_numpy(label))
    assert_largest(prior_matched_labels(torch.from_numpy(scores), targets, torch.from_numpy(prior), min_share).numpy(), log, valid)


def test_there_is_as_much_of_each_class_as_its_share() -> None:
    """Over many pixels whose scores differ, the labels have the shares, whatever the network predicts."""
    torch.manual_seed(0)
    scores = 3 * torch.randn(1, 3, 60, 60).double() + torch.tensor([4.0, 0.0, -4.0])[:, None, None]
    share = torch.tensor([[0.2, 0.5, 0.3]]).double()
    assert (scores.argmax(dim=1) == 0).float().mean() > 0.7
    label = proportion_matched_labels(scores, Targets(torch.ones(1, 60, 60, dtype=torch.bool), share))
    found = torch.bincount(label.ravel(), minlength=3) / label.numel()
    assert (found - share[0]).abs().max() < 0.15  # the mean probability has them exactly, the largest nearly


def test_an_absent_class_is_never_a_pseudo_label() -> None:
    scores = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1)) + torch.tensor([9.0, 0.0, 0.0])[:, None, None]
    label = proportion_matched_labels(
        scores, Targets(torch.ones(2, 8, 8, dtype=torch.bool), torch.tensor([[0.0, 0.6, 0.4], [0.0, 0.0, 1.0]]))
    )
    assert set(label[0].unique().tolist()) == {1, 2}
    assert label[1].unique().tolist() == [2]


def test_a_batch_has_the_prior_and_no_patch_a_class_it_lacks() -> None:
    torch.manual_seed(0)
    scores = 3 * torch.randn(4, 3, 40, 40) + torch.tensor([4.0, 0.0, -4.0])[:, None, None]
    prior, label = torch.tensor([0.2, 0.5, 0.3]), torch.tensor([[1.0, 1.0, 1.0]] * 3 + [[1.0, 0.0, 1.0]])
    valid = torch.ones(4, 40, 40, dtype=torch.bool)
    found = prior_matched_labels(scores, Targets(valid, label), prior, 0.0)
    share = torch.bincount(found.ravel(), minlength=3) / found.numel()
    assert (share - prior).abs().max() < 0.15
    assert (found[3] == 1).sum() <= 1  # of 1,600
    with_an_empty_one = Targets(torch.cat([valid, ~valid[:1]]), torch.cat([label, label[:1]]))
    of_five = prior_matched_labels(torch.cat([scores, scores[:1]]), with_an_empty_one, prior, 0.0)
    assert torch.equal(of_five[:4], found)
    assert (of_five[4] == UNLABELLED).all()
    network, x = build("fcn", 2, 3), torch.randn(4, 2, 40, 40)
    batch = ModelOutputs(network, network(x), valid)
    with_prior, _ = PseudoLabeler("presence", prior_K=prior).loss(batch, scores, Targets(valid, label))
    assert with_prior.item() == pytest.approx(F.cross_entropy(batch.logits_BKHW, found).item(), rel=1e-5)


def test_a_patch_without_a_label_does_not_spoil_its_group() -> None:
    valid, share = torch.ones(3, 6, 6, dtype=torch.bool), torch.tensor([[0.9, 0.1, 0.0]] * 3)
    scores, bag_B = torch.randn(3, 3, 6, 6), torch.zeros(3, dtype=torch.int64)
    for unknown in range(3):
        known = torch.arange(3) != unknown
        shares = torch.where(known[:, None], share, torch.nan)
        label = proportion_matched_labels(scores, Targets(valid, shares, bag_B=bag_B))
        assert (label[unknown] == UNLABELLED).all()
        assert set(label[known].unique().tolist()) <= {0, 1}


def test_without_shares_the_largest_score_wins_where_there_is_image_data() -> None:
    scores, valid = torch.randn(2, 4, 5, 6), torch.rand(2, 5, 6) < 0.7
    label = argmax_labels(scores, valid)
    np.testing.assert_array_equal(label[valid], scores.numpy().argmax(axis=1)[valid.numpy()])
    assert (label[~valid] == UNLABELLED).all()


def test_the_loss_is_the_cross_entropy_with_the_pseudo_labels() -> None:
    """Against numpy; a class that scores 0 gets the pixels that no other claims, and no gradient."""
    network = build("fcn", 2, 3)
    x, valid = torch.randn(2, 2, 6, 7), torch.rand(2, 6, 7) < 0.8
    teacher_BKHW, rest = torch.randn(2, 3, 6, 7), torch.tensor([False, True, False])
    for remainder_K in (None, rest):
        batch = ModelOutputs(network, network(x), valid)
        scores, wanted = batch.logits_BKHW.detach().double().numpy().copy(), teacher_BKHW.double().numpy().copy()
        if remainder_K is not None:
            scores[:, 1] = wanted[:, 1] = 0
        log = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        chosen = np.take_along_axis(log, wanted.argmax(axis=1)[:, None], axis=1)[:, 0]
        loss, pixels = PseudoLabeler("presence", remainder_K=remainder_K).loss(batch, teacher_BKHW, Targets(valid))
        assert pixels == valid.sum()
        assert loss.item() == pytest.approx(-chosen[valid.numpy()].mean(), rel=1e-5)
        network.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        assert network.dense.bias.grad is not None
        assert bool(network.dense.bias.grad[1] == 0) == (remainder_K is not None)


def test_without_a_pixel_to_label_there_is_a_loss_of_nothing() -> None:
    network = build("fcn", 2, 3)
    valid = torch.zeros(1, 6, 6, dtype=torch.bool)
    x = torch.randn(1, 2, 6, 6)
    loss, pixels = PseudoLabeler("points").loss(ModelOutputs(network, network(x), valid), torch.randn(1, 3, 6, 6), Targets(valid))
    loss.backward()  # type: ignore[no-untyped-call]
    assert (loss.item(), pixels.item()) == (0, 0)
    assert all(weight.grad is not None and not weight.grad.any() for weight in network.parameters())
