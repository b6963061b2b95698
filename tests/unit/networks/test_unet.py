"""U-Net: parameters counted by hand, full resolution."""

from __future__ import annotations

import pytest
import torch

from cropcam.model.networks import build


def unet_parameters(bands: int, classes: int) -> int:
    def level(inputs: int, outputs: int) -> int:
        return 9 * inputs * outputs + 9 * outputs * outputs + 4 * outputs

    down = level(bands, 32) + level(32, 64) + level(64, 128) + level(128, 256)
    up = sum((4 * 2 * n + 1) * n + level(2 * n, n) for n in (128, 64, 32))
    return down + up + (32 + 1) * classes


@pytest.mark.parametrize(("bands", "classes"), [(7, 5), (21, 2)])
def test_unet_has_the_parameters_counted_by_hand(bands: int, classes: int) -> None:
    assert sum(parameter.numel() for parameter in build("unet", bands, classes).parameters()) == unet_parameters(bands, classes)
    assert unet_parameters(7, 5) == 1_928_293


@pytest.mark.parametrize("shape", [(50, 50), (48, 48), (25, 33), (7, 1)])
def test_full_resolution_is_kept_at_any_size(shape: tuple[int, int]) -> None:
    assert build("unet", 3, 2).eval()(torch.zeros(1, 3, *shape)).maps_BFhw.shape == (1, 32, *shape)
