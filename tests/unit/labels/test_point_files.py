"""Files of labelled points: what is read, what is refused, and the pixels of a grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from cropcam.model.labels.point_files import Table, doubled_note, first_in_pixel, pixels_of, read_point_file, read_points
from cropcam.model.labels.weak_labels import LabelSpec
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import transform_points
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.store.schema import StoreInfo
from support.memory_source import LEGEND, make_grid
from support.vectors import write_vectors

GRID = make_grid(20, 30)


def table(points: list[tuple[float, float, int]], crs: str = "") -> Table:
    """Points (row, column, class) in pixels of GRID."""
    a, _, c, _, e, f = GRID.transform
    x, y = (np.array([c + a * col for _, col, _ in points]), np.array([f + e * row for row, _, _ in points]))
    if crs:
        x, y = transform_points(GRID.crs, crs, x, y)
    classes = np.array([kind for *_, kind in points], np.uint8)
    return Table(x, y, crs, classes, np.arange(2, len(points) + 2), path="p.csv")


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
        ("lon,lat,class\n500000,2,corn\n", r"line 2: lon is '500000'"),
        ("x,y,class\n1,inf,corn\n", r"line 2: y is 'inf'; it must be a number in the units"),
        ("lon,lat,class\n1,2,corn\n\n3,4,maize\n", r"line 4: class 'maize' is not known; it must be one of background, corn"),
        ("lon,lat,class\n1,2,81\n", r"line 2: class '81'"),
        ("lon,lat,class\n1,2,7\n", r"line 2: class '7'"),
        ("lon,lat,class\n1,2,corn,9\n", r"line 2"),
    ],
)
def test_an_invalid_table_is_refused_with_its_line(info: StoreInfo, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_points("p.csv", text.encode(), info.classes)


def test_another_column_of_a_table_may_hold_the_class(info: StoreInfo) -> None:
    found = read_points("p.csv", b"lon,lat,crop\n1,2,Corn\n", info.classes, "crop")
    assert found.class_P.tolist() == [info.classes.names.index("corn")]
    with pytest.raises(DataError, match=r"line 1: no column crop among lon, lat, class"):
        read_points("p.csv", b"lon,lat,class\n1,2,Corn\n", info.classes, "crop")


def test_names_codes_and_blank_lines(info: StoreInfo) -> None:
    text = "\ufeffname, class ,lat,lon\r\na,corn,1,2\r\n\r\nb, 5.0,3,4\r\nc,111,5,6\r\n"
    found = read_points("p.csv", text.encode(), info.classes)
    assert [info.classes.names[kind] for kind in found.class_P] == ["corn", "soybean", "background"]
    assert found.line_P.tolist() == [2, 4, 5]
    assert (found.x_P.tolist(), found.y_P.tolist()) == ([2, 4, 6], [1, 3, 5])


@pytest.mark.parametrize("crs", ["", "EPSG:4326", "EPSG:5070"])
def test_points_of_any_crs_lie_in_their_pixel(crs: str) -> None:
    row, col = pixels_of(table([(3.5, 7.5, 1), (19.9, 0.1, 2), (20.5, 3.5, 1), (4.5, -0.5, 1)], crs), GRID, LEGEND)
    assert list(zip(row.tolist(), col.tolist(), strict=True)) == [(3, 7), (19, 0), (-1, -1), (-1, -1)]


def test_two_classes_in_one_pixel_are_refused_by_both_lines() -> None:
    with pytest.raises(DataError, match=r"^p\.csv, lines 2 and 4: the same pixel has the classes corn and soybean; keep one of the two"):
        pixels_of(table([(3.2, 7.5, 1), (5.5, 7.5, 1), (3.8, 7.1, 2)]), GRID, LEGEND)
    pixels_of(table([(-3.2, 7.5, 1), (-3.8, 7.1, 2)]), GRID, LEGEND)  # outside the grid there is no pixel


@given(st.lists(st.tuples(st.integers(-2, 4), st.integers(-2, 4)), min_size=1, max_size=30))
def test_each_pixel_has_one_first_point(places: list[tuple[int, int]]) -> None:
    row, col = pixels_of(table([(row + 0.5, col + 0.5, 1) for row, col in places]), GRID, LEGEND)
    first = first_in_pixel(GRID, row, col)
    inside = [place for place in places if min(place) >= 0]
    expected = [place in inside and places.index(place) == index for index, place in enumerate(places)]
    assert first.tolist() == expected
    twice = len(inside) - len(set(inside))
    assert doubled_note(GRID, row, col) == (
        [f"{twice:,} of its points lie in a pixel of another one of the same class and count once"] if twice else []
    )


@pytest.mark.parametrize("name", ["p.csv", "p.gpkg", "p.parquet", "p.geojson"])
def test_every_format_gives_the_same_points(tmp_path: Path, name: str) -> None:
    made = table([(3.5, 7.5, 1), (9.5, 9.5, 3)], "EPSG:4326")
    if name == "p.csv":
        lines = [
            f"{x!r},{y!r},{kind}" for x, y, kind in zip(made.x_P.tolist(), made.y_P.tolist(), ("corn", "Deciduous Forest"), strict=True)
        ]
        (tmp_path / name).write_text("\n".join(["lon,lat,class", *lines]))
    else:
        points = list(shapely.points(made.x_P, made.y_P))
        write_vectors(tmp_path / name, points, {"class": ["corn", "Deciduous Forest"]}, "EPSG:4326")
    legend = Legend.from_codes({"corn": [1], "soybean": [5], "forest": [63, 141]})
    found = read_point_file(LabelSpec(labels="points", points=str(tmp_path / name)), legend)
    assert found.class_P.tolist() == [1, 3]
    assert found.unit == ("lines" if name == "p.csv" else "features")
    assert found.path == str(tmp_path / name)
    assert [index.tolist() for index in pixels_of(found, GRID, legend)] == [[3, 9], [7, 9]]


def test_the_owner_of_the_grid_is_named_and_a_changed_file_refused(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("x,y,class\n1,none,corn\n")
    spec = LabelSpec(labels="points", points=str(tmp_path / "p.csv"))
    with pytest.raises(DataError, match=r"line 2: y is 'none'; it must be a number in the units of the map's CRS"):
        read_point_file(spec, LEGEND, owner="map")
    with pytest.raises(DataError, match=r"p\.csv: changed since the run began"):
        read_point_file(LabelSpec(labels="points", points=spec.points, digests={"points": "0" * 64}), LEGEND)


def test_the_next_step_is_one_that_the_command_has(tmp_path: Path) -> None:
    x, y = GRID.transform[2] + 95, GRID.transform[5] - 95
    polygons = write_vectors(tmp_path / "p.gpkg", [shapely.box(x, y, x + 60, y + 60)], {"class": ["corn"]}, GRID.crs)
    for owner, step in (("map", "give a point in each"), ("store", "field boundaries go with train --fields FILE")):
        with pytest.raises(DataError, match=rf"1 of its 1 features are no points, the first is a Polygon; {step}"):
            read_point_file(LabelSpec(labels="points", points=polygons), LEGEND, owner)
    coded = write_vectors(tmp_path / "q.gpkg", [shapely.Point(x, y)], {"crop:code": ["1"]}, GRID.crs)
    with pytest.raises(DataError, match=r"crop:code has codes that are not the legend's: write a column of classes"):
        read_point_file(LabelSpec(labels="points", points=coded), LEGEND)
