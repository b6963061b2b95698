"""Stores grow in place, and their free places are linked."""

from __future__ import annotations

import numpy as np

from cropcam.pipeline.maps.polygons_stores import Rings, chain_free, grown


def test_arrays_grow_in_place_and_keep_their_values() -> None:
    rings = Rings(np.arange(4, dtype=np.int32), np.arange(4), np.arange(4, dtype=np.int32))
    same, first = grown(rings, 6)
    assert same is rings
    assert first == 4
    assert [len(each) for each in rings] == [10, 10, 10]
    assert rings.vertex[:4].tolist() == [0, 1, 2, 3]
    (vertices,), _ = grown((np.array([[0, 1, 2], [3, 4, 5]], np.int32),), 5)
    assert vertices[:2].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert vertices.shape == (7, 3)


def test_new_places_are_linked_before_the_free_ones() -> None:
    following = np.array([-1, 0, 9, 9, 9], np.int32)
    assert chain_free(following, 2, 1) == 2
    assert following.tolist() == [-1, 0, 3, 4, 1]
