"""Finer pixels combined into coarser ones: areas against shapely, means and modes against plain loops, any block the same."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.pixels import Node, Pixels, Reading
from cropcam.pipeline.emulator.projections import Projection
from cropcam.pipeline.emulator.resolution import Reduced, edges, overlaps
from cropcam.pipeline.grid import PixelGrid, Window

LATTICE = Projection("EPSG:32615", (10.0, 0.0, 500_000.0, 0.0, -10.0, 4_500_000.0))
WHOLE = Window(0, 0, 60, 80)
ALIGNED = PixelGrid("EPSG:32615", (30.0, 0.0, 500_060.0, 0.0, -30.0, 4_499_910.0), 20, 14)
DEGREES = PixelGrid("EPSG:4326", (30 / 111_319.490793, 0.0, -92.9995, 0.0, -30 / 111_319.490793, 40.6502), 12, 10)
ALBERS = PixelGrid("EPSG:5070", (30.0, 0.0, 252_045.0, 0.0, -30.0, 1_964_115.0), 10, 10)


class Array(Node):
    """An array on a lattice."""

    def __init__(self, values: np.ndarray, valid: np.ndarray) -> None:
        self.values, self.valid = values, valid

    def evaluate(self, grid: PixelGrid, reading: Reading) -> Pixels:  # noqa: ARG002 - a test's
        _, _, c, _, _, f = grid.transform
        col, row = round((c - 500_000) / 10), round((f - 4_500_000) / -10)
        part = slice(row, row + grid.height), slice(col, col + grid.width)
        return Pixels(self.values[part], self.valid[part])


def reduced(values: np.ndarray, valid: np.ndarray, grid: PixelGrid, kind: str, most: int = 64) -> Pixels:
    node = Reduced(Array(values, valid), LATTICE, WHOLE, kind, most)
    return Reading([(node, grid)]).pull(node, grid)


def polygons(grid: PixelGrid) -> list[shapely.Polygon]:
    """The pixels of a grid in pixels of the lattice, row by row."""
    found = []
    for row in range(grid.height):
        for col in range(grid.width):
            west, south, east, north = grid.window(Window(row, col, 1, 1)).bounds_xyxy
            x, y = transform_points(grid.crs, LATTICE.crs, [west, east, east, west], [north, north, south, south])
            found.append(shapely.Polygon(np.stack([(x - 500_000) / 10, (y - 4_500_000) / -10], axis=1)))
    return found


@pytest.mark.parametrize("grid", [ALIGNED, DEGREES, ALBERS], ids=["aligned", "degrees", "albers"])
def test_areas_are_shapelys(grid: PixelGrid) -> None:
    found = overlaps(LATTICE, WHOLE, grid)
    expected = 0
    for pixel, polygon in enumerate(polygons(grid)):
        entries = slice(found.first[pixel], found.first[pixel + 1])
        areas = dict(zip(found.source[entries].tolist(), found.weight[entries].tolist(), strict=True))
        for row in range(WHOLE.height):
            if not polygon.intersects(shapely.box(0, row, WHOLE.width, row + 1)):
                continue
            for col in range(WHOLE.width):
                area = polygon.intersection(shapely.box(col, row, col + 1, row + 1)).area
                assert areas.get(row * WHOLE.width + col, 0.0) == pytest.approx(area, abs=1e-5)
                expected += area > 1e-4
    assert expected > 0


@pytest.mark.parametrize("grid", [ALIGNED, DEGREES], ids=["aligned", "degrees"])
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_means_and_modes_are_those_of_plain_loops(grid: PixelGrid, seed: int) -> None:
    random = np.random.default_rng(seed)
    values, valid = random.integers(1, 5, (60, 80)).astype(np.uint16), random.random((60, 80)) < 0.7
    found = overlaps(LATTICE, WHOLE, grid)
    mean, mode = (reduced(values, valid, grid, kind) for kind in ("mean", "mode"))
    assert mode.values.dtype == np.uint16
    for pixel in range(grid.width * grid.height):
        row, col = divmod(pixel, grid.width)
        entries = [
            (int(i), float(w))
            for i, w in zip(*(part[found.first[pixel] : found.first[pixel + 1]] for part in (found.source, found.weight)), strict=True)
        ]
        kept = [(int(values.flat[i]), w) for i, w in entries if valid.flat[i]]
        assert mean.mask is not None
        assert bool(mean.mask[row, col]) == bool(kept)
        if kept:
            assert mean.values[row, col] == pytest.approx(sum(v * w for v, w in kept) / sum(w for _, w in kept), rel=1e-12)
            weights: dict[int, float] = defaultdict(float)
            for value, weight in kept:
                weights[value] += weight
            most = max(weights.values())
            assert mode.values[row, col] == min(value for value, weight in weights.items() if weight > most - 1e-9)


def test_an_aligned_mean_is_exact() -> None:
    values = np.arange(4800, dtype=np.uint16).reshape(60, 80)
    mean = reduced(values, np.ones((60, 80), bool), ALIGNED, "mean")
    expected = values[9 : 9 + 42, 6 : 6 + 60].reshape(14, 3, 20, 3).mean(axis=(1, 3))
    np.testing.assert_array_equal(mean.values, expected)


@pytest.mark.parametrize("grid", [ALIGNED, DEGREES, ALBERS], ids=["aligned", "degrees", "albers"])
def test_a_window_gives_the_same_bits(grid: PixelGrid) -> None:
    random = np.random.default_rng(3)
    values, valid = random.random((60, 80)), random.random((60, 80)) < 0.8
    whole = reduced(values, valid, grid, "mean")
    part = Window(3, 2, 5, 6)
    found = reduced(values, valid, grid.window(part), "mean")
    np.testing.assert_array_equal(found.values, whole.values[part.slices])
    assert whole.mask is not None
    np.testing.assert_array_equal(found.mask, whole.mask[part.slices])


def test_pixels_that_are_not_coarser_are_the_input_itself() -> None:
    values = np.arange(4800.0).reshape(60, 80)
    own = LATTICE.grid(Window(5, 6, 7, 8))
    np.testing.assert_array_equal(reduced(values, np.ones((60, 80), bool), own, "mean").values, values[5:12, 6:14])


def test_more_input_pixels_than_allowed() -> None:
    values = np.ones((60, 80))
    with pytest.raises(EngineError, match=r"Found 9, but maxPixels only allows 8"):
        reduced(values, values > 0, ALIGNED, "mean", most=8)


def test_outside_the_input_nothing_is_valid() -> None:
    far = PixelGrid("EPSG:32615", (30.0, 0.0, 600_000.0, 0.0, -30.0, 4_499_910.0), 4, 4)
    assert reduced(np.ones((60, 80)), np.ones((60, 80), bool), far, "mean").is_empty


@pytest.mark.parametrize("step", [30.0, 10 / 3, 30 / 111_319.490793])
def test_edges_have_the_same_bits_in_every_window(step: float) -> None:
    origin = -97.123456789
    whole = edges(origin, step, 5_000)
    assert np.abs(whole - (origin + step * np.arange(5_001))).max() <= step * 1e-6
    np.testing.assert_allclose(edges(-origin, -step, 5_000), -whole, rtol=0, atol=step * 1e-6)
    for first in (*range(1, 5_000, 7), 4_999):
        np.testing.assert_array_equal(edges(origin + step * first, step, 5_000 - first), whole[first:])
