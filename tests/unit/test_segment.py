"""From activation maps to classes: affine maps, thresholds against brute force, shares that match."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from model import segment
from model.segment import Method, Sample, Segmenter, best_threshold, fit, matched_offsets, unfitted
from model.spectra import borders


def made_sample(classes: int = 3, seed: int = 0, **more: object) -> Sample:
    rng = np.random.default_rng(seed)
    cams = (rng.normal(0, 1, (20, classes, 8, 9)) * (np.arange(classes) + 1)[:, None, None] + rng.normal(0, 3, (classes, 1, 1))).astype(
        np.float32
    )
    return Sample(cams, *looks(rng, cams), **more)  # type: ignore[arg-type]


def looks(rng: np.random.Generator, cams: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """An image of two bands that knows nothing of the maps, and its valid pixels."""
    patches, _, height, width = cams.shape
    return rng.normal(0, 1, (patches, 2, height, width)).astype(np.float32), rng.random((patches, height, width)) < 0.9


def unseen(cams: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """An image and its valid pixels for activation maps that are looked at without it."""
    batch, _, height, width = cams.shape
    return torch.full((batch, 2, height, width), torch.nan), torch.ones(batch, height, width, dtype=torch.bool)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 7))
def test_a_method_is_the_argmax_of_an_affine_map(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    scale, offset = rng.uniform(0.1, 3, classes), rng.normal(0, 2, classes)
    cams = torch.from_numpy(rng.normal(0, 1, (3, classes, 5, 4)))
    found = Method("any", tuple(scale), tuple(offset))(cams, torch.zeros(3, classes), *unseen(cams))
    assert found.dtype == torch.uint8
    np.testing.assert_array_equal(found.numpy(), (cams.numpy() * scale[:, None, None] + offset[:, None, None]).argmax(axis=1))


def test_the_posters_method_knows_neither_bias_nor_scale() -> None:
    cams = torch.randn((2, 3, 6, 6), generator=torch.Generator().manual_seed(1))
    plain = unfitted([5.0, -5.0, 0.0])
    assert torch.equal(plain["cam-argmax"](cams, torch.zeros(2, 3), *unseen(cams)), cams.argmax(dim=1).to(torch.uint8))
    assert (plain["score-argmax"](cams, torch.zeros(2, 3), *unseen(cams)) == 0).all()


def test_gating_leaves_only_classes_said_to_be_present() -> None:
    cams = torch.randn((2, 3, 6, 6), generator=torch.Generator().manual_seed(1))
    gated = Method("gated", (1.0,) * 3, (0.0,) * 3, gated=True)
    said = gated(cams, torch.tensor([[-1.0, 2.0, -3.0], [-1.0, -2.0, -3.0]]), *unseen(cams))
    assert (said[0] == 1).all()
    assert torch.equal(said[1], cams[1].argmax(dim=0).to(torch.uint8)), "nothing said to be present gates nothing"


def test_standardised_maps_have_mean_0_and_deviation_1_over_the_sample() -> None:
    sample = made_sample()
    method = fit(sample, [0.0] * 3, "standardised").method
    cams = torch.from_numpy(sample.cams_NKHW).double()
    scores = np.moveaxis(method.scores(cams, *unseen(cams)).numpy(), 1, -1)[sample.valid_NHW]
    np.testing.assert_allclose(scores.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(scores.std(axis=0), 1, atol=1e-6)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_matched_offsets_give_the_prior(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 1, (20_000, classes)) * rng.uniform(0.3, 3, classes) + rng.normal(0, 3, classes)
    prior = rng.dirichlet(np.full(classes, 3.0))
    won = np.bincount((scores + matched_offsets(scores, prior, np.zeros(classes))).argmax(axis=1), minlength=classes) / len(scores)
    assert np.abs(won - prior).sum() < 0.05


levels = arrays.arrays(np.float32, st.integers(1, 30), elements=st.floats(-4, 4, width=32).map(lambda value: round(value, 1)))


@given(levels, st.data())
def test_a_threshold_is_as_good_as_the_best_of_all(level: npt.NDArray[np.float32], data: st.DataObject) -> None:
    present = np.array(data.draw(st.lists(st.booleans(), min_size=len(level), max_size=len(level))))
    ours = best_threshold(level, present)
    everywhere = [np.inf, -np.inf, *level, *(level + 1e-3), *(level - 1e-3)]
    assert ((level > ours) == present).sum() == max(((level > one) == present).sum() for one in everywhere)


def test_a_threshold_tells_image_labels_from_the_share_above_it() -> None:
    """A class that covers more than 20 % of a patch: its activation there is higher by 3."""
    rng = np.random.default_rng(0)
    share = rng.permutation(np.linspace(0, 0.5, 60))
    inside = rng.random((60, 1, 20, 20)) < share[:, None, None, None]
    cams = (3 * inside + rng.normal(0, 0.2, inside.shape)).astype(np.float32)
    sample = Sample(cams, looks(rng, cams)[0], np.ones((60, 20, 20), np.bool_), present_NK=inside.mean(axis=(2, 3)) > 0.2, min_share=0.2)
    (threshold,) = segment.image_thresholds(sample)
    np.testing.assert_array_equal((cams > threshold).mean(axis=(2, 3)) > 0.2, sample.present_NK)


def test_what_is_fitted_is_what_the_labels_allow() -> None:
    always = {"cam-argmax", "score-argmax", "standardised", "gated", "border-spectra"}
    assert set(fit(made_sample(), [0.0] * 3, "cam-argmax").methods) == always
    told = made_sample(prior_K=np.array([0.5, 0.3, 0.2]), present_NK=np.ones((20, 3), np.bool_), truth_K=np.array([0.2, 0.3, 0.5]))
    found = fit(told, [0.0] * 3, "prior-matched")
    assert set(found.methods) - always == {"prior-matched", "thresholded", "oracle-prior"}
    assert {name for name, method in found.methods.items() if method.oracle} == {"oracle-prior"}
    assert not found.method.oracle
    assert fit(made_sample(), [0.0] * 3, "prior-matched").default == "score-argmax", "no prior is known"


def test_a_class_that_no_patch_lacks_gets_what_the_others_leave() -> None:
    """Its map was never contradicted: however high it is, a pixel that another class claims is that class's."""
    cams = np.zeros((4, 3, 2, 2), np.float32)
    cams[:, 0], cams[:, 1, 0, 0], cams[:, 1, 0, 1], cams[:, 2] = 9.0, 2.0, -2.0, -1.0
    sample = Sample(cams, np.zeros((4, 1, 2, 2), np.float32), np.ones((4, 2, 2), np.bool_), always_K=np.array([True, False, False]))
    found = fit(sample, [5.0, 0.5, 0.0], "score-or-rest").method
    assert found.name == "score-or-rest"
    assert found(torch.from_numpy(cams), torch.zeros(4, 3), *unseen(torch.from_numpy(cams)))[0].tolist() == [[1, 0], [1, 1]]
    assert "score-or-rest" not in fit(made_sample(always_K=np.zeros(3, np.bool_)), [0.0] * 3, "score-or-rest").methods


