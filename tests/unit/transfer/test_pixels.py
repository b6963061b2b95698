"""Which pixels are sampled, and what they have."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cropcam.model.networks import build
from cropcam.model.transfer.class_distance import ClassDistance
from cropcam.model.transfer.pixels import FEATURES, Pixels, confidence, distance_map, reduced, sampled, valid_share
from support.map_runs import make_config


def parts(size_px: int, model: str = "baseline") -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.nn.Module]:
    torch.manual_seed(0)
    network = build(model, 3, 5).eval()
    x_BCHW = torch.randn(2, 3, size_px, size_px)
    with torch.inference_mode():
        maps_BFhw = network(x_BCHW).maps_BFhw
    return x_BCHW, torch.ones(2, size_px, size_px, dtype=torch.bool), maps_BFhw, torch.randn(2, 5, size_px, size_px), network


@pytest.mark.parametrize(("size_px", "per_side"), [(12, 12), (50, 10), (23, 11)])
def test_pixels_lie_on_an_even_lattice(size_px: int, per_side: int) -> None:
    x, valid, maps, logits, network = parts(size_px)
    found = sampled(network, make_config(), x, valid, maps, logits, 1.0)
    assert len(found.class_P) == 2 * per_side**2
    np.testing.assert_array_equal(np.bincount(found.patch_P), per_side**2)


def test_a_pixel_has_the_values_of_its_place() -> None:
    x, valid, maps, logits, network = parts(50)
    found = sampled(network, make_config(), x, valid, maps, logits, 1.0)
    patch, row, col = 1, 5 * 9 + 2, 5 * 4 + 2  # the tenth row and the fifth column of the second patch
    index = 100 + 9 * 10 + 4
    np.testing.assert_array_equal(found.x_PC[index], x[patch, :, row, col])
    np.testing.assert_allclose(found.feature_PD[index], reduced(maps[patch, :, row // 4, col // 4]), rtol=1e-5)
    assert found.class_P[index] == logits[patch, :, row, col].argmax()


def test_the_confidence_is_that_before_calibration() -> None:
    x, valid, maps, logits, network = parts(50)
    plain, calibrated = (sampled(network, make_config(), x, valid, maps, logits / t, t) for t in (1.0, 2.0))
    np.testing.assert_array_equal(calibrated.confidence_P, plain.confidence_P)
    np.testing.assert_array_equal(calibrated.class_P, plain.class_P)


def test_incomplete_patches_and_pixels_without_data_are_left_out() -> None:
    x, valid, maps, logits, network = parts(12)
    valid[0, 3, 3] = False
    found = sampled(network, make_config(), x, valid, maps, logits, 1.0)
    assert set(found.patch_P) == {1}, "a run without a record of its store keeps complete patches alone"
    assert valid_share(make_config()) == 1.0


def test_the_softmax_is_numpys() -> None:
    logits_PK = torch.tensor([[1.0, 3.0, 0.0], [0.0, 0.0, 0.0]])
    e = np.exp([1.0, 3.0, 0.0])
    np.testing.assert_allclose(confidence(logits_PK, softmax=True), [e[1] / e.sum(), 1 / 3], rtol=1e-6)
    s = 1 / (1 + np.exp([-1.0, -3.0, 0.0]))
    np.testing.assert_allclose(confidence(logits_PK, softmax=False), [s[1] / s.sum(), 1 / 3], rtol=1e-6)


@given(st.lists(st.floats(-200, 200, width=32), min_size=2, max_size=6), st.booleans())
def test_a_confidence_is_between_a_guess_and_one(logits_K: list[float], softmax: bool) -> None:
    found = float(confidence(torch.tensor([logits_K]), softmax=softmax))
    assert 1 / len(logits_K) - 1e-4 <= found <= 1 + 1e-4  # logits of -200 have 2e-5 of rounding in float32


def test_many_features_are_projected_alike_every_time() -> None:
    many, few = torch.randn(5, 2048), torch.randn(5, FEATURES)
    assert reduced(few) is few
    assert reduced(many).shape == (5, FEATURES)
    torch.testing.assert_close(reduced(many)[2:3], reduced(many[2:3]), rtol=1e-4, atol=1e-4)
    distances = torch.cdist(reduced(many), reduced(many)) / torch.cdist(many, many).clamp(min=1e-9)
    assert 0.6 < float(distances[0, 1]) < 1.4, "Johnson and Lindenstrauss: distances are kept approximately"


def test_the_layer_has_the_distances_of_the_pixels() -> None:
    x, _, maps, _, network = parts(12, "linear")
    feature_PD = maps.movedim(1, -1).reshape(-1, 3)
    distance = ClassDistance.fit(feature_PD.numpy(), np.zeros(len(feature_PD), np.int64))
    found = distance_map(network, maps, distance, *x.shape[2:])
    torch.testing.assert_close(found, distance(feature_PD).view(2, 12, 12))
    x, _, maps, _, network = parts(50)
    wide = ClassDistance.fit(reduced(maps.movedim(1, -1).reshape(-1, 256)).numpy(), np.zeros(2 * 144, np.int64))
    assert distance_map(network, maps, wide, 50, 50).shape == (2, 50, 50)


def test_batches_are_joined_in_order() -> None:
    x, valid, maps, logits, network = parts(12)
    one = sampled(network, make_config(), x, valid, maps, logits, 1.0)
    both = Pixels.joined([one, one])
    np.testing.assert_array_equal(both.x_PC, np.concatenate([one.x_PC, one.x_PC]))
