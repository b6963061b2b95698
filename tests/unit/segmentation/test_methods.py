"""From activation maps to classes: affine maps, remainder classes, matched priors, spectral refinement."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cropcam.model.segmentation import methods as segment
from cropcam.model.segmentation.methods import Method, Segmenter, matched_offsets, prior_matched, remainder_class, spectral, unfitted
from cropcam.model.segmentation.spectral import boundary_mask


def unused(cams: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """An image of NaN and its valid pixels, for methods that must not read the image."""
    batch, _, height, width = cams.shape
    return torch.full((batch, 2, height, width), torch.nan), torch.ones(batch, height, width, dtype=torch.bool)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 7))
def test_a_method_is_the_argmax_of_an_affine_map(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    scale, offset = rng.uniform(0.1, 3, classes), rng.normal(0, 2, classes)
    cams = torch.from_numpy(rng.normal(0, 1, (3, classes, 5, 4)))
    found = Method("any", tuple(scale), tuple(offset))(cams, *unused(cams))
    assert found.dtype == torch.uint8
    np.testing.assert_array_equal(found.numpy(), (cams.numpy() * scale[:, None, None] + offset[:, None, None]).argmax(axis=1))


def test_the_posters_method_has_neither_bias_nor_scale() -> None:
    cams = torch.randn((2, 3, 6, 6), generator=torch.Generator().manual_seed(1))
    plain = unfitted([5.0, -5.0, 0.0])
    assert torch.equal(plain["cam-argmax"](cams, *unused(cams)), cams.argmax(dim=1).to(torch.uint8))
    assert (plain["score-argmax"](cams, *unused(cams)) == 0).all()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_matched_offsets_give_the_prior(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 1, (20_000, classes)) * rng.uniform(0.3, 3, classes) + rng.normal(0, 3, classes)
    prior = rng.dirichlet(np.full(classes, 3.0))
    won = np.bincount((scores + matched_offsets(scores, prior, np.zeros(classes))).argmax(axis=1), minlength=classes) / len(scores)
    assert np.abs(won - prior).sum() < 0.05


def test_a_class_present_everywhere_gets_the_remaining_pixels() -> None:
    """Labels never contradict its map: however high it is, a pixel that another class claims is that class's."""
    cams = torch.zeros(4, 3, 2, 2)
    cams[:, 0], cams[:, 1, 0, 0], cams[:, 1, 0, 1], cams[:, 2] = 9.0, 2.0, -2.0, -1.0
    method = remainder_class([5.0, 0.5, 0.0], np.array([True, False, False]))
    assert method.name == "remainder-class"
    assert method(cams, *unused(cams))[0].tolist() == [[1, 0], [1, 1]]


def test_of_two_classes_present_everywhere_the_first_or_the_more_frequent_gets_the_rest() -> None:
    cams = torch.zeros(4, 3, 2, 2)
    cams[:, 0], cams[:, 1], cams[:, 2] = 3.0, 9.0, -1.0
    cams[:, 2, 0, 0] = 2.0
    plain = remainder_class([5.0, 5.0, 0.5], np.array([True, True, False]))
    matched = prior_matched(plain, cams.movedim(1, -1).reshape(-1, 3).numpy(), np.array([0.1, 0.65, 0.25]))
    assert plain(cams, *unused(cams))[0].tolist() == [[2, 0], [0, 0]]
    assert (matched.name, matched(cams, *unused(cams))[0].tolist()) == ("prior-matched", [[2, 1], [1, 1]])


def fields(patches: int) -> tuple[npt.NDArray[np.int64], torch.Tensor, torch.Tensor, torch.Tensor]:
    """True classes (N, H, W) in blocks; activation maps that blur them over 5 x 5 pixels, an image that does not, valid pixels."""
    rng = np.random.default_rng(7)
    truth = np.kron(rng.integers(0, 3, (patches, 3, 3)), np.ones((1, 8, 8), np.int64))
    one_hot = torch.nn.functional.one_hot(torch.from_numpy(truth), 3).movedim(-1, 1).float()
    cams = 4 * torch.nn.functional.avg_pool2d(torch.nn.functional.pad(one_hot, (2, 2, 2, 2), mode="replicate"), 5, 1)
    cams += torch.from_numpy(rng.normal(0, 0.3, cams.shape))
    image = one_hot[:, :2].numpy() + rng.normal(0, 0.2, (patches, 2, 24, 24)) + rng.normal(0, 0.2, (patches, 2, 1, 1))
    valid = rng.random(truth.shape) < 0.95
    image = np.where(valid[:, None], image, 0).astype(np.float32)
    return truth, cams, torch.from_numpy(image), torch.from_numpy(valid)


