"""Vector files of three formats and any CRS give the same features; whatever cannot be used is refused with the next step."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.vectors import VectorFile, names, nearest_first, open_vectors, polygon_text
from support.vectors import write_vectors

UTM = "EPSG:32631"
GRID = PixelGrid(UTM, (10.0, 0.0, 500_000.0, 0.0, -10.0, 5_400_000.0), 100, 100)
SQUARES = [shapely.box(500_000 + x, 5_399_500, 500_100 + x, 5_399_600) for x in (0, 300, 5_000)]
COLUMNS = {"ID_PARCEL": ["1", "2", "3"], "CODE_CULTU": ["BTH", None, "MIS"], "area": [1.5, 2.0, 3.0]}


def opened(path: Path, **more: Any) -> VectorFile:
    return open_vectors(write_vectors(path, SQUARES, COLUMNS, UTM, **more))


@pytest.mark.parametrize("to_crs", [UTM, "EPSG:4326", "EPSG:3035", "EPSG:2154"])
@pytest.mark.parametrize("name", ["a.gpkg", "a.parquet", "covered.geoparquet", "a.geojson"])
def test_every_format_and_crs_gives_the_same_features_near_a_grid(tmp_path: Path, name: str, to_crs: str) -> None:
    more: dict[str, Any] = {"write_covering_bbox": True} if name.startswith("covered") else {}
    file = opened(tmp_path / name, to_crs=to_crs, **more)
    assert (file.columns, file.count) == (tuple(COLUMNS), 3)
    whole = file.read(["CODE_CULTU"])
    assert whole.CODE_CULTU.fillna("").tolist() == ["BTH", "", "MIS"]
    back = whole.to_crs(UTM).geometry.to_numpy()
    assert shapely.equals_exact(back, SQUARES, 0.01).all()
    near = file.read(["area"], GRID)
    assert near["area"].tolist() == [1.5, 2.0]
    assert near.crs == whole.crs


def test_heights_are_left_out(tmp_path: Path) -> None:
    high = write_vectors(tmp_path / "a.gpkg", [shapely.Point(1, 2, 3)], {"class": ["corn"]}, "EPSG:4326")
    assert not shapely.has_z(open_vectors(high).read(()).geometry.to_numpy()).any()


def test_geojson_is_in_degrees_unless_its_crs_member_says_otherwise(tmp_path: Path) -> None:
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [1, 2]}}
    values: dict[str, Any] = {"type": "FeatureCollection", "features": [feature]}
    (tmp_path / "a.geojson").write_text(json.dumps(values))
    assert open_vectors(tmp_path / "a.geojson").crs == "EPSG:4326"
    values["crs"] = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::2154"}}
    (tmp_path / "b.json").write_text(json.dumps(values))
    assert open_vectors(tmp_path / "b.json").crs == "EPSG:2154"


def test_a_grid_across_180_degrees_selects_nothing_away(tmp_path: Path) -> None:
    squares = [shapely.box(179.99, -17, 179.995, -16.99), shapely.box(-179.99, -17, -179.98, -16.99)]
    file = open_vectors(write_vectors(tmp_path / "a.gpkg", squares, {}, "EPSG:4326"))
    fiji = PixelGrid("EPSG:3832", (100.0, 0.0, 3_300_000.0, 0.0, -100.0, -1_800_000.0), 1000, 2000)
    assert len(file.read((), fiji)) == 2


@pytest.mark.filterwarnings("ignore:'crs' was not provided")
@pytest.mark.parametrize("name", ["a.gpkg", "a.parquet"])
def test_a_file_without_a_crs_is_refused(tmp_path: Path, name: str) -> None:
    path = write_vectors(tmp_path / name, SQUARES, COLUMNS, None)
    with pytest.raises(DataError, match=rf"{name}: has no coordinate reference system; .*ogr2ogr -a_srs EPSG:n with-crs.gpkg {name}"):
        open_vectors(path)


def test_a_local_crs_is_refused(tmp_path: Path) -> None:
    local = 'LOCAL_CS["site",UNIT["metre",1],AXIS["x",EAST],AXIS["y",NORTH]]'
    with pytest.raises(DataError, match=r"a\.gpkg: .*neither projected nor in longitude and latitude; reproject it"):
        open_vectors(write_vectors(tmp_path / "a.gpkg", SQUARES, COLUMNS, local))


def test_a_missing_column_names_those_there_the_nearest_first(tmp_path: Path) -> None:
    file = opened(tmp_path / "a.gpkg")
    with pytest.raises(DataError, match=r"a\.gpkg: no column 'CODE_CULT'; its columns are CODE_CULTU, "):
        file.read(["CODE_CULT"])


def test_several_layers_are_refused_by_their_names(tmp_path: Path) -> None:
    for layer in ("one", "two"):
        write_vectors(tmp_path / "a.gpkg", SQUARES, COLUMNS, UTM, layer=layer)
    with pytest.raises(DataError, match=r"a\.gpkg: has the layers one, two; one is read: ogr2ogr one\.gpkg a\.gpkg one"):
        open_vectors(tmp_path / "a.gpkg")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.gpkg", b"nothing", r"a\.gpkg: cannot be read as \.gpkg \(.*not recognized"),
        ("a.geojson", b"{", r"a\.geojson: cannot be read as \.geojson"),
        ("a.parquet", b"PAR1", r"a\.parquet: cannot be read as \.parquet"),
        ("a.shp", b"", r"a\.shp: only GeoPackage .* files are read; convert it: ogr2ogr a\.gpkg a\.shp"),
        ("a.zip", b"", r"a\.zip: only GeoPackage .* files are read; unpack it"),
    ],
)
def test_another_format_or_a_damaged_file_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        open_vectors(tmp_path / name)


FEATURE = '{"type": "Feature", "properties": {"name": "N\xf6rd"}, "geometry": {"type": "Polygon", "coordinates": [[[5, 45], [6, 45], [6, 46], [5, 45]]]}}'
NESTED = '{"type": "GeometryCollection", "geometries": ['


@pytest.mark.parametrize("text", [FEATURE, f"\ufeff{FEATURE}", f"{FEATURE}\n{FEATURE}", FEATURE.replace("45]", "45, 300]")])
def test_geojson_of_one_feature_with_a_mark_or_of_a_feature_a_line_is_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.geojson").write_text(text, "utf-8")
    frame = open_vectors(tmp_path / "a.geojson").read(["name"])
    assert set(frame["name"]) == {"N\xf6rd"}
    assert shapely.get_coordinates(frame.geometry.iloc[0]).tolist() == [[5, 45], [6, 45], [6, 46], [5, 45]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (FEATURE.encode("utf-16"), "is not in UTF-8; save it as UTF-8$"),
        (FEATURE.encode("cp1252"), "is not in UTF-8; save it as UTF-8$"),
        (FEATURE.replace("45", "NaN").encode(), "cannot be read as .geojson"),
        (FEATURE.replace("45", "1e308", 1).encode(), "cannot be read as .geojson"),
        ((NESTED * 2000 + "]}" * 2000).encode(), "cannot be read as .geojson"),
    ],
)
def test_hostile_geojson_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.geojson").write_bytes(content)
    with pytest.raises(DataError, match=rf"a\.geojson: {message}"):
        open_vectors(tmp_path / "a.geojson").read(["name"])


def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.geojson")
    with pytest.raises(DataError, match=r"a\.geojson: is a folder, a pipe or a device; name a GeoPackage"):
        open_vectors(tmp_path / "a.geojson")


def test_a_missing_an_empty_and_a_plain_parquet_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.gpkg: no such file"):
        open_vectors(tmp_path / "a.gpkg")
    with pytest.raises(DataError, match=r"b\.parquet: holds no feature"):
        open_vectors(write_vectors(tmp_path / "b.parquet", [], {}, UTM))
    pd.DataFrame({"crop": ["corn"]}).to_parquet(tmp_path / "c.parquet")
    with pytest.raises(DataError, match=r"c\.parquet: a Parquet file without the metadata of GeoParquet"):
        open_vectors(tmp_path / "c.parquet")


def test_polygons_become_geojson_in_degrees(tmp_path: Path) -> None:
    text = polygon_text(Path(write_vectors(tmp_path / "a.gpkg", SQUARES[:1], {}, UTM)))
    expected = geopandas.GeoSeries(SQUARES[:1], crs=UTM).to_crs("EPSG:4326").iloc[0]
    found = shapely.from_geojson(json.dumps(json.loads(text)["features"][0]["geometry"]))
    np.testing.assert_allclose(shapely.get_coordinates(found), shapely.get_coordinates(expected), atol=1e-9)


def test_names_for_messages() -> None:
    assert nearest_first("class", ["crop", "CLASS_ID", "x"])[0] == "CLASS_ID"
    assert names([f"n{number}" for number in range(14)]).endswith("n11 and 2 more")
    assert names([]) == "none"
