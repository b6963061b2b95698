"""Vector files: GeoPackage, GeoParquet and GeoJSON in any CRS, read into geopandas; whatever cannot be used is refused with the next step."""

from __future__ import annotations

import difflib
import json
import math
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cropcam.pipeline.crs import full_turn, is_geographic, transform_bounds
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.text_files import parse_json

if TYPE_CHECKING:
    import geopandas

PARQUET = (".parquet", ".geoparquet")
SUFFIXES = (".gpkg", ".geojson", ".json", *PARQUET)
FORMATS = "GeoPackage (.gpkg), GeoParquet (.parquet) or GeoJSON (.geojson)"
_MARGIN = 0.01  # of the box of a grid, on each side: edges are curved in another CRS
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class VectorFile:
    """A vector file of one layer, opened but not read.

    Attributes:
        path: as the user named it.
        crs: "EPSG:n" or WKT; geographic or projected.
        columns: names of its columns, in its order, without the geometry.
        count: features.
    """

    path: str
    crs: str
    columns: tuple[str, ...]
    count: int
    _geometry: str  # name of the column of geometries in GeoParquet
    _boxes: bool  # whether a box can select features while the file is read
    _span: tuple[float, float] | None = None  # west and east of all features, where the file has them

    def read(self, columns: Iterable[str], grid: PixelGrid | None = None) -> geopandas.GeoDataFrame:
        """The geometries, flat (x, y) in the file's CRS, and some columns; rows are numbered from 0.

        With `grid` only features whose box meets the grid's are read, and perhaps a few around; those without a geometry are left out
        then, unless the grid's box is not finite in the file's CRS.

        Raises:
            DataError: a column is missing, or the file is damaged.
        """
        import geopandas  # noqa: PLC0415 - heavy
        import shapely  # noqa: PLC0415

        wanted = [self.column(name) for name in columns]
        box = None if grid is None else self._box(grid)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of GDAL: what is wrong with a geometry is told by who uses it
                frame = self._frame(wanted, box)
        except (RuntimeError, OSError, ValueError, shapely.errors.ShapelyError) as error:
            raise _unreadable(self.path, error) from None
        geometry = shapely.force_2d(frame.geometry.to_numpy())
        if box is not None:
            keep = shapely.intersects(shapely.box(*box), shapely.envelope(geometry))
            frame, geometry = frame[keep], geometry[keep]
        rest = frame.drop(columns=frame.geometry.name).reset_index(drop=True)
        return geopandas.GeoDataFrame(rest, geometry=geometry, crs=self.crs)

    def column(self, name: str) -> str:
        """The name, where the file has such a column.

        Raises:
            DataError: it has none; names those that it has, the nearest first.
        """
        if name not in self.columns:
            raise DataError(f"{self.path}: no column {name!r}; its columns are {names(self.columns, name)}")
        return name

    def _box(self, grid: PixelGrid) -> Box | None:
        """The box of a grid in the file's CRS, a little wider; None where a box cannot select its features."""
        west, south, east, north = transform_bounds(grid.crs, self.crs, grid.bounds_xyxy)
        if not all(map(math.isfinite, (west, south, east, north))) or west > east:  # across 180 degrees
            return None
        turn = full_turn(self.crs)
        if turn is not None and self._span is not None and max(map(abs, self._span)) > turn / 2:  # longitudes from 0 to 360
            return None
        x, y = _MARGIN * (east - west), _MARGIN * (north - south)
        return west - x, south - y, east + x, north + y

    def _frame(self, columns: list[str], box: Box | None) -> geopandas.GeoDataFrame:
        import geopandas  # noqa: PLC0415
        import pyogrio  # noqa: PLC0415

        if self.path.casefold().endswith(PARQUET):
            selected = {"bbox": box} if box is not None and self._boxes else {}
            return geopandas.read_parquet(self.path, columns=[*columns, self._geometry], **selected)
        return pyogrio.read_dataframe(self.path, columns=columns, bbox=box)


