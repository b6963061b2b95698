"""Algorithms on masks and on values chosen by them, through the real client's objects."""

from __future__ import annotations

import ee
import numpy as np
import pytest

from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.grid import PixelGrid
from support.scenes import Client
from support.small_images import GRID, A, B, data_types, image


def test_masks(client: Client) -> None:
    a, b = image().select("a"), image().select("b")
    kept = client.pixels(b.updateMask(b.gt(0)), GRID)[0]
    np.testing.assert_array_equal(~np.ma.getmaskarray(kept), B > 0)
    np.testing.assert_array_equal(client.pixels(a.mask(), GRID).filled(9)[0], (A != 0).astype(int))
    np.testing.assert_array_equal(client.pixels(a.unmask(), GRID).data[0], A)
    assert not np.ma.getmaskarray(client.pixels(a.unmask(7), GRID)).any()
    assert client.pixels(a.unmask(-7), GRID).data[0, 0, 0] == -7
    np.testing.assert_array_equal(~np.ma.getmaskarray(client.pixels(b.selfMask(), GRID))[0], B != 0)
    both = client.pixels(image().select(["a", "b"]).updateMask(b.neq(0)), GRID)
    np.testing.assert_array_equal(~np.ma.getmaskarray(both), [(A != 0) & (B != 0), B != 0])
    blended = client.pixels(ee.Image(5).blend(a), GRID)[0]
    np.testing.assert_array_equal(blended, np.where(A == 0, 5, A))
    with pytest.raises(EngineError, match="The mask has 2 bands, the image 3"):
        client.value(image().updateMask(image().select(["a", "b"])))


def test_unmask_keeps_to_the_footprint_by_default(client: Client) -> None:
    around = PixelGrid(GRID.crs, (30.0, 0.0, 399_970.0, 0.0, -30.0, 4_500_030.0), 6, 5)
    within = client.pixels(image().select("a").unmask(3), around)
    assert np.ma.getmaskarray(within).sum() == 30 - 12
    assert not np.ma.getmaskarray(client.pixels(image().select("a").unmask(3, False), around)).any()
    assert not np.ma.getmaskarray(client.pixels(ee.ImageCollection([image().select("a")]).median().unmask(3), around)).any()


def test_remap(client: Client) -> None:
    b = image().select("b")
    masked = client.pixels(b.remap([0, 1, 1], [10, 20, 30]), GRID)[0]
    np.testing.assert_array_equal(masked.filled(0), np.select([B == 0, B == 1], [10, 20], 0))
    full = b.remap([0, 1], [10, 20], 99)
    np.testing.assert_array_equal(client.pixels(full, GRID).filled(0)[0], np.select([B == 0, B == 1], [10, 20], 99))
    assert data_types(client, full) == [("int", 10, 99)]
    assert client.value(image().remap([1], [2], None, "b").bandNames()) == ["remapped"]
    halves = client.pixels(image().select("b").remap([1], [0.5], 0), GRID)[0]
    np.testing.assert_array_equal(halves, np.where(B == 1, 0.5, 0))
    with pytest.raises(EngineError, match=r"must be the same size\. Got 2 and 1"):
        client.value(b.remap([1, 2], [3]))


def test_first_non_zero_mask_and_metadata(client: Client) -> None:
    b = image().select("b")
    np.testing.assert_array_equal(client.pixels(b.firstNonZero(7), GRID)[0], np.where(B == 0, 7, B))
    np.testing.assert_array_equal(client.pixels(b.mask(b.gt(0)), GRID).filled(0)[0], np.where(B > 0, B, 0))
    assert client.value(image().metadata("n").bandNames()) == ["n"]
    with pytest.raises(EngineError, match="Property 'name' is not a number"):
        client.value(image().metadata("name"))
