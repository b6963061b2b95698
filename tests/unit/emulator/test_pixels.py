"""Reading of pixel nodes: references counted, sources brought onto a grid by the nearest rule."""

from __future__ import annotations

import numpy as np

from cropcam.pipeline.emulator.pixels import Reading
from cropcam.pipeline.grid import PixelGrid, resample_nearest
from support.expressions import CountedOnes
from support.scenes import Client
from support.small_images import DEGREES, GRID, RAMP, RAMP_GRID, B, image, ramp


def test_pixels_are_dropped_after_their_last_consumer() -> None:
    node = CountedOnes()
    reading = Reading([(node, GRID), (node, GRID)])
    first, second = reading.pull(node, GRID), reading.pull(node, GRID)
    assert first is second
    assert node.reads == 1
    assert reading._done == {}


def test_nodata_and_pixels_outside_are_masked(client: Client) -> None:
    around = PixelGrid(GRID.crs, (30.0, 0.0, 399_970.0, 0.0, -30.0, 4_500_030.0), 6, 5)
    pixels = client.pixels(image().select(["a", "b"]), around)
    inside = np.zeros((5, 6), bool)
    inside[1:4, 1:5] = True
    np.testing.assert_array_equal(~np.ma.getmaskarray(pixels)[1], inside)
    inside[1, 1] = False
    np.testing.assert_array_equal(~np.ma.getmaskarray(pixels)[0], inside)
    assert (pixels.data[0][~inside] == 0).all()
    np.testing.assert_array_equal(pixels.data[1, 1:4, 1:5], B)


def test_pixels_follow_the_exact_nearest_rule(client: Client) -> None:
    expected = resample_nearest(RAMP, RAMP_GRID, DEGREES, 0)
    assert len(np.unique(expected)) > 300
    np.testing.assert_array_equal(client.pixels(ramp(), DEGREES).filled(0)[0], expected)