def test_of_two_classes_that_no_patch_lacks_the_first_or_the_more_frequent_gets_the_rest() -> None:
    """Neither map was ever contradicted, so neither says where; what the third class claims stays its own."""
    cams = np.zeros((4, 3, 2, 2), np.float32)
    cams[:, 0], cams[:, 1], cams[:, 2] = 3.0, 9.0, -1.0
    cams[:, 2, 0, 0] = 2.0
    image = np.zeros((4, 1, 2, 2), np.float32)
    sample = Sample(cams, image, np.ones((4, 2, 2), np.bool_), always_K=np.array([True, True, False]), prior_K=np.array([0.1, 0.65, 0.25]))
    methods = fit(sample, [5.0, 5.0, 0.5], "score-or-rest").methods
    said = {}
    for name in ("score-or-rest", "prior-matched"):
        said[name] = methods[name](torch.from_numpy(cams), torch.zeros(4, 3), *unseen(torch.from_numpy(cams)))[0].tolist()
    assert said["score-or-rest"] == [[2, 0], [0, 0]]
    assert said["prior-matched"] == [[2, 1], [1, 1]]
    assert "score-or-rest" not in fit(replace(sample, always_K=np.ones(3, np.bool_)), [0.0] * 3, "score-or-rest").methods, "nothing is left"


def fields(patches: int) -> tuple[npt.NDArray[np.int64], Sample]:
    """True classes (N, H, W) in blocks, and a sample of maps that blur them over 5 x 5 pixels beside an image that does not."""
    rng = np.random.default_rng(7)
    truth = np.kron(rng.integers(0, 3, (patches, 3, 3)), np.ones((1, 8, 8), np.int64))
    told = torch.nn.functional.one_hot(torch.from_numpy(truth), 3).movedim(-1, 1).float()
    cams = 4 * torch.nn.functional.avg_pool2d(torch.nn.functional.pad(told, (2, 2, 2, 2), mode="replicate"), 5, 1)
    cams += torch.from_numpy(rng.normal(0, 0.3, cams.shape))
    image = told[:, :2].numpy() + rng.normal(0, 0.2, (patches, 2, 24, 24)) + rng.normal(0, 0.2, (patches, 2, 1, 1))
    valid = rng.random(truth.shape) < 0.95
    return truth, Sample(cams.numpy(), np.where(valid[:, None], image, 0).astype(np.float32), valid)


