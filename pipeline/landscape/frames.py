"""Scenes of an area: paths, rows, dates, UTM zones and slanted footprints, by Landsat's Worldwide Reference System 2.

A frame is one path and row. It is 185 km wide, leans 13 degrees with the orbit, comes back every 16 days, and is
delivered in the UTM zone of its middle, so neighbouring paths overlap and an area at a zone border is seen in both.

Source: USGS, Landsat 8 Data Users Handbook (LSDS-1574) 2.2 and 5: WRS-2, 233 paths, 16-day repeat; path 23 row 32 and
its date from LC08_L2SP_023032_20230831. Frame centres are a linear fit for mid latitudes, some kilometres off.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.landscape.noise import salt
from cropcam.pipeline.study.study import Study

SCALE_M = 30.0
MARGIN_M = 900.0  # scenes of small areas reach this far beyond the area
HALF_ACROSS_M, HALF_ALONG_M = 92_500.0, 91_000.0
TILT = math.radians(13.0)
REPEAT_DAYS = 16
_SWAY_M = 2_500.0  # offset of a frame from its nominal place, which changes with the date
_PATHS = 233
_LOW_AREA_DEG = 1.2  # areas of less latitude fit into one row
_NARROW_DEG = 2.0  # every path over an area of less longitude covers its middle
_FIRST_PASS = datetime.date(2023, 8, 31).toordinal()  # of Landsat 8 on path 23
_WITHIN = (-130.0, 22.0, -60.0, 52.0)  # degrees; where EPSG:5070 and the fit above hold
# collection: (scene prefix, days after Landsat 8 on the same path)
COLLECTIONS = {
    "LANDSAT/LC08/C02/T1_L2": ("LC08", 0),
    "LANDSAT/LC09/C02/T1_L2": ("LC09", 8),
    "LANDSAT/LE07/C02/T1_L2": ("LE07", 8),
    "LANDSAT/LT05/C02/T1_L2": ("LT05", 0),
}


@dataclass(frozen=True)
class Frame:
    """One path and row of an area: the grid its scenes share and where its footprint lies in that grid's CRS."""

    path: int
    row: int
    grid: PixelGrid
    middle_xy: tuple[float, float]

    @property
    def zone(self) -> int:
        """UTM zone."""
        return int(self.grid.crs.removeprefix("EPSG:")) % 100

    def footprint(self, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], sway_m: float) -> npt.NDArray[np.bool_]:
        """Whether each point (frame CRS, broadcast shapes) was seen by a pass displaced by `sway_m` across the track."""
        return _inside(x - self.middle_xy[0], y - self.middle_xy[1], sway_m)


@dataclass(frozen=True)
class Scene:
    """One acquisition of a frame."""

    collection: str
    frame: Frame
    date: datetime.date

    @property
    def index(self) -> str:
        """system:index, such as LC08_023032_20160711."""
        return f"{COLLECTIONS[self.collection][0]}_{self.frame.path:03d}{self.frame.row:03d}_{self.date:%Y%m%d}"

    @property
    def asset(self) -> str:
        """The asset id."""
        return f"{self.collection}/{self.index}"

    @property
    def time_start_ms(self) -> int:
        """system:time_start: milliseconds since 1970, UTC; passes come about 16:45 and go 24 s a row southward."""
        minutes = 16 * 60 + 45 - 6 * (23 - self.frame.path)
        midnight = datetime.datetime.combine(self.date, datetime.time(), datetime.UTC)
        return int((midnight + datetime.timedelta(minutes=minutes, seconds=24 * (self.frame.row - 30))).timestamp()) * 1000

    def key(self, seed: int, *names: str) -> int:
        """A salt for the air and clouds of this pass, equal in every row of the path."""
        return salt(seed, self.collection, self.frame.path, self.date.isoformat(), *names)

    def sway_m(self, seed: int) -> float:
        """Offset of this pass from its nominal place in metres, across the track."""
        return (self.key(seed, "sway") / 2**31 - 1) * _SWAY_M


