"""Well-known binary against shapely's own."""

from __future__ import annotations

import itertools

import numpy as np
import shapely
from hypothesis import given, settings

from cropcam.pipeline.maps.polygons_rings import rings_of
from cropcam.pipeline.maps.polygons_sweep import Sweep
from cropcam.pipeline.maps.polygons_wkb import bounds, wkb
from support.outlines import Raster, polygons, rasters

TRANSFORM = (0.25, 0.0, -96.0, 0.0, -0.5, 44.0)


@settings(max_examples=60, deadline=None)
@given(classes_YX=rasters())
def test_polygons_are_read_as_they_were_written(classes_YX: Raster) -> None:
    sweep = Sweep(classes_YX.shape, corners=False)
    sweep.rows(classes_YX, classes_YX, np.ones((len(classes_YX), 1)))
    sweep.end()
    for done_P, outlines in rings_of(sweep, sweep.take()):
        buffer, offset_P = wkb(outlines, TRANSFORM)
        data = buffer.tobytes()
        assert offset_P[0] == 0
        assert offset_P[-1] == len(data)
        found = shapely.from_wkb([data[begin:end] for begin, end in itertools.pairwise(offset_P)])
        expected = shapely.transform(polygons(outlines), lambda xy: np.array([-96.0, 44.0]) + xy * [0.25, 0.5])
        assert len(found) == len(done_P)
        assert all(shapely.equals_exact(one, other) for one, other in zip(found, expected, strict=True))
        np.testing.assert_array_equal(bounds(outlines, TRANSFORM), shapely.bounds(expected))
