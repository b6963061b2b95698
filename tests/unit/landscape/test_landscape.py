"""The simulated land: pure in position, true to the measured spectra, varied enough to learn from."""

from __future__ import annotations

import datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.grid import PixelGrid, Window, study_grid, transform_points
from cropcam.pipeline.landscape import reflectance, truth
from cropcam.pipeline.landscape.atmosphere import CIRRUS, CLEAR, CLOUD, DILATED, SHADOW, SNOW, air, qa_pixel, sky
from cropcam.pipeline.landscape.fields import MILE_M, QUARTER_M, TIER_M, survey, unsurvey
from cropcam.pipeline.landscape.frames import COLLECTIONS, frames, scenes
from cropcam.pipeline.landscape.noise import lattice_hash, mix, normal, octaves, salt, uniform_bytes, unit, value_noise
from cropcam.pipeline.landscape.scenes import labels, to_dn
from cropcam.pipeline.landscape.spectra import AUGUST, CALENDAR, CLASS_OF_CODE, CLASSES, season, tables
from cropcam.pipeline.landscape.surface import blur
from cropcam.pipeline.legend import CDL
from cropcam.pipeline.study.study import load_study, parse_study

AUGUST_30 = datetime.date(2016, 8, 30)  # day 243 of a leap year
positions = st.floats(-2.4e6, 2.3e6)
keys = st.integers(0, 2**32 - 1)


def square(lon: float, lat: float, size_deg: float = 0.05) -> PixelGrid:
    return study_grid((lon, lat, lon + size_deg, lat + size_deg), "EPSG:5070", 30.0)


@given(x=positions, y=positions, wavelength_m=st.floats(60, 1e5), key=keys)
def test_value_noise_is_in_range_and_a_function_of_position_only(x: float, y: float, wavelength_m: float, key: int) -> None:
    xs, ys = np.meshgrid(x + np.arange(7) * 30.0, y - np.arange(5) * 30.0)
    whole = value_noise(xs, ys, wavelength_m, key)
    assert whole.dtype == np.float32
    assert whole.min() >= 0
    assert whole.max() < 1
    for row, col in ((0, 0), (4, 6), (2, 3)):
        one = (slice(row, row + 1), slice(col, col + 1))
        np.testing.assert_array_equal(value_noise(xs[one], ys[one], wavelength_m, key), whole[one])
    np.testing.assert_array_equal(value_noise(xs[::-1, ::-1], ys[::-1, ::-1], wavelength_m, key), whole[::-1, ::-1])


@given(key=keys, x=positions, y=positions)
def test_value_noise_is_continuous(key: int, x: float, y: float) -> None:
    step = np.array([[0.0, 0.01]])
    near = value_noise(x + step, y + 0 * step, 300.0, key)
    assert abs(float(near[0, 1] - near[0, 0])) < 1e-3


@given(ix=st.integers(-(2**31), 2**31 - 1), iy=st.integers(-(2**31), 2**31 - 1), key=keys)
def test_lattice_hash_units_stay_below_one(ix: int, iy: int, key: int) -> None:
    value = float(unit(lattice_hash(np.array([ix]), np.array([iy]), key))[0])
    assert 0 <= value < 1


def test_value_noise_of_nothing_is_nothing() -> None:
    assert value_noise(np.zeros((0, 4)), np.zeros((0, 4)), 100.0, 1).shape == (0, 4)


def test_mix_is_a_bijection_where_tried() -> None:
    assert np.unique(mix(np.arange(200_000))).size == 200_000


def test_draws_are_standard() -> None:
    h = lattice_hash(np.arange(400)[None, :], np.arange(400)[:, None], 5)
    for values in (normal(h), *uniform_bytes(h)):
        assert abs(float(values.mean())) < 0.01
        assert abs(float(values.std()) - 1) < 0.01
    x, y = np.meshgrid(np.arange(0, 4e5, 500.0), np.arange(0, 4e5, 500.0))
    noise = octaves(x, y, (3000.0, 700.0), 9)
    assert abs(float(noise.mean())) < 0.05
    assert abs(float(noise.std()) - 1) < 0.05


def test_salts_differ_by_seed_and_name() -> None:
    found = {salt(seed, *names) for seed in (0, 1, -1, 2**32, 2**40) for names in (("a",), ("b",), ("a", "b"), ("ab",), ("a", 1))}
    assert len(found) == 25


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


def test_truth_is_the_same_through_any_window() -> None:
    grid = square(-90.02, 41.0)
    whole = truth(grid, 3)
    assert whole.dtype == np.uint8
    assert whole.shape == grid.shape_yx
    assert set(np.unique(whole)) <= set(CLASS_OF_CODE)
    for window in (Window(0, 0, 40, 50), Window(37, 61, 64, 33), Window(grid.height - 1, grid.width - 1, 1, 1)):
        np.testing.assert_array_equal(truth(grid.window(window), 3), whole[window.slices])
    assert (truth(grid, 4) != whole).mean() > 0.2


