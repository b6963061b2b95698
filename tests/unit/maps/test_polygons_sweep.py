"""What a sweep keeps and gives away: figures of components, their order, the room that it needs."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cropcam.pipeline.maps.polygons_rings import rings_of
from cropcam.pipeline.maps.polygons_stores import NODES, RINGS
from cropcam.pipeline.maps.polygons_sweep import Sweep
from support.outlines import Raster, rasters, traced


@settings(max_examples=100, deadline=None)
@given(classes_YX=rasters(), seed=st.integers(0, 9), rowwise=st.booleans())
def test_figures_are_sums_over_the_pixels(classes_YX: Raster, seed: int, rowwise: bool) -> None:
    height, width = classes_YX.shape
    hectares_YX = np.random.default_rng(seed).random((height, 1 if rowwise else width))
    found = traced(classes_YX, 3, hectares_YX=hectares_YX)
    spread_YX = np.broadcast_to(hectares_YX, classes_YX.shape)
    for kind in range(3):
        of_kind = [each for each in found if each.kind == kind]
        assert sum(each.pixels for each in of_kind) == (classes_YX == kind).sum()
        np.testing.assert_allclose(sum(each.hectares for each in of_kind), spread_YX[classes_YX == kind].sum(), atol=1e-12)
        assert all(each.probability == kind * each.pixels for each in of_kind)
    assert all(classes_YX.flat[each.first] == each.kind for each in found)


def test_polygons_come_by_their_last_row_then_by_their_first_pixel() -> None:
    classes_YX = np.array([[0, 1, 2], [0, 1, 1], [2, 0, 1], [2, 0, 2]], np.uint8)
    assert [each.first for each in traced(classes_YX, 1)] == [2, 0, 1, 6, 7, 11]


def test_what_no_row_can_extend_leaves_and_frees_its_room() -> None:
    sweep, rng = Sweep((4000, 40), corners=False), np.random.default_rng(0)
    sizes = []
    for _ in range(40):
        rows_YX = rng.integers(0, 3, (100, 40)).astype(np.uint8)
        sweep.rows(rows_YX, rows_YX, np.ones((100, 1)))
        assert sum(len(done_P) for done_P, _ in rings_of(sweep, sweep.take())) > 500
        sizes.append((len(sweep.vertices), len(sweep.components.kind), len(sweep.rings.next)))
    assert sizes[-1] == sizes[20]
    sweep.end()
    list(rings_of(sweep, sweep.take()))
    assert (sweep.counts[NODES], sweep.counts[RINGS]) == (len(sweep.vertices), len(sweep.rings.next))
