"""Visualisation of images, through the real client's objects."""

from __future__ import annotations

import numpy as np
import pytest

from cropcam.pipeline.emulator.errors import EngineError
from support.scenes import Client
from support.small_images import GRID, B, image


def test_stretch_palette_and_their_errors(client: Client) -> None:
    grey = client.pixels(image().select("b").visualize(min=-5, max=6), GRID)
    np.testing.assert_array_equal(grey[0], np.floor((np.clip(B, -5, 6) + 5) / 11 * 255 + 0.5))
    painted = client.image(image().visualize(bands=["b"], min=-5, max=6, palette=["000000", "ff0000"]))
    assert painted.names == ("vis-red", "vis-green", "vis-blue")
    values, _ = painted.read(GRID)
    assert values.dtype == np.uint8
    assert (values[0] == grey[0].data).all()
    assert not values[1:].any()
    rgb = client.image(image().visualize(bands=["a", "b", "c"], min=0, max=[60000, 5, 3], gamma=2))
    assert rgb.names == ("vis-red", "vis-green", "vis-blue")
    with pytest.raises(EngineError, match="Cannot provide a palette when visualizing more than one band"):
        client.value(image().visualize(bands=["a", "b", "c"], palette=["red", "blue"]))
    with pytest.raises(EngineError, match="Invalid color 'reddish'"):
        client.value(image().visualize(bands=["a"], palette=["reddish"]))
    with pytest.raises(EngineError, match="gain or bias and min or max"):
        client.value(image().visualize(bands=["a"], gain=2, min=0))
