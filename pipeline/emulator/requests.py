"""Parsing of request bodies: JSON to values, with the service's defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cropcam.pipeline.emulator import crs_codes, limits
from cropcam.pipeline.emulator.asset_options import AssetOptions
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.own_assets import check_writable_name
from cropcam.pipeline.grid import AffineOrder, PixelGrid

Json = Mapping[str, Any]


@dataclass(frozen=True)
class ExportRequest:
    """An `image:export`: expression, destination and options.

    Source: Earth Engine REST reference, projects.image/export, ImageFileExportOptions, DriveDestination.
    """

    expression: Json
    description: str
    request_id: str
    max_pixels: int
    priority: int
    kind: Literal["drive", "gs", "asset"]
    place: str  # Drive folder ("" is the root), bucket, or name of the asset
    prefix: str
    cloud_optimized: bool
    no_data: float | None
    file_size: tuple[int, int] | None  # (width, height)
    tile_px: int
    skip_empty: bool
    grid: Json | None
    asset: AssetOptions | None = None


def parse_export(body: Json) -> ExportRequest:
    """The export of a request body.

    Raises:
        EngineError: something is missing, or breaks a limit that is checked before a task starts.
    """
    options, asset = body.get("fileExportOptions"), _asset(body.get("assetExportOptions"))
    if not isinstance(options, Mapping):
        if asset is None:
            raise limits.invalid("An export needs fileExportOptions or assetExportOptions.")
        options = {}
    if (file_format := options.get("fileFormat", "GEO_TIFF")) != "GEO_TIFF":
        raise EngineError(f"The embedded engine exports GEO_TIFF only, not {file_format}.", "UNIMPLEMENTED")
    kind, place, prefix = _destination(options, asset)
    geotiff = _mapping(options.get("geoTiffOptions") if asset is None else body.get("assetExportOptions"))
    request = ExportRequest(
        expression=expression_of(body),
        description=str(body.get("description", "")),
        request_id=str(body.get("requestId") or ""),
        max_pixels=_int(body.get("maxPixels"), limits.DEFAULT_MAX_PIXELS, "maxPixels"),
        priority=_int(body.get("priority"), limits.DEFAULT_PRIORITY, "priority"),
        kind=kind,
        place=place,
        prefix=prefix,
        cloud_optimized=bool(geotiff.get("cloudOptimized", False)),
        no_data=_number(geotiff.get("noData"), "noData"),
        file_size=_size(geotiff.get("tileDimensions"), "tileDimensions"),
        tile_px=_int(geotiff.get("tileSize"), limits.DEFAULT_TILE_PX, "tileSize"),
        skip_empty=bool(geotiff.get("skipEmptyFiles", False)),
        grid=body.get("grid"),
        asset=asset,
    )
    limits.check_description(request.description)
    limits.check_request_id(request.request_id)
    limits.check_priority(request.priority)
    return request


def parse_grid(described: Json | None, image_grid: PixelGrid | None, unbounded: str) -> PixelGrid:
    """The pixel grid of a request; the grid of the image where the request has none.

    Args:
        described: {"dimensions": {"width", "height"}, "affineTransform": {...}, "crsCode" or "crsWkt": ...}.
        image_grid: the grid of the image; None where it has no bounds.
        unbounded: the message where neither is given.

    Raises:
        EngineError: neither, incomplete, sheared, without area, or in a CRS that the service does not take.

    Source: Earth Engine REST reference, PixelGrid.
    """
    if not described:
        if image_grid is None:
            raise limits.invalid(unbounded)
        return image_grid
    size = _size(described.get("dimensions"), "grid.dimensions")
    affine = described.get("affineTransform")
    crs = _crs(described)
    if size is None or not isinstance(affine, Mapping) or not crs:
        raise EngineError("The embedded engine needs a grid whole: dimensions, affineTransform and crsCode.", "UNIMPLEMENTED")
    transform = _affine(affine)
    if transform[1] or transform[3]:
        raise EngineError("The embedded engine reads grids without shear only.", "UNIMPLEMENTED")
    if not (transform[0] and transform[4]):
        raise limits.invalid("The affineTransform has no scale: it can not be inverted.")
    return PixelGrid(crs, transform, *size)


def expression_of(body: Json) -> Json:
    """The expression of a request body.

    Raises:
        EngineError: absent.
    """
    expression = body.get("expression")
    if not isinstance(expression, Mapping) or "result" not in expression or not isinstance(expression.get("values"), Mapping):
        raise limits.invalid("The request carries no expression with a result and values.")
    return expression


def band_ids(body: Json) -> tuple[str, ...] | None:
    """The bands of a request; None for all."""
    return tuple(map(str, body.get("bandIds") or ())) or None


def _asset(options: object) -> AssetOptions | None:
    """The options of an export to an asset."""
    if not isinstance(options, Mapping):
        return None
    asset = AssetOptions.parse(options)
    check_writable_name(asset.name)
    return asset


def _destination(options: Json, asset: AssetOptions | None) -> tuple[Literal["drive", "gs", "asset"], str, str]:
    if asset is not None:
        return "asset", asset.name, ""
    if isinstance(drive := options.get("driveDestination"), Mapping):
        prefix = str(drive.get("filenamePrefix", ""))
        limits.check_prefix(prefix, is_path=False)
        return "drive", str(drive.get("folder") or ""), prefix
    if isinstance(bucket := options.get("cloudStorageDestination"), Mapping):
        prefix, name = str(bucket.get("filenamePrefix", "")), str(bucket.get("bucket", ""))
        limits.check_prefix(prefix, is_path=True)
        limits.check_bucket(name)
        return "gs", name, prefix
    raise limits.invalid("An export needs a driveDestination or a cloudStorageDestination.")


def _crs(described: Json) -> str:
    """The CRS of a grid, "" where there is none."""
    code, wkt = str(described.get("crsCode") or ""), str(described.get("crsWkt") or "")
    if code and wkt:
        raise limits.invalid("Invalid PixelGrid: oneof field 'crs' is already set. Cannot set 'crsWkt'.")
    return crs_codes.of_code(code) if code else crs_codes.of_wkt(wkt) if wkt else ""


def _affine(affine: Json) -> AffineOrder:
    a, b, c, d, e, f = (
        _number(affine.get(key, 0), f"affineTransform.{key}") or 0.0
        for key in ("scaleX", "shearX", "translateX", "shearY", "scaleY", "translateY")
    )
    return a, b, c, d, e, f


def _size(described: object, key: str) -> tuple[int, int] | None:
    if not isinstance(described, Mapping):
        return None
    return _int(described.get("width"), 0, f"{key}.width"), _int(described.get("height"), 0, f"{key}.height")


def _int(value: object, default: int, key: str) -> int:
    number = _number(value, key)
    if number is None:
        return default
    if number != int(number):
        raise limits.invalid(f"{key} must be an integer, not {number:g}.")
    return int(number)


def _number(value: object, key: str) -> float | None:
    """A number, plain or wrapped ({"value": ...}, {"floatValue": ...}), as number or as text."""
    if isinstance(value, Mapping):
        value = next((value[name] for name in ("value", "floatValue", "integerValue") if name in value), None)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise limits.invalid(f"{key} must be a number, not {value!r}.")
    try:
        return int(value) if isinstance(value, int) else float(value)
    except ValueError:
        raise limits.invalid(f"{key} must be a number, not {value!r}.") from None


def _mapping(value: object) -> Json:
    return value if isinstance(value, Mapping) else {}
