"""Filters of collections.

An operand is a property, the element's geometry (".all", ".geo") or a given value. A missing property passes no
comparison.

Source: Earth Engine API, ee.Filter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cropcam.pipeline.emulator import budget
from cropcam.pipeline.emulator import datetimes as instants
from cropcam.pipeline.emulator.algorithms.elements import property_of
from cropcam.pipeline.emulator.elements import Collection, Date, DateRange, Element, Feature, Filter
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.geometry import Geometry
from cropcam.pipeline.emulator.images import LazyImage
from cropcam.pipeline.emulator.registry import NotPromotable, algorithm, promote
from cropcam.pipeline.emulator.values import Value

_GEOMETRY_FIELDS = (".all", ".geo", "geometry")
Test = Callable[[Any, Any], bool]


def _operand(element: Element, field: str | None, value: Value) -> Value:
    if field is None:
        return value
    if field in _GEOMETRY_FIELDS:
        return element
    operand = property_of(element, field)
    return operand.millis if isinstance(operand, Date) else operand


def _comparison(name: str, test: Test, *aliases: str) -> None:
    def make(leftField: str | None = None, rightValue: Value = None, rightField: str | None = None, leftValue: Value = None) -> Filter:
        return _pairwise(name, test, leftField, rightValue, rightField, leftValue)

    make.__doc__ = f"Filter.{name}."
    algorithm(f"Filter.{name}", *(f"Filter.{alias}" for alias in aliases))(make)


def _pairwise(name: str, test: Test, left_field: str | None, right_value: Value, right_field: str | None, left_value: Value) -> Filter:
    if (left_field is None) == (left_value is None) or (right_field is None) == (right_value is None):
        raise EngineError(f"Filter.{name}: Exactly one of leftField and leftValue, and one of rightField and rightValue, must be given.")
    right_value = right_value.millis if isinstance(right_value, Date) else right_value
    left_value = left_value.millis if isinstance(left_value, Date) else left_value

    def passes(element: Value) -> bool:
        left, right = _operand(element, left_field, left_value), _operand(element, right_field, right_value)
        return left is not None and right is not None and test(left, right)

    return Filter(passes, name)


def _ordered(test: Callable[[Any, Any], bool]) -> Test:
    def compare(left: Value, right: Value) -> bool:
        same_kind = isinstance(left, str) == isinstance(right, str)
        return same_kind and isinstance(left, str | int | float) and isinstance(right, str | int | float) and test(left, right)

    return compare


def footprint(value: Value) -> Geometry | None:
    """The geometry of an element, a collection or a geometry; a raster's rectangle is widened by one pixel.

    The extra pixel covers the error of straight lines between projected points.
    """
    if isinstance(value, LazyImage):
        grid = value.bands[0].grid if value.bands else None
        if grid is None or "system:footprint" in value.properties:
            return value.footprint
        a, _, _, _, e, _ = grid.transform
        west, south, east, north = grid.bounds_xyxy
        return Geometry.rectangle((west - abs(a), south - abs(e), east + abs(a), north + abs(e)), grid.crs)
    if isinstance(value, Feature):
        return value.geometry
    try:
        geometry: Geometry = promote(value, Geometry)
    except NotPromotable:
        return None
    return geometry


def _meet(left: Value, right: Value) -> bool:
    if isinstance(right, Collection):
        return any(_meet(left, element) for element in right.elements)
    left_footprint, right_footprint = footprint(left), footprint(right)
    if left_footprint is None or right_footprint is None:  # an image without bounds lies everywhere
        return any(isinstance(side, LazyImage) and side.grid is None for side in (left, right))
    return left_footprint.intersects(right_footprint)


def _in_range(left: Value, right: Value) -> bool:
    date = right.millis if isinstance(right, Date) else right
    return isinstance(left, DateRange) and isinstance(date, int | float) and left.start <= date < left.end


_comparison("eq", lambda a, b: bool(a == b), "equals")
_comparison("neq", lambda a, b: bool(a != b), "notEquals")
_comparison("lt", _ordered(lambda a, b: bool(a < b)), "lessThan")
_comparison("lte", _ordered(lambda a, b: bool(a <= b)), "lessThanOrEquals")
_comparison("gt", _ordered(lambda a, b: bool(a > b)), "greaterThan")
_comparison("gte", _ordered(lambda a, b: bool(a >= b)), "greaterThanOrEquals")
_comparison("inList", lambda a, b: isinstance(b, list) and a in b)
_comparison("listContains", lambda a, b: isinstance(a, list) and b in a)
_comparison("stringContains", lambda a, b: str(b) in str(a))
_comparison("stringStartsWith", lambda a, b: str(a).startswith(str(b)))
_comparison("stringEndsWith", lambda a, b: str(a).endswith(str(b)))
_comparison("dateRangeContains", _in_range)


@algorithm("Filter.intersects", ignored=("maxError",))
def intersects(leftField: str | None = None, rightValue: Value = None, rightField: str | None = None, leftValue: Value = None) -> Filter:
    """Passes elements that share a point with a geometry."""
    return _pairwise("intersects", _meet, leftField, rightValue, rightField, leftValue)


@algorithm("Filter.disjoint", ignored=("maxError",))
def disjoint(leftField: str | None = None, rightValue: Value = None, rightField: str | None = None, leftValue: Value = None) -> Filter:
    """Passes elements that share no point with a geometry."""
    return _pairwise("disjoint", lambda a, b: not _meet(a, b), leftField, rightValue, rightField, leftValue)


@algorithm("Filter.and")
def and_(filters: list[Any]) -> Filter:
    """Passes elements that all filters pass."""
    tests = [_as_filter(item, "and") for item in filters]
    return Filter(lambda element: all(_passes(test, element) for test in tests), "and")


@algorithm("Filter.or")
def or_(filters: list[Any]) -> Filter:
    """Passes elements that a filter passes."""
    tests = [_as_filter(item, "or") for item in filters]
    return Filter(lambda element: any(_passes(test, element) for test in tests), "or")


@algorithm("Filter.not")
def not_(filter: Filter) -> Filter:  # noqa: A002
    """Passes elements that the filter does not."""
    return Filter(lambda element: not filter.passes(element), "not")


@algorithm("Filter.always")
def always() -> Filter:
    """Passes everything."""
    return Filter(lambda _: True, "always")


@algorithm("Filter.never")
def never() -> Filter:
    """Passes nothing."""
    return Filter(lambda _: False, "never")


@algorithm("Filter.notNull")
def not_null(properties: list[str]) -> Filter:
    """Passes elements with all the properties."""
    return Filter(lambda element: all(property_of(element, name) is not None for name in properties), "notNull")


@algorithm("Filter.rangeContains")
def range_contains(field: str, minValue: Value, maxValue: Value) -> Filter:
    """Passes elements with a property within [min, max]."""
    test = _ordered(lambda a, b: bool(a <= b))

    def passes(element: Value) -> bool:
        value = _operand(element, field, None)
        return value is not None and test(minValue, value) and test(value, maxValue)

    return Filter(passes, "rangeContains")


@algorithm("Filter.calendarRange")
def calendar_range(start: int, end: int | None = None, field: str = "day_of_year") -> Filter:
    """Passes elements that start within [start, end] of a calendar field; a reversed range wraps around."""
    last = start if end is None else end

    def passes(element: Value) -> bool:
        millis = property_of(element, "system:time_start")
        if millis is None:
            return False
        value = instants.field(Date(int(millis)), field)
        return start <= value <= last if start <= last else value >= start or value <= last

    return Filter(passes, "calendarRange")


@algorithm("Filter.dayOfYear")
def day_of_year(start: int, end: int) -> Filter:
    """Passes elements that start within [start, end) days of the year."""
    return Filter(calendar_range(start, end - 1).passes, "dayOfYear")


def _passes(test: Filter, element: Value) -> bool:
    budget.check_time()
    return test.passes(element)


def _as_filter(value: Value, where: str) -> Filter:
    if not isinstance(value, Filter):
        raise EngineError(f"Filter.{where}: The list must hold filters.")
    return value
