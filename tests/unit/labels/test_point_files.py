"""Files of labelled points: what is read, what is refused, and the pixels of a grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from cropcam.model.labels.point_files import Table, doubled_note, first_in_pixel, pixels_of, read_point_file
from cropcam.model.labels.weak_labels import LabelSpec
from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.legend import Legend
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


def test_features_without_a_geometry_or_a_class_are_counted(tmp_path: Path) -> None:
    x, y = GRID.transform[2] + 95, GRID.transform[5] - 95
    places, names = [shapely.Point(x, y), None, shapely.Point(), shapely.Point(x, y)], ["corn", "corn", "corn", "com"]
    path = write_vectors(tmp_path / "p.parquet", places, {"class": names}, GRID.crs)
    found = read_point_file(LabelSpec(labels="points", points=path), LEGEND)
    assert (found.class_P.tolist(), found.line_P.tolist()) == ([1], [1])
    assert found.notes == (
        "2 of its points have no geometry",
        "1 of its features have a class that is not known and give no label: 'com' (1, nearest 'corn')",
    )
    path = write_vectors(tmp_path / "q.parquet", places[1:], {"class": names[1:]}, GRID.crs)
    with pytest.raises(DataError, match=r"q\.parquet: no point can be used: 2 of its points have no geometry; 1 of its features"):
        read_point_file(LabelSpec(labels="points", points=path), LEGEND)


def test_a_class_of_a_table_that_is_not_known_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("lon,lat,class\n1,2,corn\n\n3,4,maize\n")
    with pytest.raises(DataError, match=r"p\.csv, line 4: class 'maize' is not known; it must be one of background, corn"):
        read_point_file(LabelSpec(labels="points", points=str(tmp_path / "p.csv")), LEGEND)


def test_the_next_step_is_one_that_the_command_has(tmp_path: Path) -> None:
    x, y = GRID.transform[2] + 95, GRID.transform[5] - 95
    polygons = write_vectors(tmp_path / "p.gpkg", [shapely.box(x, y, x + 60, y + 60)], {"class": ["corn"]}, GRID.crs)
    for owner, step in (("map", "give a point in each"), ("store", "field boundaries go with train --fields FILE")):
        with pytest.raises(DataError, match=rf"1 of its 1 features are no points, the first is a Polygon; {step}"):
            read_point_file(LabelSpec(labels="points", points=polygons), LEGEND, owner)
    coded = write_vectors(tmp_path / "q.gpkg", [shapely.Point(x, y)], {"crop:code": ["1"]}, GRID.crs)
    with pytest.raises(DataError, match=r"crop:code has codes that are not the legend's: write a column of classes"):
        read_point_file(LabelSpec(labels="points", points=coded), LEGEND)
