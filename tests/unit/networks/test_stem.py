"""The stem: any bands onto an encoder's, of the same size, standardised."""

from __future__ import annotations

import pytest
import torch

from cropcam.model.networks import BandStem


@pytest.mark.parametrize("bands", [1, 7, 64])
def test_any_number_of_bands_becomes_those_of_the_encoder(bands: int) -> None:
    torch.manual_seed(0)
    output = BandStem(bands, 3)(3 + 5 * torch.randn(8, bands, 13, 9))
    assert output.shape == (8, 3, 13, 9)
    torch.testing.assert_close(output.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(output.std(dim=(0, 2, 3)), torch.ones(3), atol=1e-2, rtol=0)


def test_it_has_the_parameters_counted_by_hand() -> None:
    count = sum(parameter.numel() for parameter in BandStem(10, 3).parameters())
    assert count == 9 * 10 * 16 + 2 * 16 + 16 * 3 + 2 * 3 == 1526


def test_it_is_trained_in_front_of_a_frozen_encoder() -> None:
    stem, encoder = BandStem(4, 2), torch.nn.Conv2d(2, 3, 1).requires_grad_(False)
    encoder(stem(torch.randn(2, 4, 5, 5))).square().sum().backward()
    assert all(parameter.grad is not None for parameter in stem.parameters())
    assert all(parameter.grad is None for parameter in encoder.parameters())
