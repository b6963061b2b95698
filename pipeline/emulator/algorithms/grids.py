"""Algorithms on an image's grid: projections, lattices, clips.

Source: Earth Engine API, ee.Image.reproject, setDefaultProjection, clip, clipToBoundsAndScale, projection, geometry.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cropcam.pipeline.emulator.elements import Collection, Element, Feature
from cropcam.pipeline.emulator.errors import EngineError, unimplemented
from cropcam.pipeline.emulator.geometry import Geometry
from cropcam.pipeline.emulator.images import Band, LazyImage
from cropcam.pipeline.emulator.nodes import Masked, Reprojected, Within
from cropcam.pipeline.emulator.pixels import Node
from cropcam.pipeline.emulator.projections import Projection, affine
from cropcam.pipeline.emulator.registry import NotPromotable, algorithm, promote
from cropcam.pipeline.emulator.values import Value
from cropcam.pipeline.grid import Window


@algorithm("Image.reproject")
def reproject(image: LazyImage, crs: Projection, crsTransform: list[Any] | None = None, scale: float | None = None) -> LazyImage:
    """The image computed on a lattice, then resampled to the requested grid; on the lattice itself nothing is resampled."""
    lattice = lattice_of(crs, crsTransform, scale, "Image.reproject")
    return image.with_bands([_on(band, lattice, Reprojected(band.node, lattice)) for band in image.bands])


@algorithm("Image.setDefaultProjection")
def set_default_projection(
    image: LazyImage, crs: Projection, crsTransform: list[Any] | None = None, scale: float | None = None
) -> LazyImage:
    """The image with another default lattice; pixels are computed on the requested grid."""
    lattice = lattice_of(crs, crsTransform, scale, "Image.setDefaultProjection")
    return image.with_bands([_on(band, lattice, band.node) for band in image.bands])


@algorithm("Image.clip")
def clip(input: LazyImage, geometry: Value) -> LazyImage:  # noqa: A002
    """The image, masked where pixel centres lie outside a geometry."""
    return _clipped(input, _area(geometry, "Image.clip"))


@algorithm("Image.clipToCollection")
def clip_to_collection(input: LazyImage, collection: Collection) -> LazyImage:  # noqa: A002
    """The image, masked where pixel centres lie outside the geometries of a collection's features."""
    return _clipped(input, _area(collection, "Image.clipToCollection"))


@algorithm("Image.clipToBoundsAndScale")
def clip_to_bounds_and_scale(
    input: LazyImage,  # noqa: A002
    geometry: Geometry | None = None,
    width: int | None = None,
    height: int | None = None,
    maxDimension: int | None = None,
    scale: float | None = None,
) -> LazyImage:
    """The image clipped to the bounding box of a geometry in its own CRS and brought to a scale in metres or a size.

    With a scale the lattice is that of multiples of the scale; with a size the box itself is divided.
    """
    projection, grid = input.projection, input.grid
    if geometry is None and grid is None:
        raise EngineError("Image.clipToBoundsAndScale: A geometry is required for an image without bounds.")
    bounds = geometry.bounds(projection.crs) if geometry is not None else grid.bounds_xyxy if grid is not None else None
    if bounds is None or sum(v is not None for v in (scale, maxDimension, width if width is not None else height)) > 1:
        raise EngineError("Image.clipToBoundsAndScale: 'scale', 'maxDimension' and 'width' with 'height' exclude each other.")
    if scale is not None:
        lattice = projection.at_scale(scale)
    elif maxDimension is not None or width is not None or height is not None:
        lattice = _divided(projection, bounds, width, height, maxDimension)
    else:
        lattice = projection
    window = geometry.window(lattice) if geometry is not None else lattice.covering(bounds)
    within = Within(Geometry.rectangle(lattice.grid(window).bounds_xyxy, lattice.crs))
    bands = []
    for band in input.bands:
        node = Masked(Reprojected(band.node, lattice), within)
        bands.append(replace(band, node=node, projection=lattice, window=window, region=None, footprint=_both(band.footprint, within)))
    return input.with_bands(bands)


@algorithm("Image.projection")
def projection(image: LazyImage) -> Projection:
    """The lattice all bands share."""
    if len({band.projection for band in image.bands}) > 1:
        raise EngineError(
            "Image.projection: The bands of the specified image contains different projections. Use Image.select to select one."
        )
    return image.projection


@algorithm("Image.geometry", "Element.geometry", "Feature.geometry", ignored=("maxError", "proj", "geodesics"))
def geometry_of(feature: Element) -> Geometry:
    """Where an image has data, or a feature's geometry."""
    if isinstance(feature, Collection):
        return _area(feature, "Element.geometry")
    geometry = feature.geometry if isinstance(feature, Feature) else feature.footprint
    if geometry is None:
        raise unimplemented("Image.geometry of an image without bounds")
    return geometry


@algorithm("Image.resample")
def resample(image: LazyImage, mode: str = "bilinear") -> LazyImage:
    """Refused: the embedded engine resamples by the nearest rule only."""
    raise unimplemented(f"Image.resample to '{mode}' ({', '.join(image.names)})")


def lattice_of(crs: Projection, transform: list[Any] | None, scale: float | None, where: str) -> Projection:
    """The lattice of a CRS with a transform or a scale in metres; the projection's lattice without either.

    Raises:
        EngineError: both are given.
    """
    if transform is not None and scale is not None:
        raise EngineError(f"{where}: 'crsTransform' and 'scale' exclude each other.")
    if transform is not None:
        return Projection(crs.crs, affine(transform))
    return crs.at_scale(scale) if scale is not None else crs


def _on(band: Band, lattice: Projection, node: Node) -> Band:
    grid = band.grid
    window = None
    if grid is not None:
        window = Geometry.rectangle(grid.bounds_xyxy, grid.crs).window(lattice)
    return replace(band, node=node, projection=lattice, window=window, region=None)


def _clipped(image: LazyImage, geometry: Geometry) -> LazyImage:
    within = Within(geometry)
    bands, windows = [], dict[Projection, Window]()
    for band in image.bands:
        if band.projection not in windows:
            windows[band.projection] = geometry.window(band.projection)
        window = windows[band.projection]
        clipped = replace(band, node=Masked(band.node, within), footprint=_both(band.footprint, within))
        bands.append(replace(clipped, window=_overlap(band.window, window), region=window))
    return image.with_bands(bands)


def _overlap(first: Window | None, second: Window) -> Window:
    if first is None:
        return second
    top, left = max(first.row, second.row), max(first.col, second.col)
    bottom = min(first.row + first.height, second.row + second.height)
    right = min(first.col + first.width, second.col + second.width)
    return Window(top, left, max(bottom - top, 0), max(right - left, 0))


def _both(first: Node | None, second: Node) -> Node:
    return second if first is None else Masked(first, second)


def _area(value: Value, where: str) -> Geometry:
    try:
        geometry: Geometry = promote(value, Geometry)
    except NotPromotable:
        raise EngineError(f"{where}, argument 'geometry': Invalid type.\nExpected type: Geometry.") from None
    return geometry


def _divided(
    projection: Projection, bounds: tuple[float, float, float, float], width: int | None, height: int | None, longest: int | None
) -> Projection:
    west, south, east, north = bounds
    if longest is not None:
        step = max(east - west, north - south) / longest
        return Projection(projection.crs, (step, 0.0, west, 0.0, -step, north))
    if width is None or height is None:
        raise EngineError("Image.clipToBoundsAndScale: 'width' and 'height' must be given together.")
    return Projection(projection.crs, ((east - west) / width, 0.0, west, 0.0, (south - north) / height, north))