def open_vectors(path: str | Path) -> VectorFile:
    """A GeoPackage, GeoParquet or GeoJSON file of one layer. GeoJSON is in EPSG:4326 unless its `crs` member says otherwise.

    Raises:
        DataError: no such file, another format, several layers or none, or no CRS.
    """
    path = str(path)
    suffix = Path(path).suffix.casefold()
    if suffix not in SUFFIXES:
        first = "unpack it, then convert what is in it: ogr2ogr out.gpkg FILE"
        step = first if suffix == ".zip" else f"convert it: ogr2ogr {Path(path).stem}.gpkg {Path(path).name}"
        raise DataError(f"{path}: only {FORMATS} files are read; {step}")
    if "!" in path:
        raise DataError(f"{path}: GDAL's library of vectors takes what follows '!' for a file in an archive; rename it, or its folder")
    if not Path(path).is_file():
        problem = "is a folder, a pipe or a device" if Path(path).exists() else "no such file"
        raise DataError(f"{path}: {problem}; name a {FORMATS} file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            opened = _open_parquet(path) if suffix in PARQUET else _open_ogr(path, suffix)
    except (RuntimeError, OSError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(path, error) from None
    if not opened.count:
        raise DataError(f"{path}: holds no feature; name a file that does")
    return opened


def nearest_first(name: str, known: Iterable[str]) -> list[str]:
    """The known names, the most similar first.

    >>> nearest_first("CODE_CULT", ["ID_PARCEL", "CODE_CULTU"])
    ['CODE_CULTU', 'ID_PARCEL']
    """

    def likeness(other: str) -> float:
        return difflib.SequenceMatcher(None, name.casefold(), other.casefold()).ratio()

    return sorted(known, key=likeness, reverse=True)


def names(known: Sequence[str], near: str = "", most: int = 12) -> str:
    """Names for a message, the most similar to `near` first; at most `most` of them."""
    ordered = nearest_first(near, known) if near else list(known)
    return ", ".join(ordered[:most]) + (f" and {len(ordered) - most} more" if len(ordered) > most else "") or "none"


def polygon_text(path: Path) -> str:
    """The polygons of a vector file as a GeoJSON FeatureCollection in degrees (EPSG:4326).

    Raises:
        DataError: as of `open_vectors`, or the file is damaged.
    """
    return str(open_vectors(path).read(()).to_crs("EPSG:4326").to_json(drop_id=True))


def _open_ogr(path: str, suffix: str) -> VectorFile:
    import pyogrio  # noqa: PLC0415

    layers = [str(name) for name, kind in pyogrio.list_layers(path) if kind is not None]
    if len(layers) != 1:
        some = f"the layers {names(layers)}" if layers else "no layer with geometries"
        raise DataError(f"{path}: has {some}; one is read: ogr2ogr one.gpkg {Path(path).name} {layers[0] if layers else 'LAYER'}")
    info = pyogrio.read_info(path, layer=layers[0], force_feature_count=True, force_total_bounds=True)
    crs = info["crs"] or ("EPSG:4326" if suffix in (".geojson", ".json") else "")
    return VectorFile(
        path, _usable(path, crs), tuple(map(str, info["fields"])), int(info["features"]), "", True, _span(info["total_bounds"])
    )


def _open_parquet(path: str) -> VectorFile:
    from pyarrow.parquet import ParquetFile  # noqa: PLC0415

    with ParquetFile(path) as file:
        schema, count = file.schema_arrow, file.metadata.num_rows
    if b"geo" not in (schema.metadata or {}):
        raise DataError(f"{path}: a Parquet file without the metadata of GeoParquet; write it with geopandas to_parquet, or as GeoPackage")
    values: dict[str, Any] = parse_json(
        schema.metadata[b"geo"], f"{path}: its metadata of GeoParquet", step="write it with geopandas to_parquet"
    )
    name = values["primary_column"]
    column = values["columns"][name]
    covering = column.get("covering", {}).get("bbox", {})
    hidden = {*values["columns"], *(parts[0] for parts in covering.values())}
    crs = column.get("crs", "OGC:CRS84")  # the specification's default
    columns = tuple(each for each in schema.names if each not in hidden)
    return VectorFile(
        path, _usable(path, crs), columns, count, name, bool(covering) or column.get("encoding") != "WKB", _span(column.get("bbox"))
    )


def _usable(path: str, crs: Any) -> str:  # noqa: ANN401 - a text, or PROJJSON
    """The CRS as a text."""
    from pyproj import CRS  # noqa: PLC0415
    from pyproj.exceptions import CRSError  # noqa: PLC0415

    if not crs:
        raise DataError(
            f"{path}: has no coordinate reference system; write it with the one that it is in: "
            f"ogr2ogr -a_srs EPSG:n with-crs.gpkg {Path(path).name}"
        )
    try:
        text = str(CRS.from_user_input(crs).to_string())
        is_geographic(text)
    except (CRSError, ConfigError):
        raise DataError(
            f"{path}: its coordinate reference system is neither projected nor in longitude and latitude; "
            f"reproject it: ogr2ogr -t_srs EPSG:4326 degrees.gpkg {Path(path).name}"
        ) from None
    return text


def _span(bounds: Sequence[float] | None) -> tuple[float, float] | None:
    """West and east of a box, perhaps with heights."""
    return (float(bounds[0]), float(bounds[len(bounds) // 2])) if bounds is not None else None


def _unreadable(path: str, error: BaseException) -> DataError:
    is_text = Path(path).suffix.casefold() in (".geojson", ".json")
    if is_text and (isinstance(error, UnicodeDecodeError) or json.detect_encoding(_head(path)) not in ("utf-8", "utf-8-sig")):
        return DataError(f"{path}: is not in UTF-8; save it as UTF-8")
    reason = " ".join(str(error).replace(path, "").split()).partition(";")[0][:160].strip(" .:'")
    return DataError(f"{path}: cannot be read as {Path(path).suffix} ({reason}); write it anew as {FORMATS}")


def _head(path: str) -> bytes:
    with suppress(OSError), Path(path).open("rb") as file:
        return file.read(4)
    return b""