def asked(sample: Sample) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Activation maps, image and valid pixels of a sample, as a method takes them."""
    return torch.from_numpy(sample.cams_NKHW), torch.from_numpy(sample.x_NCHW), torch.from_numpy(sample.valid_NHW)


def test_at_borders_the_image_decides_what_blurred_maps_cannot() -> None:
    truth, sample = fields(40)
    found = fit(sample, [0.0] * 3, "border-spectra")
    cams, x, valid = asked(sample)
    plain, ours = (found.methods[name](cams, torch.zeros(40, 3), x, valid).numpy() for name in ("score-argmax", "border-spectra"))
    wrong = [(said != truth)[sample.valid_NHW].mean() for said in (plain, ours)]
    assert wrong[1] < wrong[0] / 2
    assert (plain == ours)[~borders(torch.from_numpy(plain)).numpy()].all()


def test_a_patch_is_segmented_alike_whatever_stands_beside_it() -> None:
    _, sample = fields(8)
    method = fit(sample, [0.0] * 3, "border-spectra").method
    cams, x, valid = asked(sample)
    together = method.scores(cams, x, valid)
    torch.testing.assert_close(torch.cat([method.scores(cams[i : i + 1], x[i : i + 1], valid[i : i + 1]) for i in range(8)]), together)


def test_a_patch_without_valid_pixels_gets_finite_scores() -> None:
    _, sample = fields(4)
    method = fit(sample, [0.0] * 3, "border-spectra").method
    cams, x, valid = asked(sample)
    assert method.scores(cams, torch.zeros_like(x), torch.zeros_like(valid)).isfinite().all()


def test_a_class_that_gets_the_rest_gets_it_at_borders_too() -> None:
    _, sample = fields(20)
    sample = replace(sample, always_K=np.array([True, False, False]))
    found = fit(sample, [0.0] * 3, "border-spectra").methods
    assert (found["border-spectra"].scale_K, found["border-spectra"].offset_K) == (
        found["score-or-rest"].scale_K,
        found["score-or-rest"].offset_K,
    )


def test_a_sample_without_valid_pixels_fits_nothing() -> None:
    empty = Sample(np.zeros((2, 3, 4, 4), np.float32), np.zeros((2, 1, 4, 4), np.float32), np.zeros((2, 4, 4), np.bool_))
    assert set(fit(empty, [0.0] * 3, "standardised").methods) == {"cam-argmax", "score-argmax"}


def test_methods_are_kept_with_the_checkpoint_they_belong_to(tmp_path: Path) -> None:
    found = fit(made_sample(prior_K=np.array([0.5, 0.3, 0.2])), [0.1, 0.2, 0.3], "prior-matched")
    _, sample = fields(4)
    found = Segmenter(found.methods | fit(sample, [0.0] * 3, "border-spectra").methods, "border-spectra")
    found = segment.with_levels(found, found.method, (0.5, -0.25, 0.0), default=True)
    assert found.method == replace(found.methods["border-spectra"], name="border-levels", level_K=(0.5, -0.25, 0.0))
    segment.save(tmp_path, found, "a" * 64)
    assert segment.load(tmp_path, "a" * 64) == found
    before = json.loads((tmp_path / segment.SEGMENT).read_text())
    before["methods"] = [{key: value for key, value in one.items() if key != "level_K"} for one in before["methods"]]
    (tmp_path / segment.SEGMENT).write_text(json.dumps(before))
    assert not segment.load(tmp_path, "a" * 64).method.level_K, "a folder from before there were levels"  # type: ignore[union-attr]
    assert segment.load(tmp_path, "b" * 64) is None
    (tmp_path / segment.SEGMENT).write_text("{")
    assert segment.load(tmp_path, "a" * 64) is None


@pytest.mark.parametrize("default", ["cam-argmax", "score-argmax"])
def test_the_default_is_one_of_the_methods(default: str) -> None:
    segmenter = Segmenter(unfitted([0.0, 1.0]), default)
    assert segmenter.method is segmenter.methods[default]
