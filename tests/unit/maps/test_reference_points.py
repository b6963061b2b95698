"""Reference points: read from tables and layers in any CRS, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import shapely

from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.maps.class_map import FinishedMap, open_map
from cropcam.pipeline.maps.reference_points import read_reference
from support.maps import write_map
from support.memory_source import LEGEND
from support.vectors import write_vectors

CLASSES = np.random.default_rng(0).integers(0, len(LEGEND), (40, 30)).astype(np.uint8)
CLASSES[:5] = 255
PLACES = [(7, 3), (20, 11), (39, 29)]
NAMES = ["corn", "soybean", "background"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> FinishedMap:
    return open_map(write_map(tmp_path_factory.mktemp("map") / "map.tif", CLASSES))


def xy(made: FinishedMap, places: Sequence[tuple[int, int]]) -> list[tuple[float, float]]:
    x, y = made.grid.centres()
    return [(float(x[col]), float(y[row])) for row, col in places]


def table(
    folder: Path, made: FinishedMap, lines: Sequence[str], header: str = "x,y,class", places: Sequence[tuple[int, int]] = PLACES
) -> Path:
    text = [header, *(f"{x},{y},{line}" for (x, y), line in zip(xy(made, places), lines, strict=True))]
    (folder / "p.csv").write_text("\n".join(text), "utf-8")
    return folder / "p.csv"


def test_tables_and_layers_in_any_crs_give_the_same(tmp_path: Path, made: FinishedMap) -> None:
    plain = read_reference(table(tmp_path, made, NAMES), made)
    assert list(zip(plain.row_P.tolist(), plain.col_P.tolist(), strict=True)) == PLACES
    assert plain.mapped_P.tolist() == [CLASSES[place] for place in PLACES]
    assert plain.truth_P.tolist() == [LEGEND.names.index(name) for name in NAMES]
    assert (plain.is_sample, plain.digest, plain.notes) == (False, "", ())
    points = [shapely.Point(each) for each in xy(made, PLACES)]
    for to_crs, name in (("EPSG:5070", "a.gpkg"), ("EPSG:4326", "b.geojson")):
        found = read_reference(Path(write_vectors(tmp_path / name, points, {"class": NAMES}, made.grid.crs, to_crs)), made)
        assert (found.row_P.tolist(), found.truth_P.tolist()) == (plain.row_P.tolist(), plain.truth_P.tolist())
    lon, lat = transform_points(made.grid.crs, "EPSG:4326", *np.array(xy(made, PLACES)).T)
    lines = [f"{a:.9f},{b:.9f},{name}" for a, b, name in zip(lon, lat, NAMES, strict=True)]
    (tmp_path / "d.csv").write_text("\n".join(["lon,lat,class", *lines]), "utf-8")
    assert read_reference(tmp_path / "d.csv", made).row_P.tolist() == plain.row_P.tolist()


def test_the_class_stands_in_the_column_that_is_named_or_has_a_known_name(tmp_path: Path, made: FinishedMap) -> None:
    expected = [LEGEND.names.index(name) for name in NAMES]
    path = table(tmp_path, made, [f"corn,{name}" for name in NAMES], "x,y,class,seen")
    assert read_reference(path, made, "seen").truth_P.tolist() == expected
    points = [shapely.Point(each) for each in xy(made, PLACES)]
    layer = write_vectors(tmp_path / "a.parquet", points, {"crop:name_en": NAMES, "seen": ["corn"] * 3}, made.grid.crs)
    assert read_reference(Path(layer), made).truth_P.tolist() == expected
    assert read_reference(Path(layer), made, "seen").truth_P.tolist() == [LEGEND.names.index("corn")] * 3
    with pytest.raises(DataError, match=r"p\.csv, line 1: no column crop among x, y, class, seen"):
        read_reference(path, made, "crop")


def test_a_sample_has_strata_probabilities_and_a_digest(tmp_path: Path, made: FinishedMap) -> None:
    header = "x,y,class,stratum,inclusion_probability,map_sha256"
    found = read_reference(table(tmp_path, made, [f"{name},s{i},0.{i + 1},abc" for i, name in enumerate(NAMES)], header), made)
    assert (found.is_sample, found.digest) == (True, "abc")
    assert (found.stratum_P.tolist(), found.probability_P.tolist()) == (["s0", "s1", "s2"], [0.1, 0.2, 0.3])
    some = read_reference(table(tmp_path, made, ["corn,s,0.1,", "corn,s,,", "corn,,0.1,"], header), made)
    assert not some.is_sample


def test_points_that_are_not_on_mapped_pixels_are_counted_but_a_sample_is_refused(tmp_path: Path, made: FinishedMap) -> None:
    places = [(7, 3), (0, 0)]
    found = read_reference(table(tmp_path, made, ["corn"] * 2, places=places), made)
    assert (len(found.row_P), found.notes) == (1, ("1 of its 2 points lie where the map is nodata",))
    sample = table(tmp_path, made, ["corn,a,0.1"] * 2, "x,y,class,stratum,inclusion_probability", places)
    with pytest.raises(DataError, match=r"1 of its 2 points lie where the map is nodata, but a sample is drawn from the mapped pixels"):
        read_reference(sample, made)
    (tmp_path / "away.csv").write_text("lon,lat,class\n1,2,corn\n", "utf-8")
    with pytest.raises(DataError, match=r"1 of its 1 points lie outside the map, none is left; .* check the points' CRS"):
        read_reference(tmp_path / "away.csv", made)


@pytest.mark.parametrize(
    ("lines", "header", "message"),
    [
        (["corn", "", "corn"], "x,y,class", r"1 of its 3 points have no class yet; fill in the column class"),
        (["corn", "corm", "corn"], "x,y,class", r"p\.csv, line 3: class 'corm' is not known; it must be one of background, corn"),
        (["corn"] * 3, "x,y,crop", r"p\.csv, line 1: no column class among x, y, crop"),
        (["corn"] * 3, "easting,northing,class", r"line 1: no column lon and lat \(or x and y\) among"),
        (["corn"] * 3, "lon,lat,class", r"line 2: lon is .*; it must be degrees between"),
        (["corn,0.1", "corn,2", "corn,1"], "x,y,class,inclusion_probability", r"line 3: inclusion_probability is '2'; it must be above 0"),
        (["corn,a", "corn,b", "corn,a"], "x,y,class,map_sha256", r"its points were drawn from 2 maps"),
        (["corn,a"] * 3, "x,y,class,class", r"line 1: the column 'class' is there twice; keep one"),
    ],
)
def test_bad_tables_are_refused(tmp_path: Path, made: FinishedMap, lines: list[str], header: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_reference(table(tmp_path, made, lines, header), made)


def test_doubled_points_other_shapes_and_absent_files_are_refused(tmp_path: Path, made: FinishedMap) -> None:
    with pytest.raises(DataError, match=r"p\.csv, lines 2 and 4: two points in one pixel \(1 such in all\); keep one of each"):
        read_reference(table(tmp_path, made, NAMES, places=[(7, 3), (8, 3), (7, 3)]), made)
    box = write_vectors(tmp_path / "b.gpkg", [shapely.box(*made.grid.bounds_xyxy)], {"class": ["corn"]}, made.grid.crs)
    with pytest.raises(DataError, match=r"1 of its 1 features are no points, the first is a Polygon; give a point in each"):
        read_reference(Path(box), made)
    with pytest.raises(DataError, match=r"absent\.csv: no such file of reference points; draw a sample"):
        read_reference(tmp_path / "absent.csv", made)
    nowhere = write_vectors(tmp_path / "n.parquet", [shapely.Point(1, 2), None], {"class": ["corn", "corn"]}, made.grid.crs)
    with pytest.raises(DataError, match=r"n\.parquet: 1 of its 2 points have no geometry; give each its place"):
        read_reference(Path(nowhere), made)
    (tmp_path / "empty.csv").write_text("x,y,class\n", "utf-8")
    with pytest.raises(DataError, match=r"empty\.csv: holds no point"):
        read_reference(tmp_path / "empty.csv", made)
