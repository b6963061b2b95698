"""Samples as files: both alike, the same again, never over another."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pytest

from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.maps.areas import measure
from cropcam.pipeline.maps.class_map import open_map
from cropcam.pipeline.maps.reference_points import read_reference
from cropcam.pipeline.maps.sample_files import write_sample
from support.maps import write_map
from support.memory_source import LEGEND

CLASSES = np.random.default_rng(0).integers(0, 3, (90, 70)).astype(np.uint8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_map(tmp_path / "map.tif", CLASSES)


def test_points_carry_stratum_probability_and_the_maps_digest(path: Path, tmp_path: Path) -> None:
    found = write_sample(path, tmp_path / "p.csv", seed=3)
    assert (sum(found.counts.values()), found.existed) == (100, False)
    opened = open_map(path)
    table = pd.read_csv(found.csv, keep_default_na=False)
    layer = geopandas.read_file(found.geopackage)
    assert table.columns.tolist() == ["id", "lon", "lat", "stratum", "inclusion_probability", "class", "map_sha256"]
    assert (table["class"] == "").all()
    assert set(table["map_sha256"]) == {measure(opened).digest}
    places = geopandas.GeoSeries(geopandas.points_from_xy(table["lon"], table["lat"]), crs="EPSG:4326").to_crs(opened.grid.crs)
    row, col = opened.grid.index(places.x, places.y)
    assert np.array(LEGEND.names)[CLASSES[row, col]].tolist() == table["stratum"].tolist()
    for name, count in found.counts.items():
        rows = table[table["stratum"] == name]
        assert len(rows) == count
        assert np.allclose(rows["inclusion_probability"], count / max((LEGEND.names.index(name) == CLASSES).sum(), 1))
    assert layer["stratum"].tolist() == table["stratum"].tolist()
    assert layer.crs.to_epsg() == 4326
    np.testing.assert_allclose(layer.geometry.x, table["lon"])


def test_the_layer_filled_in_is_the_same_sample_as_the_table(path: Path, tmp_path: Path) -> None:
    found = write_sample(path, tmp_path / "p.csv")
    opened = open_map(path)
    layer = geopandas.read_file(found.geopackage)
    layer["class"] = layer["stratum"]
    layer.to_crs("EPSG:5070").to_file(tmp_path / "filled.gpkg")
    table = pd.read_csv(found.csv)
    table.assign(**{"class": table["stratum"]}).to_csv(tmp_path / "filled.csv", index=False)
    one, other = (read_reference(tmp_path / name, opened) for name in ("filled.gpkg", "filled.csv"))
    assert one.is_sample
    assert one.digest == other.digest == measure(opened).digest
    for name in ("row_P", "col_P", "mapped_P", "truth_P", "stratum_P"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_allclose(one.probability_P, other.probability_P, rtol=1e-12)


def test_the_same_again_is_there_and_another_is_never_replaced(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.csv"
    first = write_sample(path, out)
    content = out.read_bytes()
    first.geopackage.unlink()
    assert write_sample(path, out).existed
    assert (out.read_bytes(), first.geopackage.exists()) == (content, True)
    with pytest.raises(DataError, match=r"p\.csv: is there already and may be filled in; give --out another name"):
        write_sample(path, out, seed=1)
    out.unlink()
    with pytest.raises(DataError, match=r"p\.gpkg: is there already and may be filled in"):
        write_sample(path, out)
    assert not list(tmp_path.glob("*partial*"))


def test_expected_accuracies_give_the_size_and_are_checked(path: Path, tmp_path: Path) -> None:
    expected = {"background": 0.9, "Corn": 0.8, "SOYBEAN": 0.85}  # names are compared without case
    found = write_sample(path, tmp_path / "p.csv", expected=expected, standard_error=0.02)
    share = np.bincount(CLASSES.ravel(), minlength=3) / CLASSES.size
    wanted = (share @ np.sqrt(np.array([0.09, 0.16, 0.1275])) / 0.02) ** 2
    assert sum(found.counts.values()) == np.ceil(wanted)
    for given, message in (
        ({"Cron": 0.9}, "--expected-accuracy Cron: no class of the map, nearest corn; its classes are background, corn"),
        ({"corn": 1.5}, "--expected-accuracy corn=1.5: an accuracy is above 0 and at most 1"),
        ({"corn": 0.5}, "--expected-accuracy lacks background, soybean; give CLASS=ACCURACY for each mapped class"),
    ):
        with pytest.raises(ConfigError, match=message):
            write_sample(path, tmp_path / "q.csv", expected=given)
    with pytest.raises(ConfigError, match=r"--standard-error 0: it is above 0 and below 1"):
        write_sample(path, tmp_path / "q.csv", standard_error=0)


def test_names_and_folders_that_cannot_be_written(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"does not fit the kind of the file \(sample\); end the name in \.csv"):
        write_sample(path, tmp_path / "p.gpkg")
    with pytest.raises(DataError, match=r"map\.tif/p\.csv: cannot lie there, since .*/map\.tif is a file; choose another place"):
        write_sample(path, path / "p.csv")
    assert write_sample(path, tmp_path / "new" / "p.csv").geopackage.is_file()


def test_the_files_have_no_time_of_writing(path: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_sample(path, tmp_path / name / "p.csv")
    assert sqlite3.connect(tmp_path / "one" / "p.gpkg").execute("SELECT DISTINCT last_change FROM gpkg_contents").fetchall() == [
        ("1970-01-01T00:00:00.000Z",)
    ]
    assert (tmp_path / "one" / "p.gpkg").read_bytes() == (tmp_path / "two" / "p.gpkg").read_bytes()
    assert sorted(file.name for file in (tmp_path / "one").iterdir()) == ["p.csv", "p.gpkg"]
