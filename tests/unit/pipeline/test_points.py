"""Files of labelled points: what is read, with which line, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely

from cropcam.pipeline.class_names import NO_CLASS
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.points import read_lines, read_points
from cropcam.pipeline.store.schema import StoreInfo
from support.memory_source import LEGEND
from support.vectors import write_vectors


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"p\.csv: no CSV table"),
        ("lon,lat,class\n", r"holds no point"),
        ("lon,class\n1,corn\n", r"line 1: no column lon and lat \(or x and y\) among lon, class"),
        ("lon,lat,crop\n1,2,corn\n", r"line 1: no column class among lon, lat, crop; .* one of background, corn"),
        ("lon,lat,class\n1,2,corn\n1,north,corn\n", r"line 3: lat is 'north'; it must be degrees between -90 and 90"),
        ("lon,lat,class\n1,nan,corn\n", r"line 2: lat is 'nan'"),
        ("lon,lat,class\n1,,corn\n", r"line 2: lat is ''"),
        ("Lat,Lon,class\n2,5,corn\n3,x,corn\n", r"line 3: lon is 'x'; it must be degrees between -360 and 360$"),
        ("lon,lat,class\n41,-93.5,corn\n", r"line 2: lat is '-93.5'; it must be degrees between -90 and 90; are lon and lat swapped\?$"),
        ("lon,lat,class\n500000,2,corn\n", r"line 2: lon is '500000'"),
        ("x,y,class\n1,inf,corn\n", r"line 2: y is 'inf'; it must be a number in the units"),
        ("lon,lat,class\n1,2,corn\n\n3,4,maize\n", r"line 4: class 'maize' is not known; it must be one of background, corn"),
        ("lon,lat,class\n1,2,81\n", r"line 2: class '81'"),
        ("lon,lat,class\n1,2,7\n", r"line 2: class '7'"),
        ("lon,lat,class\n1,2,corn,9\n", r"line 2"),
        ("lon,lat,class,class\n1,2,corn,corn\n", r"p\.csv, line 1: the column 'class' is there twice; keep one"),
    ],
)
def test_an_invalid_table_is_refused_with_its_line(info: StoreInfo, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_lines("p.csv", text.encode(), info.classes).check_classes(info.classes)


def test_another_column_of_a_table_may_hold_the_class(info: StoreInfo) -> None:
    found = read_lines("p.csv", b"lon,lat,crop\n1,2,Corn\n", info.classes, "crop")
    assert found.class_P.tolist() == [info.classes.names.index("corn")]
    with pytest.raises(DataError, match=r"line 1: no column crop among lon, lat, class"):
        read_lines("p.csv", b"lon,lat,class\n1,2,Corn\n", info.classes, "crop")


def test_names_codes_and_blank_lines(info: StoreInfo) -> None:
    text = "\ufeffname, class ,lat,lon\r\na,corn,1,2\r\n\r\nb, 5.0,3,4\r\nc,111,5,6\r\n"
    found = read_lines("p.csv", text.encode(), info.classes)
    assert [info.classes.names[kind] for kind in found.class_P] == ["corn", "soybean", "background"]
    assert found.line_P.tolist() == [2, 4, 5]
    assert (found.x_P.tolist(), found.y_P.tolist()) == ([2, 4, 6], [1, 3, 5])


def test_further_columns_come_along_where_the_file_has_them() -> None:
    found = read_lines("p.csv", b"x,y,class,stratum,note\n1,2,corn,a,?\n3,4,maze,b,!\n", LEGEND, more=("stratum", "weight"))
    assert found.more.to_dict("list") == {"stratum": ["a", "b"]}
    assert (found.class_P.tolist(), found.unknown) == ([1, NO_CLASS], ["maze"])
    assert (found.crs, found.unit) == ("", "line")


@pytest.mark.parametrize("name", ["p.gpkg", "p.parquet"])
def test_features_keep_their_number_and_a_missing_geometry_is_nan(tmp_path: Path, name: str) -> None:
    columns = {"class": ["corn", "soybean", "5"], "stratum": ["a", "b", "c"], "weight": [1.0, 2.5, 3.0]}
    path = write_vectors(tmp_path / name, [shapely.Point(1, 2), None, shapely.Point(3, 4)], columns, "EPSG:4326")
    found = read_points(path, LEGEND, more=("stratum", "weight", "absent"))
    np.testing.assert_array_equal(found.x_P, [1.0, np.nan, 3.0])
    np.testing.assert_array_equal(found.y_P, [2.0, np.nan, 4.0])
    assert (found.class_P.tolist(), found.line_P.tolist(), found.unit) == ([1, 2, 2], [1, 2, 3], "feature")
    assert found.more.to_dict("list") == {"stratum": ["a", "b", "c"], "weight": ["1.0", "2.5", "3.0"]}
    assert found.crs == "EPSG:4326"


def test_the_class_of_a_feature_stands_in_a_known_or_a_named_column(tmp_path: Path) -> None:
    columns = {"crop:name_en": ["corn", "soybean"], "seen": ["soybean", "corn"]}
    path = write_vectors(tmp_path / "p.parquet", [shapely.Point(1, 2), shapely.Point(3, 4)], columns, "EPSG:4326")
    assert read_points(path, LEGEND).class_P.tolist() == [1, 2]
    assert read_points(path, LEGEND, column="seen").class_P.tolist() == [2, 1]
    with pytest.raises(DataError, match=r"p\.parquet: no column 'crop'; its columns are"):
        read_points(path, LEGEND, column="crop")


def test_features_that_are_no_points_are_refused(tmp_path: Path) -> None:
    line = write_vectors(tmp_path / "l.gpkg", [shapely.LineString([(0, 0), (1, 1)])], {"class": ["corn"]}, "EPSG:4326")
    with pytest.raises(DataError, match=r"1 of its 1 features are no points, the first is a LineString; split it: one point a feature"):
        read_points(line, LEGEND)
    box = write_vectors(tmp_path / "b.gpkg", [shapely.box(0, 0, 1, 1)], {"class": ["corn"]}, "EPSG:4326")
    with pytest.raises(DataError, match=r"the first is a Polygon; train with --fields"):
        read_points(box, LEGEND, polygons="train with --fields")
