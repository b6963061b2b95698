from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cropcam.model.losses.objectives import OBJECTIVES, ModelOutputs, Targets, mean_probability, objective, presence_loss
from cropcam.model.networks.base import Network, NetworkOutput
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.legend import UNLABELLED


@given(seed=st.integers(0, 2**31), scale=st.floats(0.1, 20))
def test_is_the_mean_binary_cross_entropy(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    logits_BK, label_BK = rng.normal(0, scale, (4, 5)), (rng.random((4, 5)) < 0.5).astype(np.float64)
    p = 1 / (1 + np.exp(-logits_BK))
    expected = -(label_BK * np.log(p) + (1 - label_BK) * np.log1p(-p)).mean() if scale < 5 else None
    loss = presence_loss(torch.from_numpy(logits_BK), torch.from_numpy(label_BK)).item()
    stable = (np.logaddexp(0, logits_BK) - label_BK * logits_BK).mean()
    np.testing.assert_allclose(loss, stable, rtol=1e-9)
    if expected is not None:
        np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_a_saturated_wrong_logit_has_a_gradient() -> None:
    logits_BK = torch.tensor([[200.0, -200.0]], requires_grad=True)
    loss = presence_loss(logits_BK, torch.tensor([[0.0, 1.0]]))
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 200.0
    assert logits_BK.grad is not None
    assert logits_BK.grad.tolist() == [[0.5, -0.5]]


class Through(Network):
    """A network whose activation maps are its input: scores are given, gradients arrive at them."""

    stride = 1

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.dense = torch.nn.Linear(classes, classes).double()
        with torch.no_grad():
            self.dense.weight.copy_(torch.eye(classes))
            self.dense.bias.zero_()

    def maps(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        return x_BCHW


def batch_of(scores: torch.Tensor, valid: torch.Tensor) -> ModelOutputs:
    network = Through(scores.shape[1])
    weight = valid[:, None].double()
    output = NetworkOutput((scores * weight).sum(dim=(2, 3)) / weight.sum(dim=(2, 3)), scores)
    batch = ModelOutputs(network, output, valid)
    batch.__dict__["cams_BKHW"] = scores  # in double precision: what is cached otherwise is float32
    return batch


def targets_for(kind: str, valid: torch.Tensor, seed: int = 0, bagged: bool = False) -> Targets:
    rng, (count, height, width), classes = np.random.default_rng(seed), valid.shape, 3
    if kind in ("points", "pixels"):
        pixel = rng.integers(0, classes, (count, height, width)).astype(np.uint8)
        pixel[rng.random(pixel.shape) < 0.4] = UNLABELLED
        return Targets(valid, pixel_BHW=torch.from_numpy(pixel))
    share = torch.from_numpy(rng.dirichlet(np.ones(classes), count))
    image = {"presence": (share > 0.3).double(), "majority": (share == share.max(dim=1, keepdim=True).values).double(), "shares": share}[
        kind
    ]
    return Targets(valid, image_BK=image, bag_B=torch.arange(count) // 2 if bagged else None)


CASES = [
    (name, kind, bagged)
    for name, entry in OBJECTIVES.items()
    for kind in entry.kinds
    for bagged in ((False, True) if kind == "shares" else (False,))
]


@pytest.mark.parametrize(("name", "kind", "bagged"), CASES)
def test_gradients_are_those_of_finite_differences(name: str, kind: str, bagged: bool) -> None:
    rng = np.random.default_rng(1)
    valid = torch.from_numpy(rng.random((4, 3, 4)) < 0.8)
    targets, start = targets_for(kind, valid, bagged=bagged), torch.from_numpy(rng.normal(0, 1, (4, 3, 3, 4)))

    def loss(scores: torch.Tensor) -> torch.Tensor:
        return OBJECTIVES[name].loss(batch_of(scores, valid), targets, 0.1)

    assert torch.autograd.gradcheck(loss, (start.requires_grad_(),), eps=1e-6, atol=1e-5)


@pytest.mark.parametrize(("name", "kind", "bagged"), CASES)
def test_pixels_without_image_data_count_nowhere(name: str, kind: str, bagged: bool) -> None:
    rng = np.random.default_rng(2)
    valid = torch.from_numpy(rng.random((4, 5, 4)) < 0.7)
    targets, scores = targets_for(kind, valid, bagged=bagged), torch.from_numpy(rng.normal(0, 1, (4, 3, 5, 4)))
    other = torch.where(valid[:, None], scores, torch.from_numpy(rng.normal(0, 9, (4, 3, 5, 4))))
    loss, expected = (OBJECTIVES[name].loss(batch_of(values, valid), targets, 0.1).item() for values in (scores, other))
    assert loss == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["bce", "lse", "threshold", "majority", "shares"])
def test_a_patch_without_a_label_teaches_nothing(name: str) -> None:
    kind = OBJECTIVES[name].kinds[0]
    valid = torch.ones(3, 4, 4, dtype=torch.bool)
    targets, scores = targets_for(kind, valid), torch.from_numpy(np.random.default_rng(3).normal(0, 1, (3, 3, 4, 4)))
    assert targets.image_BK is not None
    targets.image_BK[2] = torch.nan
    first_two = Targets(valid[:2], targets.image_BK[:2])
    loss = OBJECTIVES[name].loss(batch_of(scores, valid), targets, 0.1).item()
    assert loss == pytest.approx(OBJECTIVES[name].loss(batch_of(scores[:2], valid[:2]), first_two, 0.1).item(), rel=1e-12)


@pytest.mark.parametrize("scale", [1.0, 300.0])
def test_no_pooled_loss_saturates(scale: float) -> None:
    """Scores that are sure of the wrong class still have a gradient."""
    scores = torch.zeros(1, 3, 4, 4, dtype=torch.float64)
    scores[:, 0] = scale
    valid, wanted = torch.ones(1, 4, 4, dtype=torch.bool), torch.tensor([[0.0, 1.0, 0.0]], dtype=torch.float64)
    for name in ("bce", "lse", "threshold", "majority", "shares"):
        one = scores.clone().requires_grad_()
        OBJECTIVES[name].loss(batch_of(one, valid), Targets(valid, wanted), 0.1).backward()  # type: ignore[no-untyped-call]
        assert one.grad is not None
        assert one.grad.abs().max() > 1e-3 / 16, name


def test_mean_probability_is_numpys() -> None:
    rng = np.random.default_rng(4)
    scores, valid = rng.normal(0, 2, (3, 4, 5, 6)), rng.random((3, 5, 6)) < 0.7
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    expected = np.stack([p[i][:, valid[i]].mean(axis=1) for i in range(3)])
    np.testing.assert_allclose(mean_probability(torch.from_numpy(scores), torch.from_numpy(valid)).exp().numpy(), expected, rtol=1e-12)


@given(seed=st.integers(0, 2**31), min_share=st.floats(0.02, 0.6))
def test_on_a_uniform_map_presence_is_that_of_the_pixels(seed: int, min_share: float) -> None:
    """Whichever pixels are valid: the shares are the softmax of the one score, the pooled question is that score, and a share of exactly the threshold is undecided."""
    rng = np.random.default_rng(seed)
    score_BK, valid = rng.normal(0, 2, (4, 3)), torch.from_numpy(rng.random((4, 5, 6)) < 0.7)
    valid[:, 0, 0] = True
    softmax_BK = np.exp(score_BK) / np.exp(score_BK).sum(axis=1, keepdims=True)

    def uniform(values_BK: np.ndarray) -> ModelOutputs:
        return batch_of(torch.from_numpy(values_BK)[:, :, None, None].expand(4, 3, 5, 6), valid)

    batch = uniform(score_BK)
    np.testing.assert_allclose(mean_probability(batch.logits_BKHW, valid).exp().detach(), softmax_BK, rtol=1e-9)
    for name in ("lse", "bce"):
        np.testing.assert_allclose(OBJECTIVES[name].presence_logits(batch, min_share).detach(), score_BK, atol=1e-9)
    label_BK = rng.dirichlet(np.ones(3), 4)
    divergence = (label_BK * np.log(label_BK / softmax_BK)).sum(axis=1).mean()
    shares = OBJECTIVES["shares"].loss(batch, Targets(valid, image_BK=torch.from_numpy(label_BK)), 0.0)
    assert shares.item() == pytest.approx(divergence, rel=1e-9, abs=1e-12)
    at_threshold = np.log(np.tile([min_share, (1 - min_share) / 2, (1 - min_share) / 2], (4, 1)))
    asked = [Targets(valid, image_BK=torch.tensor([[yes, 1.0, 1.0]] * 4, dtype=torch.float64)) for yes in (0.0, 1.0)]
    no, yes = (OBJECTIVES["threshold"].loss(uniform(at_threshold), targets, min_share).item() for targets in asked)
    assert no == pytest.approx(yes, rel=1e-9)


def test_shares_that_are_met_cost_nothing() -> None:
    share = torch.tensor([[0.25, 0.75, 0.0]], dtype=torch.float64)
    scores = torch.full((1, 3, 2, 2), -200.0, dtype=torch.float64)
    scores[0, 0, 0, 0] = scores[0, 1, 0, 1] = scores[0, 1, 1, 0] = scores[0, 1, 1, 1] = 200.0
    valid = torch.ones(1, 2, 2, dtype=torch.bool)
    assert OBJECTIVES["shares"].loss(batch_of(scores, valid), Targets(valid, share), 0.0).item() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("bagged", [False, True])
def test_shares_are_the_kl_divergence_and_their_gradient_that_of_finite_differences(bagged: bool) -> None:
    rng = np.random.default_rng(5)
    valid = torch.from_numpy(rng.random((4, 3, 4)) < 0.8)
    targets, start = targets_for("shares", valid, bagged=bagged), torch.from_numpy(rng.normal(0, 1, (4, 3, 3, 4)))

    def loss(scores: torch.Tensor) -> torch.Tensor:
        return OBJECTIVES["shares"].loss(batch_of(scores, valid), targets, 0.0)

    p = np.exp(start.numpy()) / np.exp(start.numpy()).sum(axis=1, keepdims=True)
    bags = np.arange(4) // 2 if bagged else np.arange(4)
    terms = []
    for owner in range(bags.max() + 1):
        patches = np.flatnonzero(bags == owner)
        mean = np.concatenate([p[i][:, valid[i].numpy()] for i in patches], axis=1).mean(axis=1)
        assert targets.image_BK is not None
        share = targets.image_BK[patches[-1]].numpy()
        terms.append((share * np.log(share / mean)).sum())
    assert loss(start).item() == pytest.approx(np.mean(terms), rel=1e-12)
    assert torch.autograd.gradcheck(loss, (start.requires_grad_(),), eps=1e-6, atol=1e-5)


def test_a_piece_of_a_group_counts_by_its_patches() -> None:
    rng = np.random.default_rng(6)
    valid, scores = torch.ones(4, 3, 3, dtype=torch.bool), torch.from_numpy(rng.normal(0, 1, (4, 3, 3, 3)))
    share = torch.from_numpy(rng.dirichlet(np.ones(3), 2))
    bag_B = torch.tensor([0, 0, 0, 1])
    mean = scores.softmax(dim=1).mean(dim=(2, 3))
    terms = [(share[g] * (share[g].log() - mean[bag_B == g].mean(dim=0).log())).sum() for g in (0, 1)]
    loss = OBJECTIVES["shares"].loss(batch_of(scores, valid), Targets(valid, share[bag_B], bag_B=bag_B), 0.0)
    assert loss.item() == pytest.approx(((3 * terms[0] + terms[1]) / 4).item(), rel=1e-12)


@given(st.integers(0, 2**32 - 1))
def test_no_weights_move_the_shares_that_cost_least(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, valid = torch.from_numpy(rng.normal(0, 2, (2, 4, 3, 3))).requires_grad_(), torch.ones(2, 3, 3, dtype=torch.bool)
    met = mean_probability(scores.detach(), valid).exp()
    weight, other = torch.from_numpy(rng.exponential(9, 4)), torch.from_numpy(rng.dirichlet(np.ones(4), 2))
    loss = OBJECTIVES["shares"].loss(batch_of(scores, valid), Targets(valid, met, weight_K=weight), 0.0)
    (slope,) = torch.autograd.grad(loss, scores)
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert slope.abs().max() < 1e-12
    assert OBJECTIVES["shares"].loss(batch_of(scores.detach(), valid), Targets(valid, other, weight_K=weight), 0.0).item() > 0


@pytest.mark.parametrize(("count", "min_share", "present"), [(0, 0.0, False), (1, 0.0, True), (5, 0.05, False), (6, 0.05, True)])
def test_presence_is_read_off_the_segmented_patch(count: int, min_share: float, present: bool) -> None:
    """Of 100 pixels, `count` are the second class; present is what covers more than the share."""
    scores = torch.zeros(1, 2, 10, 10, dtype=torch.float64)
    scores[:, 0] = 20.0
    scores[:, 1].view(-1)[:count] = 40.0
    batch = batch_of(scores, torch.ones(1, 10, 10, dtype=torch.bool))
    assert bool(OBJECTIVES["shares"].presence_logits(batch, min_share)[0, 1] > 0) is present


def test_objectives_and_kinds_go_together() -> None:
    assert objective("shares", "shares").is_softmax
    with pytest.raises(ConfigError, match=r"--loss bce does not learn from shares labels; possible: shares"):
        objective("bce", "shares")


def test_pixels_cost_their_weight_and_the_mean_is_over_their_number() -> None:
    scores = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    valid = torch.ones(2, 4, 4, dtype=torch.bool)
    valid[0, 0] = False
    targets = targets_for("pixels", valid)
    assert targets.pixel_BHW is not None
    pct = torch.randint(0, 101, (2, 4, 4), generator=torch.Generator().manual_seed(4)).to(torch.uint8)
    batch, loss = batch_of(scores, valid), objective("cross-entropy", "pixels").loss
    counted = (targets.pixel_BHW != UNLABELLED) & valid
    log_BKHW = batch.logits_BKHW.detach().log_softmax(dim=1)
    chosen = -log_BKHW.gather(1, targets.pixel_BHW.long().clamp(max=2)[:, None])[:, 0]
    expected = (chosen * counted * pct / 100).sum() / counted.sum()
    assert loss(batch, targets._replace(pct_BHW=pct), 0.0).item() == pytest.approx(float(expected), rel=1e-6)
    full = targets._replace(pct_BHW=torch.full_like(pct, 100))
    assert loss(batch, full, 0.0).item() == loss(batch, targets, 0.0).item()
