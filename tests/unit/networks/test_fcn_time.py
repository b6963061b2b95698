"""FCN over seasons: parameters counted by hand, attention against numpy, missing seasons."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cropcam.model.networks import build
from cropcam.model.networks.fcn_time import FCNTime, SeasonAttention, places
from cropcam.pipeline.errors import ConfigError

DAYS = "122/183/253"


def of_three(bands: int = 2, **more: str) -> FCNTime:
    torch.manual_seed(0)
    network = build("fcn-time", 3 * bands, 4, ",".join([f"season_days={DAYS}", *(f"{key}={value}" for key, value in more.items())]))
    assert isinstance(network, FCNTime)
    return network


def in_numpy(
    attention: SeasonAttention, features: npt.NDArray[np.float64], place: npt.NDArray[np.float64], there: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Attention of one pixel: features (S, F), there (S,); head by head, in double precision."""
    score, bias, of_place = (
        values.detach().numpy().astype(np.float64)
        for values in (attention.score.weight[:, :, 0, 0], attention.score.bias, attention.of_place.weight)
    )
    found = []
    for head in range(len(score)):
        odds = np.exp(features @ score[head] + bias[head] + place @ of_place[head]) * there
        found.append((odds[:, None] * features).sum(axis=0) / odds.sum() if there.any() else np.zeros(features.shape[1]))
    return np.concatenate(found)


def test_parameters_counted_by_hand_do_not_depend_on_the_number_of_seasons() -> None:
    counts = {
        sum(parameter.numel() for parameter in build("fcn-time", 7 * S, 5, f"season_days={'/'.join(['9'] * S)}").parameters())
        for S in (1, 3, 6)
    }
    shared, places_in_the_year, attention = 9 * (7 * 32 + 32 * 48) + 2 * (32 + 48), 4 * (32 + 3), (48 + 1) * 3
    assert counts == {shared + places_in_the_year + attention + 3 * 48 * 48 + 2 * 48 + (48 + 1) * 5}


@given(seed=st.integers(0, 999), seasons=st.integers(1, 4), heads=st.integers(1, 3))
def test_attention_is_that_of_numpy_and_a_missing_season_has_no_weight(seed: int, seasons: int, heads: int) -> None:
    torch.manual_seed(seed)
    attention, place = SeasonAttention(6, heads), places([30.0 * season for season in range(seasons)])
    features, there = torch.randn(seasons, 2, 6, 2, 3), torch.rand(seasons, 2, 2, 3) < 0.6
    found = attention(features, place, there).detach().numpy()
    for patch, row, col in itertools.product(range(2), range(2), range(3)):
        of_pixel = features[:, patch, :, row, col].numpy().astype(np.float64)
        expected = in_numpy(attention, of_pixel, place.numpy().astype(np.float64), there[:, patch, row, col].numpy())
        np.testing.assert_allclose(found[patch, :, row, col], expected, rtol=1e-4, atol=1e-5)
    weight = attention.weights(features, place, there)
    assert (weight[~there[:, :, None].expand_as(weight)] == 0).all()
    torch.testing.assert_close(weight.sum(dim=0)[:, 0], there.any(dim=0).float())


def test_what_a_missing_season_would_have_been_does_not_matter() -> None:
    """Its bands are 0; the other seasons alone, as a store of them has them, give the same."""
    network = of_three().eval()
    x_BCHW = torch.randn(2, 6, 9, 9)
    x_BCHW[:, 2:4] = 0
    alone = build("fcn-time", 4, 4, "season_days=122/253").eval()
    alone.load_state_dict(network.state_dict())
    torch.testing.assert_close(network(x_BCHW).maps_BFhw, alone(x_BCHW[:, [0, 1, 4, 5]]).maps_BFhw)


def test_the_order_of_the_seasons_does_not_matter() -> None:
    network, turned = of_three().eval(), build("fcn-time", 6, 4, "season_days=253/122/183").eval()
    turned.load_state_dict(network.state_dict())
    x_BCHW = torch.randn(1, 6, 8, 8)
    torch.testing.assert_close(turned(x_BCHW[:, [4, 5, 0, 1, 2, 3]]).maps_BFhw, network(x_BCHW).maps_BFhw)
    assert not torch.allclose(network(x_BCHW[:, [4, 5, 0, 1, 2, 3]]).maps_BFhw, network(x_BCHW).maps_BFhw), "its place in the year does"


def test_batch_norm_does_not_count_season_images_that_are_missing() -> None:
    network, other = of_three(), of_three()
    x_BCHW = torch.randn(4, 6, 8, 8)
    x_BCHW[:2, :2] = 0
    network.maps(x_BCHW)
    x_PCHW, place_PF = torch.cat(x_BCHW.chunk(3, dim=1)), other.place(other.place_SP).repeat_interleave(4, dim=0)
    seen_P = x_PCHW.flatten(1).any(dim=1)
    other._encoded(x_PCHW[seen_P], place_PF[seen_P])
    for name in ("first", "second"):
        for key, value in getattr(other, name).state_dict().items():
            torch.testing.assert_close(getattr(network, name).state_dict()[key], value)


def test_a_patch_without_any_season_is_finite_in_both_modes() -> None:
    network = of_three()
    for training in (True, False):
        network.train(training)
        assert network.maps(torch.zeros(2, 6, 8, 8)).isfinite().all()
        assert network.maps(torch.zeros(0, 6, 8, 8)).shape == (0, 48, 8, 8)


def test_every_parameter_learns_from_several_seasons() -> None:
    network = of_three()
    network(torch.randn(2, 6, 8, 8)).logits_BK.square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in network.parameters())


def test_places_in_the_year_are_on_a_circle() -> None:
    place = places([0.0, 365.25, 365.25 / 4])
    torch.testing.assert_close(place[0], place[1], atol=1e-6, rtol=0)
    torch.testing.assert_close(place[2], torch.tensor([1.0, 0.0, 0.0, -1.0]), atol=1e-6, rtol=0)
    assert math.isclose(float(place[2].square().sum()), 2, rel_tol=1e-6)
    assert places([]).tolist() == [[0.0] * 4]


@pytest.mark.parametrize(
    ("bands", "options", "message"),
    [
        (7, f"season_days={DAYS}", "7 bands are not those of 3 seasons"),
        (6, "season_days=spring/summer", "season_days=spring/summer: must be days of the year, as 122/183/253"),
        (6, "season_drop=1.5", r"season_drop=1\.5: must be from 0 to 1"),
        (6, "heads=0", "heads=0: must be at least 1"),
    ],
)
def test_options_that_are_not_possible(bands: int, options: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build("fcn-time", bands, 4, options)


def test_it_takes_missing_seasons() -> None:
    assert FCNTime.takes_missing_seasons
    assert of_three(season_drop="0.25").season_drop == 0.25
