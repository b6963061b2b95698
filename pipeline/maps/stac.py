"""STAC 1.1 items as JSON values: of a finished map from its files, and the parts that the item of a run shares.

Nothing comes from a clock or from the machine, so the same files give the same bytes. Extensions: projection, raster, classification, file
and processing. Places and fields: https://github.com/radiantearth/stac-spec and https://stac-extensions.github.io.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pyproj import CRS

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.maps.footprint import footprint
from cropcam.pipeline.maps.pixel_areas import HECTARE_M2, nominal_hectares
from cropcam.pipeline.maps.windows import NODATA_CLASS
from cropcam.pipeline.runtime.hashing import file_sha256

if TYPE_CHECKING:
    from cropcam.pipeline.maps.class_map import FinishedMap  # rasterio, which items of runs do without

VERSION = "1.1.0"
_URI = "https://stac-extensions.github.io/{}/schema.json"
PROJECTION, RASTER, CLASSIFICATION = _URI.format("projection/v2.0.0"), _URI.format("raster/v2.0.0"), _URI.format("classification/v2.0.0")
FILE, PROCESSING, MLM = _URI.format("file/v2.1.0"), _URI.format("processing/v1.2.0"), _URI.format("mlm/v1.4.0")
GEOTIFF = "image/tiff; application=geotiff; profile=cloud-optimized"
MEDIA_TYPES = {
    ".gpkg": "application/geopackage+sqlite3",
    ".parquet": "application/vnd.apache.parquet",
    ".qml": "application/xml",
    ".xml": "application/xml",
    ".json": "application/json",
    ".csv": "text/csv",
    ".md": "text/markdown",
    ".safetensors": "application/octet-stream",
}
# of images whose dates are not known: from the launch of Landsat 1 to a day beyond all images
UNKNOWN_SEASON = ("1972-07-23", "2100-01-01")
DATES_UNKNOWN = "The dates of the images are not known; the interval holds all there can be."
_SHA2_256 = "1220"  # multihash: the code of SHA2-256, and its 32 bytes
Season = tuple[str, str]  # START and END (exclusive), YYYY-MM-DD


def map_item(opened: FinishedMap, item: Path, assets: Mapping[str, Any], run: tuple[Path, str] | None) -> dict[str, Any]:
    """The item of a finished map.

    Args:
        opened: the map; its tags have the seasons, the study and its origin.
        item: where the item will lie; links are relative to it.
        assets: as of `asset`.
        run: the item of the run that made the map, and its `mlm:name`.
    """
    tags = opened.tags
    study = tags.get("study", "")
    links = []
    if run is not None:
        derived = {"rel": "derived_from", "href": href(run[0], item.parent), "type": "application/geo+json", "title": f"the run {run[1]}"}
        links.append({**derived, "mlm:name": run[1]})
    properties = {
        "title": f"Crop map {opened.path.stem}" + (f" of the study {study}" if study else ""),
        "description": f"Classes of single pixels: {', '.join(opened.legend.names)}.{'' if seasons_of(tags) else ' ' + DATES_UNKNOWN}",
        **interval(seasons_of(tags)),
        "gsd": _pixel_m(opened.grid),
        **projection(opened.grid),
        "processing:level": "L4",
        "processing:lineage": _lineage(tags),
        "processing:software": _software(tags),
        **{f"cropcam:{name}": tags[name] for name in ("study", "store_digest", "checkpoint_digest", "region") if tags.get(name)},
    }
    return whole_item(opened.path.stem, (PROJECTION, RASTER, CLASSIFICATION, FILE, PROCESSING), [opened.grid], properties, links, assets)


def whole_item(
    name: str,
    extensions: Sequence[str],
    grids: Sequence[PixelGrid],
    properties: dict[str, Any],
    links: list[Any],
    assets: Mapping[str, Any],
) -> dict[str, Any]:
    """An item with the outline of the grids as its geometry; none where they are on no globe."""
    place = footprint(grids)
    return {
        "type": "Feature",
        "stac_version": VERSION,
        "stac_extensions": list(extensions),
        "id": name,
        "geometry": place.geometry if place else None,
        **({"bbox": list(place.bbox)} if place else {}),
        "properties": properties,
        "links": links,
        "assets": dict(assets),
    }


def asset(path: Path, folder: Path, title: str, roles: Sequence[str], **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON values
    """A file with its size and checksum, its address relative to the folder of the item.

    Raises:
        DataError: it cannot be read.
    """
    try:
        found = {"file:size": path.stat().st_size, "file:checksum": _SHA2_256 + file_sha256(path)}
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); the files of a map are described together: make the map again"
        ) from None
    return {**reference(path, folder, title, roles), **found, **more}


def reference(path: Path, folder: Path, title: str, roles: Sequence[str]) -> dict[str, Any]:
    """A file that may change: without size and checksum."""
    suffix = path.suffix.casefold()
    kind = GEOTIFF if suffix in (".tif", ".tiff") else MEDIA_TYPES.get(suffix, "application/octet-stream")
    return {"href": href(path, folder), "type": kind, "title": title, "roles": list(roles)}


def missing(value: float | None) -> dict[str, Any]:
    """The field `nodata` of a band; NaN as JSON has it in STAC, none where every value is valid."""
    if value is None:
        return {}
    return {"nodata": "nan" if math.isnan(value) else int(value) if float(value).is_integer() else value}


def classes(legend: Legend, *, nodata: bool = True) -> list[dict[str, Any]]:
    """The values of `classification:classes`: index, name for programs, name for people, colour, label codes; 255 as nodata."""
    found: list[dict[str, Any]] = []
    for index, (name, each) in enumerate(zip(machine_names(legend.names), legend.classes, strict=True)):
        description, color = _described(index, each.codes, legend), each.color_hex[1:].upper()
        found.append({"value": index, "name": name, "title": each.name, "description": description, "color_hint": color})
    return found + (
        [{"value": NODATA_CLASS, "name": "nodata", "title": "nodata", "description": "no image data", "nodata": True}] if nodata else []
    )


def machine_names(names: Sequence[str]) -> list[str]:
    """Names of ASCII letters, digits, - and _, each once; the classification extension wants these.

    >>> machine_names(["winter wheat", "winter_wheat", "été"])
    ['winter_wheat', 'winter_wheat_1', 't']
    """
    found: list[str] = []
    for index, name in enumerate(names):
        plain = re.sub(r"[^0-9A-Za-z_-]+", "_", name).strip("_") or f"class_{index}"
        found.append(f"{plain}_{index}" if plain in found or plain == "nodata" else plain)
    return found


def projection(grid: PixelGrid) -> dict[str, Any]:
    """The fields `proj:*` of a grid: a code, or WKT2 for a CRS without one; shape (rows, columns); transform in affine order; bbox in CRS units."""
    system = CRS.from_user_input(grid.crs)
    authority = system.to_authority(min_confidence=100)
    code = {"proj:code": ":".join(authority)} if authority else {"proj:code": None, "proj:wkt2": system.to_wkt("WKT2_2019")}
    return {**code, "proj:shape": list(grid.shape_yx), "proj:transform": list(grid.transform), "proj:bbox": list(grid.bounds_xyxy)}


def interval(seasons: Iterable[Season]) -> dict[str, Any]:
    """`datetime` null, `start_datetime` and `end_datetime`: from the first day of all seasons to the last second of their last day.

    Without a season the interval is `UNKNOWN_SEASON`.
    """
    starts, ends = zip(*(seasons := list(seasons) or [UNKNOWN_SEASON]), strict=True)
    last = date.fromisoformat(max(ends)) - timedelta(days=1)
    return {"datetime": None, "start_datetime": f"{min(starts)}T00:00:00Z", "end_datetime": f"{last.isoformat()}T23:59:59Z"}


def seasons_of(tags: Mapping[str, str]) -> list[Season]:
    """The seasons of a map's tag `seasons`, "START/END START/END"; none where it has no such tag, or another text in it."""
    try:
        found = [tuple(season.split("/")) for season in tags.get("seasons", "").split()]
        return [(datetime.fromisoformat(start).date().isoformat(), datetime.fromisoformat(end).date().isoformat()) for start, end in found]
    except ValueError:
        return []