def scenes(study: Study, collections: Sequence[str] = ()) -> list[Scene]:
    """Every scene of the study's area, of its collections or others, from the first season's start to the last one's end, frame by frame.

    Raises:
        ConfigError: the area lies outside the contiguous United States.
    """
    first, last = study.image.period
    dates = []
    for frame in frames(study.area.bounds):
        for collection in collections or (name for name in study.image.collections if name in COLLECTIONS):
            phase = _FIRST_PASS + 7 * (frame.path - 23) + COLLECTIONS[collection][1]
            day = first.toordinal() + (phase - first.toordinal()) % REPEAT_DAYS
            dates += [Scene(collection, frame, datetime.date.fromordinal(d)) for d in range(day, last.toordinal(), REPEAT_DAYS)]
    return dates


def frames(bounds_xyxy: tuple[float, float, float, float]) -> list[Frame]:
    """The frames that together see all of an area (degrees), in every UTM zone it touches, west to east.

    A row is left out where a neighbouring row of the same path covers its part of the area: it is the same pass. Where
    the area is low enough for one row, that row is moved along the track until it covers all of it.
    A zone that the area touches but no frame serves gets the nearest path of that zone, moved so that its edge runs
    through the area.

    Raises:
        ConfigError: the area lies outside the contiguous United States.
    """
    check_within(bounds_xyxy)
    west, south, east, north = bounds_xyxy
    lon, lat = (grid.ravel() for grid in np.meshgrid(np.linspace(west, east, 61), np.linspace(south, north, 61)))
    hits = []
    for path in range(_path(east, south) - 3, _path(west, north) + 4):
        if north - south < _LOW_AREA_DEG:
            places = [_low_area_place(path, bounds_xyxy)]
        else:
            places = [_nominal(path, row) for row in range(_row(north) - 2, _row(south) + 3)]
        seen = {place: _sees(place, lon, lat) for place in places}
        left = np.any(list(seen.values()), axis=0)
        while left.any():
            place = max(seen, key=lambda p: int((seen[p] & left).sum()))
            hits.append(_frame(place, bounds_xyxy))
            left &= ~seen[place]
    zones = {frame.zone for frame in hits}
    missing = [zone for zone in range(utm_zone(west), utm_zone(math.nextafter(east, west)) + 1) if zone not in zones]
    hits += [_frame(_edge_place(zone, bounds_xyxy), bounds_xyxy) for zone in missing]
    return sorted(hits, key=lambda frame: (-frame.path, frame.row))


def check_within(bounds_xyxy: tuple[float, float, float, float]) -> None:
    """Refuse an area (degrees) outside the contiguous United States.

    Raises:
        ConfigError: it reaches outside.
    """
    west, south, east, north = bounds_xyxy
    if west < _WITHIN[0] or south < _WITHIN[1] or east > _WITHIN[2] or north > _WITHIN[3]:
        raise ConfigError(
            f"area.bounds {list(bounds_xyxy)} reach outside {list(_WITHIN)}: the simulated landscape is the contiguous United States"
        )


def is_wide_and_low(bounds_xyxy: tuple[float, float, float, float]) -> bool:
    """Whether an area (degrees) fits into a row of each path, and not every path covers its middle."""
    west, south, east, north = bounds_xyxy
    return north - south < _LOW_AREA_DEG and east - west > _NARROW_DEG


class _Place(NamedTuple):
    """Position of a path and row: UTM CRS and its middle there."""

    path: int
    row: int
    crs: str
    middle_xy: tuple[float, float]

    def offset_m(self, lon: float, lat: float) -> tuple[float, float]:
        """Metres of a point from the middle: across the track (to the east) and along it (to the north)."""
        x, y = transform_points("EPSG:4326", self.crs, lon, lat)
        dx, dy = float(x) - self.middle_xy[0], float(y) - self.middle_xy[1]
        return dx * math.cos(TILT) - dy * math.sin(TILT), dx * math.sin(TILT) + dy * math.cos(TILT)

    def moved(self, across_m: float, along_m: float) -> _Place:
        """The same place, displaced."""
        x, y = self.middle_xy
        x, y = x + across_m * math.cos(TILT) + along_m * math.sin(TILT), y - across_m * math.sin(TILT) + along_m * math.cos(TILT)
        return self._replace(middle_xy=(x, y))


def _nominal(path: int, row: int) -> _Place:
    lon, lat = _centre(path, row)
    crs = f"EPSG:{32600 + utm_zone(lon)}"  # UTM north
    x, y = transform_points("EPSG:4326", crs, lon, lat)
    return _Place(path, row, crs, (float(x), float(y)))


