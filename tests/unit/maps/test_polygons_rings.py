"""Rings: parted where they touch themselves, holes in order, parts of any size."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from cropcam.pipeline.maps import polygons_rings
from support.outlines import spiral, traced


def test_a_ring_that_touches_itself_becomes_a_ring_and_a_hole() -> None:
    classes_YX = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0]], np.uint8)
    outer = next(each.polygon for each in traced(classes_YX) if each.first == 0)
    assert outer.is_valid
    assert [list(hole.coords) for hole in outer.interiors] == [[(1, -1), (2, -1), (2, -2), (1, -2), (1, -1)]]
    assert outer.area == 7


def test_holes_are_ordered_by_their_upper_left_vertex() -> None:
    classes_YX = np.ones((9, 9), np.uint8)
    for row, col in ((1, 5), (1, 1), (3, 3), (5, 1), (7, 7)):
        classes_YX[row, col] = 0
    (outer,) = [each.polygon for each in traced(classes_YX, 2) if each.kind == 1]
    assert [hole.coords[0] for hole in outer.interiors] == [(1, -1), (5, -1), (3, -3), (1, -5), (7, -7)]


def test_the_size_of_parts_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    classes_YX = np.random.default_rng(2).integers(0, 3, (40, 30)).astype(np.uint8)
    classes_YX[:21, :21] = spiral(21)
    whole = traced(classes_YX)
    monkeypatch.setattr(polygons_rings, "PART_VERTICES", 9)
    parts = traced(classes_YX)
    assert [each[:5] for each in parts] == [each[:5] for each in whole]
    assert all(shapely.equals_exact(one.polygon, other.polygon) for one, other in zip(parts, whole, strict=True))
