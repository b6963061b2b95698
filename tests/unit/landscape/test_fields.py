"""The survey of the land: invertible, true north, square miles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.landscape.fields import (
    ALFALFA,
    CORN,
    DOUBLE_CROP,
    FALLOW,
    GRASS,
    HAY,
    MILE_M,
    OATS,
    QUARTER_M,
    SOYBEAN,
    TIER_M,
    WHEAT,
    fields,
    relief,
    survey,
    unsurvey,
)  # fmt: skip


@given(lon=st.floats(-95, -85), lat=st.floats(36.5, 42))
@settings(max_examples=50)
def test_survey_is_inverted_and_runs_true_north(lon: float, lat: float) -> None:
    x, y = transform_points("EPSG:4326", "EPSG:5070", np.array([[lon]]), np.array([[lat]]))
    at = survey(x, y)
    back = unsurvey(at.u_m, at.v_m)
    np.testing.assert_allclose(np.concatenate(back), np.concatenate([x, y]), atol=1e-3)
    north_m = np.floor(at.v_m / TIER_M) * TIER_M + TIER_M / 2  # the middle of the tier: same meridian
    other = transform_points("EPSG:5070", "EPSG:4326", *unsurvey(at.u_m, north_m))
    assert float(other[0][0, 0]) == pytest.approx(lon, abs=1e-9)
    assert QUARTER_M * 2 == MILE_M


def test_fields_are_the_same_through_any_window_and_soil_outlasts_the_year() -> None:
    x_m, y_m = np.meshgrid(4.0e5 + np.arange(0, 6000, 90.0), 1.9e6 + np.arange(0, 6000, 90.0))
    whole, later = fields(survey(x_m, y_m), 5, 2016), fields(survey(x_m, y_m), 5, 2017)
    part = np.s_[20:31, 7:44]
    small = fields(survey(x_m[part], y_m[part]), 5, 2016)
    for name in ("code", "shift_days", "soil", "hashes"):
        np.testing.assert_array_equal(getattr(small, name), getattr(whole, name)[part], err_msg=name)
    for one, other in zip(small.traits, whole.traits, strict=True):
        np.testing.assert_array_equal(one, other[part])
    assert set(np.unique(whole.code)) <= {CORN, SOYBEAN, WHEAT, DOUBLE_CROP, OATS, ALFALFA, HAY, FALLOW, GRASS}
    assert abs(whole.shift_days.astype(int)).max() <= 24
    np.testing.assert_array_equal(whole.hashes, later.hashes)
    np.testing.assert_array_equal(whole.soil, later.soil)
    assert (whole.shift_days != later.shift_days).any()


def test_relief_is_standard_over_a_large_area() -> None:
    values = relief(*np.meshgrid(np.arange(0, 8e5, 2000.0), np.arange(0, 8e5, 2000.0)), seed=1)
    assert abs(float(values.mean())) < 0.15
    assert abs(float(values.std()) - 1) < 0.15
