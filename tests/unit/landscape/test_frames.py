"""Paths, rows, dates and footprints of the simulated scenes."""

from __future__ import annotations

import datetime
from itertools import pairwise

import numpy as np
import pytest

from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.landscape.frames import COLLECTIONS, frames, scenes
from cropcam.pipeline.study.study import load_study, parse_study


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