def href(path: Path, folder: Path) -> str:
    """The address of a file relative to a folder, as a URI reference."""
    relative = Path(os.path.relpath(path.absolute(), folder.absolute())).as_posix()
    return quote(relative if relative.startswith("../") else f"./{relative}")


def as_text(item: Mapping[str, Any]) -> str:
    """The content of the item's file."""
    return json.dumps(item, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _lineage(tags: Mapping[str, str]) -> str:
    parts = [
        f"classes by {tags['method']}" if tags.get("method") else "classes",
        f"of the network {tags['model']}" if tags.get("model") else "",
        f"trained on {tags['labels']} labels of the store {tags.get('store_digest', '')[:12]}" if tags.get("labels") else "",
        f"from {tags['inputs']}" if tags.get("inputs") else "",
        f"inside {tags['region']}" if tags.get("region") else "",
    ]
    return " ".join(part for part in parts if part)


def _software(tags: Mapping[str, str]) -> dict[str, str]:
    name, _, version = tags.get("TIFFTAG_SOFTWARE", "").partition(" ")
    return {name or "cropcam": version or "unknown"}


def _described(index: int, codes: Sequence[int], legend: Legend) -> str:
    if not codes:
        return "every other labelled code" if index == 0 else "a class without label codes"
    named = [legend.table.by_code[code].name for code in codes[:6] if code in legend.table.by_code and legend.table.by_code[code].name]
    more = f" and {len(codes) - 6} more" if len(codes) > 6 else ""
    return f"label codes {', '.join(map(str, codes[:6]))}{more}" + (f": {', '.join(named)}" if named else "")


def _pixel_m(grid: PixelGrid) -> float:
    return round(math.sqrt(nominal_hectares(grid) * HECTARE_M2), 6)
