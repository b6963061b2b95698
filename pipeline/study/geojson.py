"""The polygons of parsed GeoJSON (RFC 7946), with what else is in it."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

_BLANK = "without a geometry"
_OTHERS = ("Point", "MultiPoint", "LineString", "MultiLineString")
_DEGREES = ("CRS84", "EPSG::4326", "EPSG:4326", "WGS84")  # ends of names of a `crs` member that is the default
_SHORTEST = 3  # positions of a ring; a fourth closes it
Ring = list[list[float]]


class Content(NamedTuple):
    """What GeoJSON holds."""

    polygons: list[list[Ring]]  # rings of longitude and latitude, closed
    others: Counter[str]  # features and geometries that are no polygon, by kind

    def left_out(self) -> str:
        """A line about what is no polygon; empty where there is nothing else."""
        if not self.others:
            return ""
        total = self.others.total()
        return f"{total:,} of its {total + len(self.polygons):,} geometries are no polygons and are left out: {self._kinds()}"

    def instead(self) -> str:
        """What there is where no polygon is."""
        return f" but {self._kinds()}" if self.others else ""

    def _kinds(self) -> str:
        return ", ".join(f"{count:,} {kind}" for kind, count in self.others.items())


def content(value: Any) -> Content:  # noqa: ANN401 - JSON
    """The polygons of GeoJSON: of features, collections, or a geometry alone; heights are left out, rings are closed.

    Raises:
        ValueError: not GeoJSON, or a position that is not in degrees.
    """
    found = Content([], Counter())
    _add(value, found)
    return found


def has_own_crs(value: Any) -> bool:  # noqa: ANN401 - JSON
    """Whether GeoJSON of before RFC 7946 names another CRS than longitude and latitude on WGS 84."""
    crs = value.get("crs") if isinstance(value, dict) else None
    properties = crs.get("properties") if isinstance(crs, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    return isinstance(name, str) and not name.upper().replace(" ", "").endswith(_DEGREES)


def _add(value: Any, found: Content) -> None:  # noqa: ANN401 - JSON
    if value is None:
        found.others[_BLANK] += 1
        return
    kind = value.get("type") if isinstance(value, dict) else None
    match kind:
        case "FeatureCollection" | "GeometryCollection":
            for each in _list(value.get("features" if kind == "FeatureCollection" else "geometries")):
                _add(each, found)
        case "Feature":
            _add(value.get("geometry"), found)
        case "Polygon" | "MultiPolygon":
            coordinates = _list(value.get("coordinates"))
            polygons = [[_ring(ring) for ring in _list(rings)] for rings in ([coordinates] if kind == "Polygon" else coordinates)]
            if not any(polygons):
                found.others[_BLANK] += 1
            found.polygons.extend(rings for rings in polygons if rings)
        case str() if kind in _OTHERS:
            found.others[kind] += 1
        case _:
            raise ValueError(f"is not GeoJSON with polygons: {_short(value)} has no type of GeoJSON")


def _ring(value: Any) -> Ring:  # noqa: ANN401 - JSON
    ring = [_position(each) for each in _list(value)]
    if len(ring) < _SHORTEST or (len(ring) == _SHORTEST and ring[0] == ring[-1]):
        raise ValueError(f"holds no polygon: a ring of {len(ring)} positions; it has at least four, the last as the first")
    return ring if ring[0] == ring[-1] else [*ring, ring[0]]


def _position(value: Any) -> list[float]:  # noqa: ANN401 - JSON
    if not isinstance(value, list) or len(value) < 2 or not all(type(each) in (int, float) for each in value[:2]):
        raise ValueError(f"is not GeoJSON with polygons: {_short(value)} is no position")
    x, y = map(float, value[:2])
    if abs(x) > 360 or abs(y) > 90:  # some count longitudes from 0 to 360
        swapped = ": longitude comes first" if abs(x) <= 90 and 90 < abs(y) <= 180 else ""
        raise ValueError(f"coordinates are not degrees: position {_short(value)}; RFC 7946 wants longitude and latitude{swapped}")
    return [x, y]


def _list(value: Any) -> list[Any]:  # noqa: ANN401 - JSON
    if not isinstance(value, list):
        raise ValueError(f"is not GeoJSON with polygons: {_short(value)} is no list")
    return value


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