def test_crops_rotate_but_woods_and_water_stay() -> None:
    grid = square(-89.5, 40.0, 0.1)
    one, two = truth(grid, 0, 2016), truth(grid, 0, 2017)
    crops = np.isin(one, (1, 5))
    assert 0.1 < (one != two)[crops].mean() < 0.95
    lasting = one > 100
    np.testing.assert_array_equal(one[lasting], two[lasting])


def test_every_code_has_a_class_a_calendar_and_a_name() -> None:
    assert set(CLASS_OF_CODE) <= set(CDL)
    assert set(CLASS_OF_CODE.values()) == set(CLASSES) == set(CALENDAR) == set(AUGUST)
    for knots in CALENDAR.values():
        days = [day for day, _ in knots]
        assert days == sorted(set(days))


def test_demo_classes_come_and_go_from_patch_to_patch() -> None:
    study = load_study("demo")
    classes = study.legend.index(truth(study.grid, 0))
    size, patches = study.patches.size_px, study.patch_grid
    cut = classes[: patches.rows * size, : patches.columns * size]
    per_patch = cut.reshape(patches.rows, size, patches.columns, size).transpose(0, 2, 1, 3).reshape(patches.count, -1)
    for index, name in enumerate(study.legend.names):
        share = (per_patch == index).mean(1)
        present = (share > study.labels.presence_min_share).mean()
        assert 0.35 < present < 0.85, f"{name} is present in {present:.2f} of the patches"
        assert share.max() > 0.5 or name == "background"
    for name in ("corn", "soybean", "forest", "grassland"):
        assert (per_patch != study.legend.names.index(name)).all(1).mean() > 0.03, f"no patch lacks {name}"


def test_late_august_is_as_measured() -> None:
    grids = [square(-92.2 + 0.7 * k, 38.2 + 0.3 * k, 0.08) for k in range(8)]
    codes = np.concatenate([truth(grid).ravel() for grid in grids])
    values = np.concatenate([reflectance(grid, [AUGUST_30])[0].reshape(7, -1) for grid in grids], axis=1)
    kinds = tables().class_of_code[codes]
    for name in ("corn", "soybean", "deciduous", "woody_wetland", "grass", "open", "low"):
        mean, loadings = np.array(AUGUST[name][0]) * 1e-4, np.array(AUGUST[name][1]) * 1e-4
        covariance = loadings.T @ loadings
        spread = np.sqrt(np.diag(covariance))
        here = values[:, kinds == CLASSES.index(name)]
        assert here.shape[1] > 5000
        np.testing.assert_allclose(here.mean(1), mean, rtol=0.06, err_msg=name)
        np.testing.assert_allclose(here.std(1), spread, rtol=0.12, err_msg=name)
        np.testing.assert_allclose(np.corrcoef(here), covariance / np.outer(spread, spread), atol=0.12, err_msg=name)


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


def test_reflectance_is_the_same_through_any_window() -> None:
    grid = square(-88.3, 40.2, 0.03)
    dates = [datetime.date(2015, 12, 30), AUGUST_30]
    whole = reflectance(grid, dates, 1)
    assert whole.shape == (2, 7, *grid.shape_yx)
    assert whole.dtype == np.float32
    window = Window(11, 23, 31, 17)
    np.testing.assert_array_equal(reflectance(grid.window(window), dates, 1), whole[:, :, *window.slices])


def test_blur_keeps_level_and_cuts_one_pixel() -> None:
    np.testing.assert_allclose(blur(np.full((7, 5, 6), 0.3, np.float32)), np.full((7, 3, 4), 0.3), rtol=1e-6)
    point = np.zeros((1, 5, 5), np.float32)
    point[0, 2, 2] = 1
    assert float(blur(point).sum()) == pytest.approx(1.0)


def test_dn_never_turns_into_fill() -> None:
    np.testing.assert_array_equal(to_dn(np.array([-5, -0.2, 0, 0.1, 9], np.float32)), [1, 1, 7273, 10909, 65535])


def test_labels_err_like_cdl() -> None:
    grid = square(-88.3, 40.2)
    said, confidence = labels(grid, 0, 2016)
    wrong = said != truth(grid)
    assert 0.012 < wrong.mean() < 0.045
    assert confidence.min() >= 1
    assert confidence.max() <= 100
    assert confidence[wrong].mean() < confidence[~wrong].mean() - 20
    window = Window(20, 30, 40, 50)
    np.testing.assert_array_equal(labels(grid.window(window), 0, 2016)[0], said[window.slices])


# QA_PIXEL of real Collection 2 scenes and of USGS LSDS-1619 table 6-3, and the same with dilation or water
REAL_QA = {
    21762,
    21824,
    21890,
    21952,
    22018,
    22080,
    22144,
    22208,
    22280,
    23826,
    23888,
    23954,
    24016,
    24082,
    24144,
    24272,
    30048,
    30242,
    54534,
    54596,
    54724,
    54852,
    54980,
    55052,
    56598,
    56660,
    56788,
    56916,
    57044,
    54662,
    56726,
}


