"""Nodes of masks, stacks, lattices, clips and coordinates against numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cropcam.pipeline.emulator import nodes
from cropcam.pipeline.emulator.geometry import Geometry
from cropcam.pipeline.emulator.pixels import Constant, Pixels, Reading
from cropcam.pipeline.emulator.projections import Projection
from cropcam.pipeline.grid import PixelGrid
from support.expressions import CountedOnes, Fixed, pull
from support.small_images import GRID

values = arrays.arrays(np.int16, GRID.shape_yx, elements=st.integers(-3, 3))
masks = st.none() | st.just(np.zeros((), np.bool_)) | arrays.arrays(np.bool_, GRID.shape_yx)


def whole(mask: np.ndarray | None) -> np.ndarray:
    return np.broadcast_to(True if mask is None else mask, GRID.shape_yx)


def assert_pixels(node: nodes.Node, expected: np.ndarray, valid: np.ndarray) -> None:
    found = pull(node, GRID)
    np.testing.assert_array_equal(~np.ma.getmaskarray(found), valid)
    np.testing.assert_array_equal(found.data[valid], expected[valid])


@given(values, masks, values, masks)
def test_masked_pixels_need_a_valid_mask_that_is_not_0(one: np.ndarray, first: np.ndarray | None, two: np.ndarray, second: np.ndarray | None) -> None:  # fmt: skip
    assert_pixels(nodes.Masked(Fixed(one, first), Fixed(two, second)), one, whole(first) & whole(second) & (two != 0))


@given(values, masks, values, masks)
def test_masked_pixels_are_filled_from_the_second_image(one: np.ndarray, first: np.ndarray | None, two: np.ndarray, second: np.ndarray | None) -> None:  # fmt: skip
    assert_pixels(nodes.Filled(Fixed(one, first), Fixed(two, second), None), np.where(whole(first), one, two), whole(first) | whole(second))


@given(values, masks, masks)
def test_pixels_outside_the_footprint_stay_masked(one: np.ndarray, first: np.ndarray | None, footprint: np.ndarray | None) -> None:
    node = nodes.Filled(Fixed(one, first), Constant(9, np.int16), Fixed(np.ones(GRID.shape_yx), footprint))
    assert_pixels(node, np.where(whole(first), one, 9), whole(footprint))


@given(values, masks, values, masks, values, masks)
def test_a_test_chooses_values_under_the_mask_of_the_first(
    one: np.ndarray, first: np.ndarray | None, two: np.ndarray, second: np.ndarray | None, three: np.ndarray, third: np.ndarray | None
) -> None:
    node = nodes.Where(Fixed(one, first), Fixed(two, second), Fixed(three, third))
    assert_pixels(node, np.where((two != 0) & whole(second) & whole(third), three, one), whole(first))


@given(values, masks)
def test_a_mask_is_0_or_1_and_valid_everywhere(one: np.ndarray, mask: np.ndarray | None) -> None:
    assert_pixels(nodes.MaskOf(Fixed(one, mask)), whole(mask).astype(np.uint8), np.ones(GRID.shape_yx, bool))


@given(values, masks, st.dictionaries(st.integers(-3, 3), st.integers(0, 9), max_size=5), st.none() | st.just(7))
def test_remapped_values_follow_a_dictionary(one: np.ndarray, mask: np.ndarray | None, table: dict[float, float], default: int | None) -> None:  # fmt: skip
    listed = np.isin(one, list(table))
    expected = np.array([[table.get(int(value), default or 0) for value in row] for row in one])
    valid = whole(mask) & (listed | (default is not None))
    assert_pixels(nodes.Remapped(Fixed(one, mask), table, default, np.int16), expected, valid)


def test_an_image_under_an_empty_mask_is_not_computed() -> None:
    image = CountedOnes()
    assert np.ma.getmaskarray(pull(nodes.Masked(image, Constant(0, np.uint8)), GRID)).all()
    assert image.reads == 0


def test_a_stack_reduces_its_inputs_in_order() -> None:
    taken: list[int] = []

    def last(layers: list[Pixels]) -> Pixels:
        taken.extend(int(layer.values) for layer in layers)
        return layers[-1]

    assert (pull(nodes.Stack(last, [Constant(number, np.uint8) for number in (3, 1, 2)]), GRID) == 2).all()
    assert taken == [3, 1, 2]


def test_pixels_lie_within_a_geometry_by_their_centres() -> None:
    x, y = np.meshgrid(*GRID.centres())
    west, north = x.min(), y.max()
    shape = Geometry(
        "Polygon", (((west - 15, north + 15), (west + 75, north + 15), (west - 15, north - 75), (west - 15, north + 15)),), GRID.crs
    )
    expected = (x - west + 15) + (north + 15 - y) < 90
    np.testing.assert_array_equal(~np.ma.getmaskarray(pull(nodes.Within(shape), GRID)), expected)
    everywhere = Geometry.rectangle(GRID.bounds_xyxy, GRID.crs)
    assert Reading([(node := nodes.Within(everywhere), GRID)]).pull(node, GRID).mask is None


def test_coordinates_count_pixels_of_a_lattice() -> None:
    x, y = (pull(nodes.Coordinates(GRID.crs, axis, GRID.transform), GRID) for axis in (0, 1))
    np.testing.assert_allclose(x[1], [0.5, 1.5, 2.5, 3.5])
    np.testing.assert_allclose(y[:, 2], [0.5, 1.5, 2.5])


def authalic_area_m2(south: float, north: float, width_deg: float) -> float:
    """Area of a cell between two parallels of WGS 84. Source: J. P. Snyder, "Map Projections", 1987, equation 3-12."""
    a, f = 6_378_137.0, 1 / 298.257223563
    e = math.sqrt(f * (2 - f))

    def zone(latitude: float) -> float:
        sine = math.sin(math.radians(latitude))
        return sine / (1 - (e * sine) ** 2) + math.atanh(e * sine) / e

    return math.radians(width_deg) * a**2 * (1 - e**2) / 2 * (zone(north) - zone(south))


@pytest.mark.parametrize("north", [0.05, 41.0, -70.0])
def test_areas_in_degrees_are_those_of_the_ellipsoid(north: float) -> None:
    step = 0.01
    grid = PixelGrid("EPSG:4326", (step, 0.0, -90.0, 0.0, -step, north), 2, 3)
    expected = [authalic_area_m2(north - step * (row + 1), north - step * row, step) for row in range(3)]
    np.testing.assert_allclose(pull(nodes.PixelAreas(), grid), np.repeat(expected, 2).reshape(3, 2), rtol=1e-6)


def test_areas_in_metres_are_those_of_the_plane() -> None:
    assert (pull(nodes.PixelAreas(), GRID) == 900).all()


def test_a_reprojected_image_is_computed_on_its_lattice() -> None:
    coarse = Projection(GRID.crs, (60.0, 0.0, GRID.transform[2], 0.0, -60.0, GRID.transform[5]))
    node = nodes.Reprojected(nodes.Coordinates(GRID.crs, 0, coarse.transform), coarse)
    np.testing.assert_allclose(pull(node, GRID)[0], [0.5, 0.5, 1.5, 1.5])  # two pixels of the grid under one of the lattice


def test_on_its_own_lattice_a_reprojected_image_is_not_resampled() -> None:
    node = nodes.Reprojected(source := CountedOnes(), Projection(GRID.crs, GRID.transform))
    assert Reading([(node, GRID)]).pull(node, GRID).values.shape == GRID.shape_yx
    assert Reading([(node, GRID)]).pull(node, GRID).mask is None
    assert source.reads == 2
    assert node.wants(GRID) == [(source, GRID)]
