"""Algorithms that make values: assets, constants, coordinates, projections, pixel types, conditions.

Source: Earth Engine API, ee.Image, ee.ImageCollection, ee.Projection, ee.PixelType, ee.Algorithms.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from cropcam.pipeline.emulator.constants import constant_image
from cropcam.pipeline.emulator.elements import Collection
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.evaluation import Evaluation
from cropcam.pipeline.emulator.images import Band, BandType, LazyImage
from cropcam.pipeline.emulator.nodes import Coordinates, PixelAreas
from cropcam.pipeline.emulator.projections import Projection, affine, crs_name
from cropcam.pipeline.emulator.registry import algorithm, type_name
from cropcam.pipeline.emulator.values import Value

PIXEL_TYPES = {
    name: BandType.of(name) for name in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64")
} | {"float": BandType("float"), "double": BandType("double")}  # fmt: skip


@algorithm("Image.load", ignored=("version",))
def load_image(id: str, evaluation: Evaluation) -> LazyImage:  # noqa: A002 - Earth Engine's name
    """The image asset of that id."""
    return evaluation.archive.image(id)


@algorithm("ImageCollection.load", ignored=("version",))
def load_collection(id: str, evaluation: Evaluation) -> Collection:  # noqa: A002 - Earth Engine's name
    """The image collection asset of that id."""
    return evaluation.archive.collection(id)


@algorithm("Image.constant")
def constant(value: Value) -> LazyImage:
    """An image of the number everywhere, or of one band per number of a list."""
    numbers = value if isinstance(value, list) else [value]
    if not all(isinstance(number, int | float) for number in numbers):
        raise EngineError(f"Image.constant, argument 'value': Invalid type.\nExpected type: Number.\nActual type: {type_name(value)}.")
    return constant_image(value)


@algorithm("Image.pixelLonLat")
def pixel_lon_lat() -> LazyImage:
    """Longitude and latitude of pixel centres in degrees."""
    names = ("longitude", "latitude")
    return LazyImage([Band(name, BandType("double"), Coordinates("EPSG:4326", axis)) for axis, name in enumerate(names)])


@algorithm("Image.pixelCoordinates")
def pixel_coordinates(projection: Projection) -> LazyImage:
    """X and y of pixel centres on a projection's lattice."""
    bands = [
        Band(name, BandType("double"), Coordinates(projection.crs, axis, projection.transform), projection)
        for axis, name in enumerate(("x", "y"))
    ]
    return LazyImage(bands)


@algorithm("Image.pixelArea")
def pixel_area() -> LazyImage:
    """Area of pixels in square metres, on the ellipsoid for a CRS in degrees, else in the plane of the CRS."""
    return LazyImage([Band("area", BandType("double"), PixelAreas())])


@algorithm("Projection", refused=("transformWkt",))
def projection_of(crs: Value, transform: list[Any] | None = None) -> Projection:
    """The projection of a CRS name, with a lattice where one is given."""
    base = crs if isinstance(crs, Projection) else Projection.of(crs_name(str(crs)))
    return base if transform is None else Projection(base.crs, affine(transform))


@algorithm("Projection.nominalScale")
def nominal_scale(proj: Projection) -> float:
    """Metres per pixel at the origin."""
    return proj.nominal_scale_m


@algorithm("Projection.crs")
def projection_crs(projection: Projection) -> str:
    """The CRS's name."""
    return projection.crs


@algorithm("Projection.transform")
def projection_transform(projection: Projection) -> str:
    """The lattice as OGC well-known text."""
    a, b, c, d, e, f = projection.transform
    rows = (("elt_0_0", a), ("elt_0_1", b), ("elt_0_2", c), ("elt_1_0", d), ("elt_1_1", e), ("elt_1_2", f))
    parameters = ", ".join(f'PARAMETER["{name}", {value!r}]' for name, value in rows)
    return f'PARAM_MT["Affine", PARAMETER["num_row", 3], PARAMETER["num_col", 3], {parameters}]'


@algorithm("Projection.wkt")
def projection_wkt(projection: Projection) -> str:
    """The CRS as well-known text."""
    return projection.wkt


@algorithm("Projection.atScale")
def at_scale(projection: Projection, meters: float) -> Projection:
    """The same CRS at another scale in metres."""
    return projection.at_scale(meters)


@algorithm("Projection.scale")
def scale_projection(projection: Projection, x: float, y: float) -> Projection:
    """The lattice with pixels x times as wide and y times as tall."""
    a, b, c, d, e, f = projection.transform
    return Projection(projection.crs, (a * x, b * y, c, d * x, e * y, f))


@algorithm("Projection.translate")
def translate_projection(projection: Projection, x: float, y: float) -> Projection:
    """The lattice moved by x and y pixels."""
    a, b, c, d, e, f = projection.transform
    return Projection(projection.crs, (a, b, a * x + b * y + c, d, e, d * x + e * y + f))


@algorithm("PixelType")
def pixel_type(precision: Value, minValue: float | None = None, maxValue: float | None = None, dimensions: int = 0) -> BandType:
    """A pixel type by precision ("int", "float", "double") and range."""
    if isinstance(precision, BandType):
        return replace(precision, min=precision.min if minValue is None else minValue, max=precision.max if maxValue is None else maxValue)
    if precision not in ("int", "float", "double"):
        raise EngineError(f"PixelType: Unknown precision '{precision}'.")
    if dimensions:
        raise EngineError("PixelType: array types are not implemented by the embedded engine.", "UNIMPLEMENTED")
    return BandType(precision, minValue, maxValue)


def _pixel_type(name: str) -> None:
    def make() -> BandType:
        return PIXEL_TYPES[name]

    make.__doc__ = f"PixelType.{name}."
    algorithm(f"PixelType.{name}")(make)


for _name in PIXEL_TYPES:
    _pixel_type(_name)


@algorithm("ErrorMargin")
def error_margin(value: float | None = None, unit: str = "meters") -> dict[str, Any]:
    """An error margin; geometry here is exact in the plane and ignores it."""
    return {"type": "ErrorMargin", "unit": unit, "value": value}


@algorithm("If")
def if_(condition: Value = None, trueCase: Value = None, falseCase: Value = None) -> Value:
    """One of two values; null, 0, False, "" and empty values count as false."""
    return trueCase if _truth(condition) else falseCase


@algorithm("IsEqual")
def is_equal(left: Value = None, right: Value = None) -> bool:
    """Whether two values are equal."""
    return bool(left == right)


def _truth(value: Value) -> bool:
    if isinstance(value, np.ndarray):
        return bool(value.any())
    return bool(value) if isinstance(value, bool | int | float | str | list | dict | type(None)) else True