def _low_area_place(path: int, bounds_xyxy: tuple[float, float, float, float]) -> _Place:
    """The row of a path nearest to a low area, moved along the track so that this row alone covers the path's part of it."""
    west, south, east, north = bounds_xyxy
    lat, middle, reach = (south + north) / 2, (west + east) / 2, max(0.0, (east - west - _NARROW_DEG) / 2)
    place = _nominal(path, _row(lat))
    lon = min(max(_centre(path, place.row)[0], middle - reach), middle + reach)  # the part of a wide area that this path covers
    return place.moved(0.0, place.offset_m(lon, lat)[1])


def _edge_place(zone: int, bounds_xyxy: tuple[float, float, float, float]) -> _Place:
    """The nearest path of a zone, moved so that its edge runs through the area, a little beyond the middle."""
    west, south, east, north = bounds_xyxy
    lon, lat = (west + east) / 2, (south + north) / 2
    row = _row(lat)
    around = _path(6.0 * zone - 183.0, lat)  # the meridian of the zone: the middle of a wide area may be far from it
    paths = [path for path in range(around - 6, around + 7) if utm_zone(_centre(path, row)[0]) == zone]
    place = _nominal(min(paths, key=lambda p: abs(_centre(p, row)[0] - lon)), row)
    across_m, along_m = place.offset_m(lon, lat)
    reach_m = 0.15 * (east - west) * 111_320 * math.cos(math.radians(lat)) / 2
    return place.moved(across_m - math.copysign(HALF_ACROSS_M - reach_m, across_m), along_m)


def _frame(place: _Place, bounds_xyxy: tuple[float, float, float, float]) -> Frame:
    mx, my = place.middle_xy
    west, south, east, north = bounds_xyxy
    edge = np.linspace(0, 1, 41)
    lon = np.concatenate([west + edge * (east - west)] * 2 + [np.full(41, west), np.full(41, east)])
    lat = np.concatenate([np.full(41, south), np.full(41, north)] + [south + edge * (north - south)] * 2)
    x, y = transform_points("EPSG:4326", place.crs, lon, lat)
    half_x = HALF_ACROSS_M * math.cos(TILT) + HALF_ALONG_M * math.sin(TILT) + _SWAY_M
    half_y = HALF_ACROSS_M * math.sin(TILT) + HALF_ALONG_M * math.cos(TILT) + _SWAY_M
    # pixel centres lie on multiples of 30 m, edges at 15 m beside them
    left = _snap(max(x.min() - MARGIN_M, mx - half_x))
    right = _snap(min(x.max() + MARGIN_M, mx + half_x)) + SCALE_M
    bottom = _snap(max(y.min() - MARGIN_M, my - half_y))
    top = _snap(min(y.max() + MARGIN_M, my + half_y)) + SCALE_M
    grid = PixelGrid(place.crs, (SCALE_M, 0.0, left, 0.0, -SCALE_M, top), round((right - left) / SCALE_M), round((top - bottom) / SCALE_M))
    return Frame((place.path - 1) % _PATHS + 1, place.row, grid, place.middle_xy)


def _snap(value_m: float) -> float:
    return math.floor((value_m - 15.0) / SCALE_M) * SCALE_M + 15.0


def _inside(dx: npt.NDArray[np.float64], dy: npt.NDArray[np.float64], sway_m: float) -> npt.NDArray[np.bool_]:
    across = dx * math.cos(TILT) - dy * math.sin(TILT) - sway_m
    along = dx * math.sin(TILT) + dy * math.cos(TILT)
    return (np.abs(across) < HALF_ACROSS_M) & (np.abs(along) < HALF_ALONG_M)


def _sees(place: _Place, lon: npt.NDArray[np.float64], lat: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    x, y = transform_points("EPSG:4326", place.crs, lon, lat)
    return _inside(x - place.middle_xy[0], y - place.middle_xy[1], 0.0)


def _centre(path: int, row: int) -> tuple[float, float]:
    return -88.27 - 1.545 * (path - 23) - 0.43 * (row - 32), 40.33 - 1.43 * (row - 32)


def _row(lat: float) -> int:
    return round(32 + (40.33 - lat) / 1.43)


def _path(lon: float, lat: float) -> int:
    return round(23 - (lon + 88.27 + 0.43 * (40.33 - lat) / 1.43) / 1.545)


def utm_zone(lon: float) -> int:
    """The UTM zone of a longitude in degrees."""
    return math.floor((lon + 180) / 6) + 1