def test_qa_bits_are_consistent_and_real() -> None:
    grid = square(-88.3, 40.2, 0.02)
    x, y = np.meshgrid(*grid.centres())
    found: set[int] = set()
    snowy = 0
    for i in range(60):
        weather = sky(datetime.date(2016, 1, 5) + datetime.timedelta(days=6 * i), salt(1, "pass", i))
        over = air(weather, x * 40, y * 40)  # stretched, to see many kinds of weather in few pixels
        qa = qa_pixel(over, y > y.mean())
        bit = {name: (qa >> np.uint16(name)) & 1 for name in (DILATED, CIRRUS, CLOUD, SHADOW, SNOW, CLEAR)}
        np.testing.assert_array_equal(bit[CLEAR], 1 - (bit[CLOUD] | bit[DILATED]))
        np.testing.assert_array_equal((qa >> 8) & 3 == 3, bit[CLOUD] == 1)
        np.testing.assert_array_equal((qa >> 10) & 3 == 3, bit[SHADOW] == 1)
        np.testing.assert_array_equal((qa >> 12) & 3 == 3, bit[SNOW] == 1)
        np.testing.assert_array_equal((qa >> 14) & 3 == 3, bit[CIRRUS] == 1)
        assert not (bit[CLOUD] & bit[SHADOW]).any()
        assert (qa & 1 == 0).all()
        snowy += bool(bit[SNOW].any())
        if not bit[SNOW].any():
            found |= {int(code) for code in np.unique(qa)}
    assert {21824, 21952, 22280, 23888, 54596} <= found <= REAL_QA
    assert snowy
    assert sky(datetime.date(2016, 7, 1), 3).snow_depth == 0


@pytest.mark.parametrize(
    "bounds",
    [
        (-94.0, 37.0, -86.0, 41.5),
        (-90.18, 40.84, -89.84, 41.18),
        (-90.02, 38.0, -89.99, 38.03),
        (-84.01, 39.0, -83.98, 39.03),
        (-91, 36, -89, 44),
        (-110.0, 39.0, -77.5, 39.5),
    ],
)
def test_frames_see_the_whole_area_in_every_zone(bounds: tuple[float, float, float, float]) -> None:
    found = frames(bounds)
    west, south, east, north = bounds
    assert {frame.zone for frame in found} >= {int((lon + 180) // 6) + 1 for lon in (west, np.nextafter(east, west))}
    lon, lat = np.meshgrid(np.linspace(west, east, 60), np.linspace(south, north, 60))
    seen = np.zeros(lon.shape, bool)
    for frame in found:
        assert frame.grid.crs == f"EPSG:{32600 + frame.zone}"
        assert frame.grid.transform[2] % 30 == 15
        assert frame.grid.transform[5] % 30 == 15
        assert max(frame.grid.shape_yx) * 30 < 245_000
        x, y = transform_points("EPSG:4326", frame.grid.crs, lon, lat)
        inside = frame.footprint(x, y, 0.0)
        rows, _ = frame.grid.index(x, y)
        assert (rows[inside] >= 0).all(), "a footprint reaches out of its grid"
        seen |= inside
    assert seen.all()


def test_a_zone_border_leaves_nodata_inside_the_area() -> None:
    study = load_study("demo")
    shares = []
    for frame in frames(study.area.bounds):
        x, y = frame.grid.centres()
        shares.append(frame.footprint(x[None, :], y[:, None], 0.0).mean())
    assert sorted(round(float(share), 1) for share in shares) == [0.5, 1.0]


def test_scenes_come_every_16_days_within_the_seasons() -> None:
    values = load_study("demo-seasons").to_dict()
    values["image"]["collections"] = list(COLLECTIONS)
    found = scenes(parse_study(values))
    assert len({scene.index for scene in found}) == len(found)
    assert all(datetime.date(2016, 4, 1) <= scene.date < datetime.date(2016, 10, 15) for scene in found)
    days: dict[tuple[str, int], list[int]] = {}
    for scene in found:
        days.setdefault((scene.collection, scene.frame.path), []).append(scene.date.toordinal())
        assert scene.index == f"{scene.asset[8:12]}_{scene.frame.path:03d}{scene.frame.row:03d}_{scene.date:%Y%m%d}"
        assert datetime.datetime.fromtimestamp(scene.time_start_ms / 1000, datetime.UTC).date() == scene.date
    assert {b - a for of_path in days.values() for a, b in pairwise(of_path)} == {16}
    phases = {key: of_path[0] % 16 for key, of_path in days.items()}
    assert (phases["LANDSAT/LC08/C02/T1_L2", 25] - phases["LANDSAT/LC08/C02/T1_L2", 24]) % 16 == 7
    assert (phases["LANDSAT/LC09/C02/T1_L2", 24] - phases["LANDSAT/LC08/C02/T1_L2", 24]) % 16 == 8


def test_only_landsat_and_the_united_states() -> None:
    values = load_study("demo").to_dict()
    values["image"]["collections"] = ["COPERNICUS/S2_SR"]
    with pytest.raises(ConfigError, match="COPERNICUS/S2_SR"):
        scenes(parse_study(values))
    with pytest.raises(ConfigError, match="contiguous United States"):
        frames((5.0, 50.0, 6.0, 51.0))
