"""The table of spectra and its calendar."""

from __future__ import annotations

import datetime

import numpy as np
import pytest

from cropcam.pipeline.landscape.spectra import AUGUST, CALENDAR, CLASS_OF_CODE, CLASSES, season, tables
from cropcam.pipeline.legend_sources import cdl


def test_every_code_has_a_class_a_calendar_and_a_name() -> None:
    assert set(CLASS_OF_CODE) <= set(cdl().by_code)
    assert set(CLASS_OF_CODE.values()) == set(CLASSES) == set(CALENDAR) == set(AUGUST)
    for knots in CALENDAR.values():
        days = [day for day, _ in knots]
        assert days == sorted(set(days))


def ndvi(day: datetime.date, name: str) -> float:
    mean = season(day).mean.reshape(7, len(CLASSES), -1)[:, CLASSES.index(name), 24]
    return float((mean[4] - mean[3]) / (mean[4] + mean[3]))


def test_the_year_runs_as_in_the_corn_belt() -> None:
    may, june, july, august, september = (datetime.date(2016, m, d) for m, d in ((5, 12), (6, 22), (7, 20), (8, 20), (9, 24)))
    for crop in ("corn", "soybean"):
        assert ndvi(may, crop) < 0.36
        assert ndvi(august, crop) > 0.75
    assert ndvi(june, "corn") > ndvi(june, "soybean") + 0.1  # corn closes first
    assert ndvi(september, "soybean") < ndvi(august, "soybean") - 0.25
    assert ndvi(may, "small_grain") > 0.75
    assert ndvi(july, "small_grain") < 0.45  # harvested
    assert ndvi(may, "deciduous") > 0.6
    assert ndvi(september, "deciduous") > 0.8
    assert ndvi(datetime.date(2016, 4, 15), "grass") > ndvi(datetime.date(2016, 4, 15), "corn") + 0.2
    assert ndvi(datetime.date(2016, 1, 15), "deciduous") < 0.6


def test_a_season_reads_the_calendar_at_its_knots_and_between_them() -> None:
    """Fields without lateness: straight lines between the knots, by hand."""
    for name, day, expected in (
        ("corn", 146, dict(CALENDAR["corn"])[146]),
        ("soybean", 206, AUGUST["soybean"][0]),
        ("grass", 105, tuple((a + b) / 2 for a, b in zip(CALENDAR["grass"][1][1], CALENDAR["grass"][2][1], strict=True))),
    ):
        date = datetime.date(2015, 1, 1) + datetime.timedelta(days=day - 1)
        found = season(date).mean.reshape(7, len(CLASSES), -1)[:, CLASSES.index(name), 24]
        np.testing.assert_allclose(found * 1e4, expected, rtol=1e-5, err_msg=name)


def test_late_fields_lag_behind_the_calendar_in_spring_and_water_does_not_change() -> None:
    early, now = season(datetime.date(2016, 5, 28)), season(datetime.date(2016, 6, 2))
    of = lambda one, name, days: one.mean.reshape(7, len(CLASSES), -1)[:, CLASSES.index(name), 24 + days]  # noqa: E731
    np.testing.assert_allclose(of(now, "corn", 5), of(early, "corn", 0), rtol=1e-6)
    assert len(np.unique(now.mean.reshape(7, len(CLASSES), -1)[:, CLASSES.index("water")], axis=1).T) == 1


def test_bare_ground_is_in_sight_where_the_crop_is_not() -> None:
    soil = (0.62 - (2150 - 1270) / (2150 + 1270)) / 0.45  # by the index of bare soil
    for date, bare in ((datetime.date(2016, 5, 1), soil), (datetime.date(2016, 7, 20), 0.0)):
        found = season(date)
        index = CLASSES.index("corn") * 49 + 24
        assert found.soil[index] == pytest.approx(bare)
        assert found.spread[index] == pytest.approx(1 - 0.45 * bare)


def test_the_tables_hold_the_spectra_in_reflectance() -> None:
    found = tables()
    np.testing.assert_allclose(found.mean[:, CLASSES.index("corn")] * 1e4, AUGUST["corn"][0], rtol=1e-6)
    np.testing.assert_allclose(found.loadings[1, :, CLASSES.index("water")] * 1e4, AUGUST["water"][1][1], rtol=1e-6)
    np.testing.assert_allclose((found.shares**2).sum(axis=0), 1, atol=1e-6)
    assert [CLASSES[found.class_of_code[code]] for code in (1, 111, 176)] == ["corn", "water", "grass"]
