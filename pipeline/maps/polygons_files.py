"""Files of a map's polygons, written as the polygons come: GeoParquet with the names of fiboa, GeoPackage with its style.

The columns `id`, `geometry`, `bbox`, `metrics:area` (m2, at most 1e9, else null) and `determination:*` are from fiboa 0.3.0 and Vecorel
0.1.0, on which it is built; `schemas` and `collection` stand once, in the file's metadata `collection`, as Vecorel's encoding has it. The crop
extension is left out: it requires the address of a published list of codes.

Sources: https://fiboa.org/specification/v0.3.0/schema.yaml, https://vecorel.org/specification/v0.1.0/schema.yaml,
https://geoparquet.org/releases/v1.1.0/, https://www.geopackage.org/spec140/; the table `layer_styles` is QGIS's.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyproj import CRS

from cropcam.pipeline.class_columns import CLASS
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.maps.polygons_stores import Floats
from cropcam.pipeline.maps.qml import vector_qml
from cropcam.pipeline.vectors import PARQUET

GEOPACKAGE = ".gpkg"
MOST_BYTES = 1_000_000_000  # of a polygon: SQLite's limit of a value; Parquet's is twice that
LAYER, GEOMETRY, MARK = "polygons", "geometry", b"cropcam"
SCHEMAS = ("https://vecorel.org/specification/v0.1.0/schema.yaml", "https://fiboa.org/specification/v0.3.0/schema.yaml")
COLUMNS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field(CLASS, pa.string(), nullable=False),
        pa.field("class_index", pa.int16(), nullable=False),
        pa.field("class_codes", pa.string()),
        pa.field("mean_probability", pa.float64()),
        pa.field("pixels", pa.int64(), nullable=False),
        pa.field("hectares", pa.float64(), nullable=False),
        pa.field("metrics:area", pa.float32()),
        pa.field("determination:method", pa.string(), nullable=False),
        pa.field("determination:datetime", pa.timestamp("ms", tz="UTC")),
        pa.field(GEOMETRY, pa.binary(), nullable=False),
    ]
)
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_BBOX = pa.field("bbox", pa.struct([pa.field(side, pa.float32(), nullable=False) for side in _SIDES]), nullable=False)
_NO_CLOCK = "1970-01-01T00:00:00.000Z"  # the same map gives the same bytes
_STYLES = """CREATE TABLE layer_styles (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256), f_table_schema TEXT(256), f_table_name TEXT(256),
  f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT, useAsDefault BOOLEAN, description TEXT, owner TEXT(30),
  ui TEXT(30), update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')))"""
Batches = Iterator[tuple[pa.RecordBatch, Floats]]  # polygons as `COLUMNS`, and their west, south, east and north (P, 4)
Write = Callable[[Path, Batches, str, Legend, Mapping[str, Any]], None]


