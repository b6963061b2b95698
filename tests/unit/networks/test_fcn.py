"""FCN: parameters counted by hand, full resolution, receptive field."""

from __future__ import annotations

import pytest
import torch

from cropcam.model.networks import build


def test_fcn_has_the_parameters_counted_by_hand() -> None:
    count = sum(parameter.numel() for parameter in build("fcn", 7, 5).parameters())
    assert count == 9 * (7 * 32 + 32 * 48 + 48 * 48) + 2 * (32 + 48 + 48) + (48 + 1) * 5 == 37_077


@pytest.mark.parametrize("shape", [(50, 50), (48, 48), (25, 33), (7, 1)])
def test_full_resolution_is_kept_at_any_size(shape: tuple[int, int]) -> None:
    assert build("fcn", 3, 2).eval()(torch.zeros(1, 3, *shape)).maps_BFhw.shape == (1, 48, *shape)


def test_the_receptive_field_is_7_pixels() -> None:
    network = build("fcn", 2, 3).eval()
    x_BCHW = torch.randn(1, 2, 15, 15, requires_grad=True)
    network(x_BCHW).maps_BFhw[0, :, 7, 7].abs().sum().backward()
    assert x_BCHW.grad is not None
    rows, cols = x_BCHW.grad[0].abs().sum(dim=0).nonzero(as_tuple=True)
    assert (rows.min(), rows.max(), cols.min(), cols.max()) == (4, 10, 4, 10)
