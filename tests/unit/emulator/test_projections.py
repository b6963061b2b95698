"""Projections: lattices, windows, names of CRSs."""

from __future__ import annotations

import math

import ee
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.projections import Projection, affine, crs_field, crs_name, metres_per_unit, outward
from cropcam.pipeline.grid import Window
from support.scenes import Client
from support.small_images import ramp


@given(
    st.floats(1, 100), st.floats(-1e4, 1e4), st.floats(-1e4, 1e4), st.integers(-50, 50), st.integers(-50, 50), st.integers(1, 40), st.integers(1, 40),
)  # fmt: skip
def test_the_bounds_of_a_window_are_covered_by_that_window(
    step: float, x: float, y: float, row: int, col: int, height: int, width: int
) -> None:
    lattice, window = Projection("EPSG:3857", (step, 0.0, x, 0.0, -step, y)), Window(row, col, height, width)
    grid = lattice.grid(window)
    assume(math.isfinite(step))
    assert lattice.covering(grid.bounds_xyxy) == window
    assert lattice.holds(grid)
    assert not Projection("EPSG:3857", (step, 0.0, x + step / 3, 0.0, -step, y)).holds(grid)
    assert not Projection("EPSG:5070", lattice.transform).holds(grid)


@pytest.mark.parametrize(("transform", "message"), [([1, 2], "a list of 6 numbers"), ([0, 0, 0, 0, 0, 0], "not invertible")])
def test_bad_transforms_are_refused(transform: list[int], message: str) -> None:
    with pytest.raises(EngineError, match=message):
        affine(transform)


def test_a_crs_without_a_code_travels_as_text(client: Client) -> None:
    own = 'PROJCS["own",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Sinusoidal"],PARAMETER["longitude_of_center",-88],PARAMETER["false_easting",0],PARAMETER["false_northing",0],UNIT["metre",1]]'
    made = ramp().reproject(own, None, 30)
    assert client.value(made.projection())["wkt"] == own
    grid = client.image(made).grid
    assert grid is not None
    assert (client.pixels(made, grid).filled(0) > 0).sum() > 900
    known = client.value(ee.Projection(client.value(ee.Projection("EPSG:32616").wkt())))
    assert known["crs"] == "EPSG:32616"
    with pytest.raises(EngineError, match="could not be parsed: 'nowhere'"):
        client.value(ee.Projection("nowhere"))


@pytest.mark.parametrize(("crs", "metres"), [("EPSG:32616", 1.0), ("EPSG:4326", 111_319.490793), ("EPSG:2271", 1200 / 3937)])
def test_a_unit_of_a_crs_has_a_length_in_metres(crs: str, metres: float) -> None:
    assert metres_per_unit(crs) == pytest.approx(metres, rel=1e-9)  # EPSG:2271 is in US survey feet
    assert Projection(crs).at_scale(30).nominal_scale_m == pytest.approx(30)


def test_a_scale_gives_a_north_up_lattice_through_the_origin() -> None:
    assert Projection("EPSG:32616", (10.0, 0.0, 5.0, 0.0, -10.0, 7.0)).at_scale(30).transform == (30.0, 0.0, 0.0, 0.0, -30.0, 0.0)


def test_a_crs_has_its_epsg_code_where_there_is_one() -> None:
    assert crs_name("EPSG:5070") == "EPSG:5070"
    assert crs_name(Projection("EPSG:32616").wkt) == "EPSG:32616"
    assert crs_field("EPSG:32616") == {"crs": "EPSG:32616"}
    assert crs_field("PROJCS[...]") == {"wkt": "PROJCS[...]"}
    for name in ("EPSG:99999999", "nowhere"):
        with pytest.raises(EngineError, match=f"could not be parsed: '{name}'"):
            crs_name(name)


@given(st.sampled_from([2e-9, 1e-8, 1e-6, 0.4]), st.integers(0, 3), st.booleans())
def test_a_bound_off_a_line_takes_one_more_row_or_column(off_px: float, side: int, is_outside: bool) -> None:
    lattice = Projection("EPSG:4326", (0.00026949458523585647, 0.0, -96.7, 0.0, -0.00026949458523585647, 43.5))
    bounds = list(lattice.grid(Window(8, 5, 30, 40)).bounds_xyxy)
    outward_sign = (-1, -1, 1, 1)[side]
    bounds[side] += outward_sign * off_px * lattice.transform[0] * (1 if is_outside else -1)
    west, south, east, north = bounds
    window = lattice.covering((west, south, east, north))
    grown = Window(*((7, 5, 31, 40), (8, 4, 30, 41), (8, 5, 31, 40), (8, 5, 30, 41))[(1, 2, 3, 0)[side]])
    assert window == (grown if is_outside else Window(8, 5, 30, 40))


@given(st.floats(-1e-9, 1e-9), st.integers(-10_000, 10_000))
def test_rounding_errors_of_doubles_take_no_row_or_column(error_px: float, line: int) -> None:
    assert outward((line + error_px / 2, 3, line + 7 - error_px / 2, 5)) == Window(3, line, 2, 7)