def write_geoparquet(path: Path, batches: Batches, crs: str, legend: Legend, collection: Mapping[str, Any]) -> None:  # noqa: ARG001 - as write_geopackage
    """GeoParquet 1.1, a row group a batch, with a box for each polygon; the same batches give the same bytes.

    Args:
        path: absent.
        batches: polygons and their boxes.
        crs: of their coordinates; x before y.
        legend: not used.
        collection: the properties that all polygons share.

    Raises:
        OSError: the disk refuses.
    """
    schema = COLUMNS.insert(len(COLUMNS) - 1, _BBOX)
    plain = [name for name in schema.names if name not in (GEOMETRY, "bbox", "id", "hectares", "mean_probability", "metrics:area")]
    box = np.array([np.inf, np.inf, -np.inf, -np.inf])
    options = {
        "compression": "zstd",
        "use_dictionary": plain,
        "store_schema": False,
    }  # with a stored schema, readers miss metadata added later
    with pq.ParquetWriter(path, schema, **options) as writer:
        for batch, box_P4 in batches:
            box = np.concatenate([np.minimum(box[:2], box_P4[:, :2].min(axis=0)), np.maximum(box[2:], box_P4[:, 2:].max(axis=0))])
            sides = pa.StructArray.from_arrays([pa.array(side) for side in _outward(box_P4)], fields=list(_BBOX.type))
            columns = [*batch.columns[:-1], sides, batch.columns[-1]]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
        column = {
            "encoding": "WKB",
            "geometry_types": ["Polygon"],
            "crs": CRS.from_user_input(crs).to_json_dict(),
            "orientation": "counterclockwise",
            "bbox": box.tolist(),
            "covering": {"bbox": {side: ["bbox", side] for side in _SIDES}},
        }
        geo = {"version": "1.1.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}
        writer.add_key_value_metadata({"geo": json.dumps(geo), "collection": json.dumps(collection), MARK.decode(): LAYER})


def write_geopackage(path: Path, batches: Batches, crs: str, legend: Legend, collection: Mapping[str, Any]) -> None:
    """A GeoPackage of one layer, with a spatial index, and its style for QGIS. Arguments as of `write_geoparquet`.

    Raises:
        OSError: the disk refuses.
    """
    import pyogrio  # noqa: PLC0415 - heavy

    failures: list[BaseException] = []

    def kept() -> Iterator[pa.RecordBatch]:
        try:
            for batch, _ in batches:
                yield batch
        except BaseException as error:  # a stream hands on its text alone
            failures.append(error)
            raise

    reader = pa.RecordBatchReader.from_batches(COLUMNS, kept())
    try:
        pyogrio.write_arrow(
            reader,
            path,
            layer=LAYER,
            driver="GPKG",
            geometry_name=GEOMETRY,
            geometry_type="Polygon",
            crs=CRS.from_user_input(crs).to_wkt(),
            layer_options={"GEOMETRY_NAME": GEOMETRY},
            layer_metadata={"collection": json.dumps(collection), MARK.decode(): LAYER},
        )
        with closing(sqlite3.connect(path)) as database, database:
            database.execute(_STYLES)
            style = ("", "", LAYER, GEOMETRY, "classes", vector_qml(legend, CLASS), "", True, "the classes of the map", "", _NO_CLOCK)
            names = "f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName, styleQML, styleSLD, useAsDefault, description, owner, update_time"
            database.execute(f"INSERT INTO layer_styles ({names}) VALUES ({', '.join('?' * len(style))})", style)  # noqa: S608 - constants
            database.execute(
                "INSERT INTO gpkg_contents (table_name, data_type, identifier) VALUES ('layer_styles', 'attributes', 'layer_styles')"
            )
            database.execute("UPDATE gpkg_metadata_reference SET timestamp = ?", (_NO_CLOCK,))
        without_clock(path)
    except (RuntimeError, OSError, sqlite3.Error) as error:
        if failures:
            raise failures[0] from None
        raise OSError(str(error)) from None


def without_clock(path: Path) -> None:
    """Take the time of writing out of a GeoPackage: equal content is equal bytes.

    Raises:
        sqlite3.Error: it is no GeoPackage, or the disk refuses.
    """
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE gpkg_contents SET last_change = ?", (_NO_CLOCK,))


WRITERS: Mapping[str, Write] = {**dict.fromkeys(PARQUET, write_geoparquet), GEOPACKAGE: write_geopackage}


def is_polygons(path: Path) -> bool:
    """Whether a file holds polygons that this module wrote."""
    if path.suffix.casefold() in PARQUET:
        try:
            return (pq.read_metadata(path).metadata or {}).get(MARK) == LAYER.encode()
        except (OSError, pa.ArrowException):
            return False
    return _geopackage_total(path) is not None


def pixels_in(path: Path) -> int | None:
    """The sum of the column `pixels` as it lies on the disk; None where the file cannot be read."""
    if path.suffix.casefold() not in PARQUET:
        return _geopackage_total(path)
    try:
        with pq.ParquetFile(path) as file:
            return int(sum(np.sum(batch["pixels"].to_numpy()) for batch in file.iter_batches(columns=["pixels"])))
    except (OSError, pa.ArrowException):
        return None


def sync(path: Path) -> None:
    """Wait for the disk.

    Raises:
        OSError: the disk refuses.
    """
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _geopackage_total(path: Path) -> int | None:
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            pages, bytes_each = (database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
            if path.stat().st_size != pages * bytes_each:  # cut short
                return None
            (total,) = database.execute(f"SELECT sum(pixels) FROM {LAYER}").fetchone()  # noqa: S608 - a constant
            database.execute("SELECT styleQML FROM layer_styles").fetchone()
            return int(total)
    except (sqlite3.Error, TypeError):
        return None


def _outward(box_P4: Floats) -> list[Any]:
    """Boxes in float32, rounded so that they hold the polygons."""
    low_P2, high_P2 = box_P4[:, :2].astype(np.float32), box_P4[:, 2:].astype(np.float32)
    low_P2 = np.where(low_P2 > box_P4[:, :2], np.nextafter(low_P2, np.float32(-np.inf)), low_P2)
    high_P2 = np.where(high_P2 < box_P4[:, 2:], np.nextafter(high_P2, np.float32(np.inf)), high_P2)
    return [low_P2[:, 0], low_P2[:, 1], high_P2[:, 0], high_P2[:, 1]]