def test_at_boundaries_the_image_separates_classes_that_blurred_maps_cannot() -> None:
    truth, cams, x, valid = fields(40)
    plain = unfitted([0.0] * 3)["score-argmax"]
    refined = spectral(plain, cams, x, valid)
    before, after = (method(cams, x, valid).numpy() for method in (plain, refined))
    wrong_before, wrong_after = ((classes != truth)[valid.numpy()].mean() for classes in (before, after))
    assert wrong_after < wrong_before / 2
    assert (before == after)[~boundary_mask(torch.from_numpy(before)).numpy()].all()


def test_a_patch_is_segmented_alike_in_any_batch() -> None:
    _, cams, x, valid = fields(8)
    method = spectral(unfitted([0.0] * 3)["score-argmax"], cams, x, valid)
    together = method.logits(cams, x, valid)
    torch.testing.assert_close(torch.cat([method.logits(cams[i : i + 1], x[i : i + 1], valid[i : i + 1]) for i in range(8)]), together)


def test_a_patch_without_valid_pixels_gets_finite_logits() -> None:
    _, cams, x, valid = fields(4)
    method = spectral(unfitted([0.0] * 3)["score-argmax"], cams, x, valid)
    assert method.logits(cams, torch.zeros_like(x), torch.zeros_like(valid)).isfinite().all()


def test_the_refinement_keeps_the_affine_map_of_its_base() -> None:
    _, cams, x, valid = fields(20)
    base = remainder_class([0.0] * 3, np.array([True, False, False]))
    refined = spectral(base, cams, x, valid)
    assert (refined.name, refined.scale_K, refined.offset_K) == ("spectral", base.scale_K, base.offset_K)


def test_methods_are_kept_with_the_checkpoint_they_belong_to(tmp_path: Path) -> None:
    _, cams, x, valid = fields(4)
    methods = unfitted([0.1, 0.2, 0.3])
    refined = spectral(methods["score-argmax"], cams, x, valid)
    segmenter = Segmenter({**methods, refined.name: refined}, refined.name)
    segment.save(tmp_path, segmenter, "a" * 64)
    assert segment.load(tmp_path, "a" * 64) == segmenter
    assert segment.load(tmp_path, "b" * 64) is None
    (tmp_path / segment.SEGMENT).write_text("{")
    assert segment.load(tmp_path, "a" * 64) is None


@pytest.mark.parametrize("default", ["cam-argmax", "score-argmax"])
def test_the_default_is_one_of_the_methods(default: str) -> None:
    segmenter = Segmenter(unfitted([0.0, 1.0]), default)
    assert segmenter.method is segmenter.methods[default]


def test_the_prior_is_matched_over_all_pixels_not_the_first() -> None:
    """200,000 pixels sorted by class, as a store's rows are: a sample from one end would know one class alone."""
    rng = np.random.default_rng(2)
    truth = np.repeat([0, 1], [150_000, 50_000])
    scores = rng.normal(0, 0.5, (len(truth), 2)) + 3 * np.eye(2)[truth] + [1.0, 0.0]
    won = (scores + matched_offsets(scores, np.array([0.4, 0.6]), np.zeros(2))).argmax(axis=1)
    assert np.mean(won == 1) == pytest.approx(0.6, abs=0.01)


def test_few_pixels_all_count() -> None:
    """Seven pixels, priors in sevenths: each is met to the pixel."""
    scores = np.array([[6.0, 0, 0], [5, 0, 0], [4, 0, 0], [2.2, 0, 0.5], [2, 0.3, 0], [1, 0.5, 0], [1, 0, 0.6]])
    won = (scores + matched_offsets(scores, np.array([3, 2, 2]) / 7, np.zeros(3))).argmax(axis=1)
    assert np.bincount(won, minlength=3).tolist() == [3, 2, 2]


def test_matched_offsets_add_the_bias_and_a_class_of_prior_0_is_never_predicted() -> None:
    rng = np.random.default_rng(3)
    scores = rng.normal(0, 1, (2000, 3))
    plain, shifted = (np.array(matched_offsets(scores, np.array([0.5, 0.5, 0.0]), np.array(bias))) for bias in ([0.0] * 3, [1.0, 2.0, 3.0]))
    np.testing.assert_allclose(shifted - plain, [1, 2, 3])
    assert not ((scores + plain).argmax(axis=1) == 2).any()
