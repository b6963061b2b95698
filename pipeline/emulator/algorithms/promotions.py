"""How a value that is handed to an algorithm becomes the type the algorithm expects."""

from __future__ import annotations

from typing import Any

from cropcam.pipeline.emulator.constants import constant_image
from cropcam.pipeline.emulator.datetimes import parse_iso
from cropcam.pipeline.emulator.elements import Callback, Collection, Date, DateRange, Element, Feature, Filter, Images
from cropcam.pipeline.emulator.geometry import Geometry
from cropcam.pipeline.emulator.images import BandType, LazyImage
from cropcam.pipeline.emulator.projections import Projection, crs_name
from cropcam.pipeline.emulator.reducers import Reducer
from cropcam.pipeline.emulator.registry import NotPromotable, promotes
from cropcam.pipeline.emulator.values import Value


@promotes(LazyImage, "Image<unknown bands>")
def to_image(value: Value) -> LazyImage:
    """An image; numbers become constant images."""
    if isinstance(value, LazyImage):
        return value
    if isinstance(value, int | float) or (isinstance(value, list) and all(isinstance(v, int | float) for v in value)):
        return constant_image(value)
    raise NotPromotable("Image<unknown bands>")


@promotes(Collection, "FeatureCollection")
def to_collection(value: Value) -> Collection:
    """A collection; an element becomes a collection of one, a list of elements a collection of them."""
    if isinstance(value, Collection):
        return value
    if isinstance(value, LazyImage):
        return Collection("ImageCollection", [value])
    if isinstance(value, Feature | Geometry):
        return Collection("FeatureCollection", [to_feature(value)])
    if isinstance(value, list) and value and all(isinstance(v, LazyImage) for v in value):
        return Collection("ImageCollection", value)
    if isinstance(value, list) and all(isinstance(v, Feature | Geometry | Collection) for v in value):
        return Collection("FeatureCollection", [v if isinstance(v, Collection) else to_feature(v) for v in value])
    raise NotPromotable("FeatureCollection")


@promotes(Images, "ImageCollection")
def to_images(value: Value) -> Collection:
    """A collection that holds images only."""
    try:
        collection = to_collection(value)
    except NotPromotable:
        raise NotPromotable("ImageCollection") from None
    if not all(isinstance(element, LazyImage) for element in collection.elements):
        raise NotPromotable("ImageCollection")
    return collection


@promotes(Feature, "Feature")
def to_feature(value: Value) -> Feature:
    """A feature; a geometry becomes one without properties."""
    if isinstance(value, Feature):
        return value
    if isinstance(value, Geometry):
        return Feature(value)
    raise NotPromotable("Feature")


@promotes(Element, "Element")
def to_element(value: Value) -> Element:
    """An image, a feature or a collection."""
    return value if isinstance(value, LazyImage | Collection) else to_feature(value)


@promotes(Geometry, "Geometry")
def to_geometry(value: Value) -> Geometry:
    """A geometry, or that of a feature or a collection."""
    if isinstance(value, Geometry):
        return value
    if isinstance(value, Feature) and value.geometry is not None:
        return value.geometry
    if isinstance(value, LazyImage) and value.footprint is not None:
        return value.footprint
    if isinstance(value, Collection):
        return Geometry.together([to_geometry(element) for element in value.elements])
    raise NotPromotable("Geometry")


@promotes(Projection, "Projection")
def to_projection(value: Value) -> Projection:
    """A projection, from a CRS name too."""
    if isinstance(value, Projection):
        return value
    if isinstance(value, str):
        return Projection.of(crs_name(value))
    raise NotPromotable("Projection")


@promotes(Date, "Date")
def to_date(value: Value) -> Date:
    """A date, from milliseconds or ISO text too."""
    if isinstance(value, Date):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Date(int(value))
    if isinstance(value, str):
        return parse_iso(value)
    raise NotPromotable("Date")


def _as_it_is(kind: type, name: str) -> None:
    """Values of a kind without promotions."""

    def same(value: Value) -> Value:
        return _exactly(value, kind, name)

    same.__doc__ = f"{name}, as it is."
    promotes(kind, name)(same)


for _kind, _name in ((DateRange, "DateRange"), (Filter, "Filter"), (Reducer, "Reducer"), (Callback, "Algorithm"), (BandType, "PixelType")):
    _as_it_is(_kind, _name)


@promotes(int | float, "Number")
@promotes(float, "Float")
def to_float(value: Value) -> float:
    """A number."""
    number: float = _exactly(value, (int, float), "Float")
    return number


@promotes(int, "Integer")
def to_int(value: Value) -> int:
    """A whole number; a float that is whole counts."""
    number = to_float(value)
    if number != int(number):
        raise NotPromotable("Integer")
    return int(number)


@promotes(str, "String")
def to_str(value: Value) -> str:
    """Text."""
    text: str = _exactly(value, str, "String")
    return text


@promotes(bool, "Boolean")
def to_bool(value: Value) -> bool:
    """A truth value, from numbers too."""
    return bool(_exactly(value, (bool, int, float), "Boolean"))


@promotes(list, "List<Object>")
@promotes(list[Any], "List<Object>")
def to_list(value: Value) -> list[Any]:
    """A list."""
    return list(_exactly(value, (list, tuple), "List<Object>"))


@promotes(list[str], "List<String>")
def to_strings(value: Value) -> list[str]:
    """A list of text; one text counts as a list of it."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(v, str) for v in texts):
        raise NotPromotable("List<String>")
    return texts


@promotes(dict[str, Any], "Dictionary<Object>")
def to_dictionary(value: Value) -> dict[str, Any]:
    """A dictionary."""
    return dict(_exactly(value, dict, "Dictionary<Object>"))


def _exactly(value: Value, kind: Value, name: str) -> Value:
    if isinstance(value, kind):
        return value
    raise NotPromotable(name)
