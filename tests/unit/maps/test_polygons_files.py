"""Files of polygons: what standards ask of them, boxes that cover, and damaged files."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from xml.etree.ElementTree import fromstring

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from pyproj import CRS

from cropcam.pipeline.maps import polygons_files as files
from cropcam.pipeline.vectors import open_vectors
from support.memory_source import LEGEND

SHAPES = [shapely.box(500_010.1, 4e6, 500_040.7, 4e6 + 30), shapely.box(500_100, 4e6 + 77.7, 500_130, 4e6 + 99.9)]


def batches(failure: Exception | None = None) -> files.Batches:
    """Two batches of one polygon each."""
    for index, shape in enumerate(SHAPES):
        values = [str(index), "corn", 1, "1", None if index else 0.75, 7 + index, 0.63, 6300.0, "auto-imagery", None, shape.wkb]
        columns = [pa.array([value], field.type) for value, field in zip(values, files.COLUMNS, strict=True)]
        yield pa.RecordBatch.from_arrays(columns, schema=files.COLUMNS), shapely.bounds([shape])
        if failure:
            raise failure


@pytest.mark.parametrize("suffix", files.WRITERS)
def test_columns_and_crs_come_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"p{suffix}"
    assert not files.is_polygons(path)
    files.WRITERS[suffix](path, batches(), "EPSG:32616", LEGEND, {"collection": "p"})
    assert files.is_polygons(path)
    assert files.pixels_in(path) == 15
    vectors = open_vectors(path)
    assert (vectors.count, CRS(vectors.crs).to_epsg(), set(vectors.columns)) == (2, 32616, set(files.COLUMNS.names) - {"geometry"})
    frame = vectors.read(vectors.columns)
    assert all(shapely.equals(frame.geometry.to_numpy(), SHAPES))
    assert frame["mean_probability"].tolist() == [0.75, pytest.approx(np.nan, nan_ok=True)]


def test_geoparquet_metadata(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    files.write_geoparquet(path, batches(), "EPSG:32616", LEGEND, {"collection": "p"})
    with pq.ParquetFile(path) as file:
        found, groups = file.metadata.metadata, file.metadata.num_row_groups
        table = file.read()
    geo = json.loads(found[b"geo"])
    column = geo["columns"]["geometry"]
    assert (geo["version"], geo["primary_column"], column["encoding"], column["geometry_types"]) == (
        "1.1.0",
        "geometry",
        "WKB",
        ["Polygon"],
    )
    assert CRS.from_json_dict(column["crs"]).to_epsg() == 32616
    assert column["bbox"] == list(shapely.total_bounds(SHAPES))
    assert column["covering"]["bbox"]["ymax"] == ["bbox", "ymax"]
    assert json.loads(found[b"collection"]) == {"collection": "p"}
    assert groups == 2
    boxes = table["bbox"].to_pylist()
    assert all(
        box["xmin"] <= shape.bounds[0]
        and box["ymin"] <= shape.bounds[1]
        and box["xmax"] >= shape.bounds[2]
        and box["ymax"] >= shape.bounds[3]
        for box, shape in zip(boxes, SHAPES, strict=True)
    )
    files.write_geoparquet(tmp_path / "again.parquet", batches(), "EPSG:32616", LEGEND, {"collection": "p"})
    assert (tmp_path / "again.parquet").read_bytes() == path.read_bytes()


def test_a_geopackage_has_its_style(tmp_path: Path) -> None:
    path = tmp_path / "p.gpkg"
    files.write_geopackage(path, batches(), "EPSG:32616", LEGEND, {})
    with closing(sqlite3.connect(path)) as database:
        (table, column, default, style), *more = database.execute(
            "SELECT f_table_name, f_geometry_column, useAsDefault, styleQML FROM layer_styles"
        )
        registered = dict(database.execute("SELECT table_name, data_type FROM gpkg_contents"))
        (index,) = database.execute("SELECT count(*) FROM rtree_polygons_geometry").fetchone()
    assert (table, column, default, more) == ("polygons", "geometry", 1, [])
    assert registered == {"polygons": "features", "layer_styles": "attributes"}
    assert index == 2
    root = fromstring(style.partition("\n")[2])  # noqa: S314 - written by this program
    assert root.find("renderer-v2").get("attr") == "class"  # type: ignore[union-attr]
    assert [each.get("value") for each in root.iter("category")] == list(LEGEND.names)
    assert len(list(root.iter("symbol"))) == len(LEGEND)


@pytest.mark.parametrize("suffix", [".parquet", ".gpkg"])
def test_an_error_while_polygons_are_made_is_not_changed(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(ZeroDivisionError, match="while made"):
        files.WRITERS[suffix](tmp_path / f"p{suffix}", batches(ZeroDivisionError("while made")), "EPSG:32616", LEGEND, {})


@pytest.mark.parametrize("suffix", [".parquet", ".gpkg"])
def test_a_disk_that_refuses(suffix: str) -> None:
    with pytest.raises(OSError, match=r"(?i)no such file|unable to open|cannot|failed"):
        files.WRITERS[suffix](Path(f"/no/folder/p{suffix}"), batches(), "EPSG:32616", LEGEND, {})


@pytest.mark.parametrize("suffix", [".parquet", ".gpkg"])
def test_other_and_damaged_files_are_no_polygons(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"p{suffix}"
    files.WRITERS[suffix](path, batches(), "EPSG:32616", LEGEND, {})
    path.write_bytes(path.read_bytes()[:-2000])
    assert not files.is_polygons(path) or files.pixels_in(path) != 15
    pq.write_table(pa.table({"pixels": [15]}), tmp_path / "other.parquet")
    assert not files.is_polygons(tmp_path / "other.parquet")
    (tmp_path / "text.gpkg").write_text("text")
    assert not files.is_polygons(tmp_path / "text.gpkg")
