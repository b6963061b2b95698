"""The values around each pixel, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cropcam.model.networks.neighbourhood import Neighbourhood
from cropcam.pipeline.errors import ConfigError


@pytest.mark.parametrize("size", [1, 3, 5])
def test_features_are_the_values_around_each_pixel_and_0_beyond_the_patch(size: int) -> None:
    x = np.random.default_rng(size).normal(size=(2, 3, 6, 7)).astype(np.float32)
    reach = size // 2
    padded = np.pad(x, ((0, 0), (0, 0), (reach, reach), (reach, reach)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(2, 3))
    expected = np.moveaxis(windows.reshape(2, 3, 6, 7, size * size), -1, 2).reshape(2, 3 * size * size, 6, 7)
    np.testing.assert_array_equal(Neighbourhood(size)(torch.from_numpy(x)).numpy(), expected)


@pytest.mark.parametrize("size", [0, 2, 7, -1])
def test_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(ConfigError, match=rf"--model-options neighbourhood={size}: must be 1, 3 or 5, pixels of a side"):
        Neighbourhood(size)
