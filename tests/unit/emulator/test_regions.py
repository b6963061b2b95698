"""Reductions of an image over a region against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.geometry import Geometry
from cropcam.pipeline.emulator.images import Band, BandType, LazyImage
from cropcam.pipeline.emulator.nodes import Coordinates, Masked
from cropcam.pipeline.emulator.operators import BINARY
from cropcam.pipeline.emulator.pixels import Apply, Constant
from cropcam.pipeline.emulator.projections import Projection
from cropcam.pipeline.emulator.reducers import Reducer
from cropcam.pipeline.emulator.regions import reduce_region
from support.small_images import GRID

LATTICE = Projection(GRID.crs, GRID.transform)
COLUMN = Coordinates(GRID.crs, 0, GRID.transform)  # 0.5 in the first column of the grid
COLUMNS = LazyImage([Band("x", BandType("double"), COLUMN), Band("one", BandType("int", 1, 1), Constant(1, "uint8"))])


def region(width: int, height: int) -> Geometry:
    """A rectangle of whole pixels from the corner of the grid."""
    west, north = GRID.transform[2], GRID.transform[5]
    return Geometry.rectangle((west, north - 30 * height, west + 30 * width, north), GRID.crs)


def reduce(kind: str, width: int, height: int, max_pixels: int = 10**7, *, best_effort: bool = False) -> dict[str, object]:
    return reduce_region(COLUMNS, Reducer(kind), region(width, height), LATTICE, max_pixels=max_pixels, best_effort=best_effort)


@pytest.mark.parametrize(
    ("kind", "function"),
    [("mean", np.mean), ("median", np.median), ("min", np.min), ("max", np.max), ("sum", np.sum), ("stdDev", np.std), ("variance", np.var)],
)
def test_each_reducer_equals_its_numpy_function(kind: str, function: object) -> None:
    columns = np.tile(np.arange(7) + 0.5, 5)
    assert reduce(kind, 7, 5)["x"] == pytest.approx(function(columns))  # type: ignore[operator]


def test_a_region_of_several_blocks_is_reduced_as_one() -> None:
    found = reduce("sum", 600, 530)
    assert found["x"] == pytest.approx(530 * 600**2 / 2)
    assert found["one"] == 600 * 530
    assert isinstance(found["one"], int)


def test_counts_and_histograms_are_whole() -> None:
    assert reduce("count", 4, 3) == {"x": 12, "one": 12}
    assert reduce("frequencyHistogram", 2, 3) == {"x": {"0.5": 3, "1.5": 3}, "one": {"1": 6}}


def test_masked_pixels_and_pixels_outside_the_polygon_do_not_count() -> None:
    west, north = GRID.transform[2], GRID.transform[5]
    triangle = Geometry("Polygon", (((west, north), (west + 120, north), (west, north - 120), (west, north)),), GRID.crs)
    greater = BINARY["gt"].function(BandType("double"), BandType("int", 1, 1), np.dtype(np.uint8))
    kept = Masked(COLUMN, Apply(greater, COLUMN, Constant(1, "uint8")))
    image = LazyImage([Band("x", BandType("double"), kept)])
    expected = [col + 0.5 for row in range(4) for col in range(4) if col + row + 1 < 4 and col + 0.5 > 1]
    found = reduce_region(image, Reducer("toList"), triangle, LATTICE, max_pixels=100, best_effort=False)
    assert found == {"x": expected}


def test_no_valid_pixel_reduces_to_null_and_counts_0() -> None:
    empty = LazyImage([Band("x", BandType("double"), Masked(COLUMN, Constant(0, "uint8")))])
    for kind, expected in (("mean", None), ("max", None), ("count", 0)):
        assert reduce_region(empty, Reducer(kind), region(2, 2), LATTICE, max_pixels=100, best_effort=False) == {"x": expected}


def test_too_many_pixels_are_refused_or_made_coarser() -> None:
    with pytest.raises(EngineError, match=r"Too many pixels in the region\. Found 64, but maxPixels allows only 20"):
        reduce("count", 8, 8, max_pixels=20)
    assert reduce("count", 8, 8, max_pixels=20, best_effort=True)["one"] == 16
