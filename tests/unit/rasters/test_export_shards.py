"""Shards of an export: found by name, placed by georeferencing, refused when they do not make up the study's grid."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.rasters.export_shards import check_cover, open_image_shards, open_shards
from cropcam.pipeline.study.study import Study, parse_study
from support.exports import GRID, IMAGE, LABELS, STUDY, export
from support.rasters import random_dn, write_raster

YEAR = STUDY.image.seasons[0][0][:4]


WHOLE = Window(0, 0, *GRID.shape_yx)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=15)
@given(cuts=st.sets(st.integers(1, 120), min_size=1, max_size=3), row=st.integers(0, 60), col=st.integers(0, 60))
def test_any_layout_of_shards_reads_as_one_raster(tmp_path_factory: pytest.TempPathFactory, cuts: set[int], row: int, col: int) -> None:
    folder = tmp_path_factory.mktemp("export")
    export(folder, IMAGE, LABELS, tuple(sorted(cuts)))
    source, labels = open_shards(folder, STUDY)
    window = Window(row, col, 50, 60)
    np.testing.assert_array_equal(source.read(window), IMAGE[:, *window.slices])
    np.testing.assert_array_equal(labels.read(window), LABELS[window.slices])


@pytest.mark.parametrize("prefix", ["image", "demo-image", "my_study-image-r0c1", "IMAGE"])
def test_names_as_earth_engine_writes_them(tmp_path: Path, prefix: str) -> None:
    export(tmp_path, IMAGE, LABELS, (70,), prefix)
    (tmp_path / "notes.tif").write_text("not a shard")
    np.testing.assert_array_equal(open_image_shards(tmp_path, STUDY).read(WHOLE), IMAGE)


def test_a_missing_shard_is_a_hole(tmp_path: Path) -> None:
    export(tmp_path, IMAGE, LABELS, (70,))[1].unlink()
    with pytest.raises(DataError, match=r"pixels lie in no image-0+-0+\.tif or sibling; a shard is missing"):
        open_shards(tmp_path, STUDY)


def test_shards_that_overlap(tmp_path: Path) -> None:
    path = export(tmp_path, IMAGE, LABELS, (70,))[0]
    (tmp_path / "copy-image.tif").write_bytes(path.read_bytes())
    with pytest.raises(DataError, match=r"overlap; keep one of them"):
        open_shards(tmp_path, STUDY)


def moved(dx_px: float = 0, dy_px: float = 0, zoom: float = 1, crs: str = "EPSG:4326") -> PixelGrid:
    """The study's grid, moved or scaled."""
    a, _, c, _, e, f = GRID.transform
    return PixelGrid(crs, (a * zoom, 0, c + a * dx_px, 0, e * zoom, f + e * dy_px), GRID.width, GRID.height)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (moved(dx_px=0.5), r"lies 0\.500 columns and 0\.000 rows from the grid's origin, not whole pixels"),
        (moved(dy_px=3), r"covers rows 3\.\..* not this study's export"),
        (moved(zoom=1.01), "pixels of .* export it again at the study's scale"),
        (moved(crs="EPSG:4269"), "CRS EPSG:4269, the study's grid has EPSG:4326"),
    ],
)
def test_shards_off_the_grid(tmp_path: Path, grid: PixelGrid, message: str) -> None:
    write_raster(tmp_path / "image.tif", IMAGE, grid)
    write_raster(tmp_path / "labels.tif", LABELS, GRID)
    with pytest.raises(DataError, match=message):
        open_shards(tmp_path, STUDY)


def test_other_bands(tmp_path: Path) -> None:
    write_raster(tmp_path / "image.tif", IMAGE[:1], GRID)
    with pytest.raises(DataError, match=r"1 bands, study demo has 2 \(SR_B4, SR_B5\)"):
        open_image_shards(tmp_path, STUDY)
    write_raster(tmp_path / "image.tif", IMAGE, GRID, names=("SR_B6", "SR_B7"))
    with pytest.raises(DataError, match=r"image\.tif: its bands are named SR_B6, SR_B7, the study has SR_B4, SR_B5; export it"):
        open_image_shards(tmp_path, STUDY)
    write_raster(tmp_path / "image.tif", IMAGE, GRID, names=("SR_B4_median", "SR_B5_median"))  # as a reducer names them
    open_image_shards(tmp_path, STUDY)
    write_raster(tmp_path / "image.tif", IMAGE, GRID, names=("SR_B5", "SR_B4"))
    with pytest.raises(DataError, match="bands in the order SR_B5, SR_B4, the study has SR_B4, SR_B5"):
        open_image_shards(tmp_path, STUDY)


@pytest.mark.parametrize("names", [("SR_B4", "SR_B5", "count"), ("1_count", "SR_B4", "2_count", "SR_B5")])
def test_bands_of_counts_are_left_out(tmp_path: Path, names: tuple[str, ...]) -> None:
    values = np.stack(
        [IMAGE[0] if name == "SR_B4" else IMAGE[1] if name == "SR_B5" else np.full(GRID.shape_yx, 3, np.uint16) for name in names]
    )
    write_raster(tmp_path / "image.tif", values, GRID, names=names, nodata=0)
    write_raster(tmp_path / "count.tif", values[:1], GRID, names=("count",))  # of an older export
    source = open_image_shards(tmp_path, STUDY)
    assert source.bands == STUDY.image.bands
    assert source.encoding == STUDY.image.encoding
    np.testing.assert_array_equal(source.read(WHOLE), IMAGE)
    np.testing.assert_array_equal(source.pieces[0][0].read(WHOLE), IMAGE)
    write_raster(tmp_path / "image.tif", values[: len(names) - 1], GRID, names=names[:-1])
    if names[-1] != "count":
        with pytest.raises(DataError, match="1 bands, study demo has 2"):
            open_image_shards(tmp_path, STUDY)


def test_folders_without_shards(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        open_shards(tmp_path / "none", STUDY)
    with pytest.raises(DataError, match="no image shard in it"):
        open_shards(tmp_path, STUDY)
    write_raster(tmp_path / "image.tif", IMAGE, GRID)
    with pytest.raises(DataError, match="no labels shard in it"):
        open_shards(tmp_path, STUDY)


def test_image_shards_of_another_type_are_refused(tmp_path: Path) -> None:
    write_raster(tmp_path / "image.tif", IMAGE.astype(np.float32), GRID)
    with pytest.raises(DataError, match=r"image\.tif: float32; image shards of Landsat Collection 2 Level 2 are uint16: export it again"):
        open_image_shards(tmp_path, STUDY)
    dn = random_dn(IMAGE.shape)
    for values, options in ((dn.astype(np.float64), " --scale 0.0000275 --offset -0.2"), (dn * 0.0000275 - 0.2, "")):
        write_raster(tmp_path / "image.tif", values, GRID)
        with pytest.raises(DataError, match=rf"float64; .*cut it as own raster with --image{options}$"):
            open_image_shards(tmp_path, STUDY)


def test_shards_whose_values_or_names_are_others_are_refused(tmp_path: Path) -> None:
    reflectance = np.random.default_rng(0).integers(200, 5000, IMAGE.shape).astype(np.uint16)
    write_raster(tmp_path / "image.tif", reflectance, GRID)
    with pytest.raises(
        DataError, match=r"the middle of band SR_B4 lies outside .*cut it as own raster, --image with --scale 0\.0001 --offset 0"
    ):
        open_image_shards(tmp_path, STUDY)
    write_raster(tmp_path / "image.tif", random_dn(IMAGE.shape), GRID, names=("nir", "red"))
    with pytest.raises(DataError, match="its bands are named nir, red, another order than the study's"):
        open_image_shards(tmp_path, STUDY)


@pytest.mark.parametrize("kind", ["image", "labels"])
def test_shards_of_different_years(tmp_path: Path, kind: str) -> None:
    export(tmp_path, IMAGE, LABELS, (70,))
    if kind == "labels":
        (tmp_path / "labels.tif").unlink()
        for top, bottom in ((0, 70), (70, GRID.height)):
            write_raster(
                tmp_path / f"labels-{top:010d}-{0:010d}.tif", LABELS[top:bottom], GRID.window(Window(top, 0, bottom - top, GRID.width))
            )
    for number, path in enumerate(sorted(tmp_path.glob(f"{kind}*"))):
        with rasterio.open(path, "r+") as file:
            file.update_tags(year=str(2016 + (number > 0)))
    with pytest.raises(DataError, match=rf"{kind}-.*: year 2017, {kind}-.*tif has 2016: shards of different exports"):
        open_shards(tmp_path, STUDY)
    if kind == "image":  # a map may be of any year, but of one
        with pytest.raises(DataError, match=r"image-.*: year 2017, image-.*tif has 2016: shards of different exports"):
            open_image_shards(tmp_path, STUDY)
        for path in tmp_path.glob("image*"):
            with rasterio.open(path, "r+") as file:
                file.update_tags(year="2017")
        open_image_shards(tmp_path, STUDY)


def test_names_that_carry_years(tmp_path: Path) -> None:
    first, second = export(tmp_path, IMAGE, LABELS, (70,), "corn-2016-image")[::2]
    assert not first.name.startswith(second.name)
    second.rename(tmp_path / second.name.replace("2016", "2017"))
    with pytest.raises(DataError, match=r"corn-2017-image.*: year 2017, corn-2016-image.* has 2016: shards of different exports"):
        open_shards(tmp_path, STUDY)
    for path in tmp_path.glob("corn-*"):
        path.rename(tmp_path / path.name.replace("2016", "2017"))
    with pytest.raises(DataError, match=rf"corn-2017-image.*: its name has 2017, the study's image {YEAR}"):
        open_shards(tmp_path, STUDY)
    for path in tmp_path.glob("corn-*"):
        path.rename(tmp_path / path.name.replace("2017", YEAR))
    (tmp_path / "labels.tif").rename(tmp_path / "cdl-1999-labels.tif")
    with pytest.raises(DataError, match=r"cdl-1999-labels\.tif: its name has 1999, the study's labels "):
        open_shards(tmp_path, STUDY)


@pytest.mark.parametrize(
    ("kind", "section", "changes", "message"),
    [
        ("image", "image", {"seasons": [["2011-01-01", "2012-01-01"]]}, r"image\.tif: a shard of another study \(image\.seasons: .*2011"),
        (
            "labels",
            "labels",
            {"asset": "USDA/NASS/CDL/2011"},
            r"labels\.tif: a shard of another study \(labels\.asset: 'USDA/NASS/CDL/2011' against",
        ),
        ("labels", "image", {"seasons": [["2011-01-01", "2012-01-01"]]}, ""),
        ("image", "image", {"count": True}, ""),
        ("labels", "labels", {"presence_min_share": 0.5}, ""),
        ("image", "classes", {"corn": [1, 2]}, ""),
    ],
)
def test_shards_that_say_what_study_made_them(tmp_path: Path, kind: str, section: str, changes: dict[str, object], message: str) -> None:
    export(tmp_path, IMAGE, LABELS)
    values = STUDY.to_dict()
    values[section] |= changes
    with rasterio.open(tmp_path / f"{kind}.tif", "r+") as file:
        file.update_tags(STUDY_JSON=parse_study(values).model_dump_json())
    if not message:
        open_shards(tmp_path, STUDY)
        return
    with pytest.raises(DataError, match=message):
        open_shards(tmp_path, STUDY)


def test_a_tag_that_holds_no_study(tmp_path: Path) -> None:
    export(tmp_path, IMAGE, LABELS)
    with rasterio.open(tmp_path / "image.tif", "r+") as file:
        file.update_tags(STUDY_JSON="{}")
    with pytest.raises(DataError, match=r"image\.tif: its tag STUDY_JSON holds no study"):
        open_shards(tmp_path, STUDY)


def of_legend(legend: object, **labels: object) -> Study:
    values = STUDY.to_dict()
    return parse_study({**values, "labels": {**values["labels"], "legend": legend, **labels}, "classes": {"corn": [1]}})


def write_labels(folder: Path, study: Study, codes: np.ndarray) -> None:
    export(folder, IMAGE, LABELS, ())
    write_raster(folder / "labels.tif", codes, GRID)
    with rasterio.open(folder / "labels.tif", "r+") as file:
        file.update_tags(STUDY_JSON=json.dumps(study.to_dict()))


def test_label_shards_serve_another_legend_of_the_same_codes(tmp_path: Path) -> None:
    named = {str(code): f"c{code}" for code in np.unique(LABELS) if code}
    first, renamed = of_legend(named), of_legend({**named, "1": "maize", "300": "rice"})
    write_labels(tmp_path, first, LABELS)
    labels = open_shards(tmp_path, renamed)[1]
    assert labels is not None
    found = labels.read(WHOLE)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, LABELS)
    for other in (of_legend({**named, "0": "other"}), of_legend("cdl"), of_legend(named, nodata=[5])):
        with pytest.raises(DataError, match=r"labels\.tif: a shard of another study \(labels\.(legend|nodata): "):
            open_shards(tmp_path, other)


def test_a_study_without_labels_takes_the_image_alone(tmp_path: Path) -> None:
    export(tmp_path, IMAGE, LABELS, (70,))
    values = STUDY.to_dict()
    del values["labels"]
    source, labels = open_shards(tmp_path, parse_study(values))
    assert labels is None
    np.testing.assert_array_equal(source.read(WHOLE), IMAGE)


def test_a_gap_outside_the_region_is_no_missing_shard() -> None:
    grid = GRID
    west, _, _, north = grid.bounds_xyxy
    step = grid.transform[0]
    corner = [[west + step * x, north - step * y] for x, y in ((10, 10), (30, 10), (30, 30), (10, 30), (10, 10))]
    region = json.dumps({"coordinates": [[corner]], "type": "MultiPolygon"})
    left = [(Path("image-a.tif"), Window(0, 0, grid.height, 60))]
    check_cover(grid, left, region)
    with pytest.raises(DataError, match=r"pixels lie in no image-a\.tif or sibling"):
        check_cover(grid, left)
    with pytest.raises(DataError, match=f"{grid.height * 60:,} of .* pixels lie in no image-b.tif"):
        check_cover(grid, [(Path("image-b.tif"), Window(0, 60, grid.height, grid.width - 60))], region)


@pytest.mark.parametrize(
    ("seasons", "year", "is_of_the_study"),
    [
        ([["2016-05-01", "2016-10-01"]], "2016", True),
        ([["2016-05-01", "2016-10-01"]], "2017", False),
        ([["2016-05-01", "2017-01-01"]], "2016", True),  # the end is not part of the season
        ([["2016-05-01", "2017-01-01"]], "2017", False),
        ([["2016-11-01", "2017-02-01"]], "2017", True),
        ([["2016-11-01", "2017-02-01"]], "2018", False),
        ([["2015-04-01", "2015-06-01"], ["2017-04-01", "2017-06-01"]], "2016", True),
        ([["2015-04-01", "2015-06-01"], ["2017-04-01", "2017-06-01"]], "2014", False),
    ],
)
def test_the_year_of_a_shards_name_is_one_of_the_seasons(
    tmp_path: Path, seasons: list[list[str]], year: str, is_of_the_study: bool
) -> None:
    values = STUDY.to_dict()
    values["image"]["seasons"] = seasons
    study = parse_study(values)
    layers = len(study.image.layers) // IMAGE.shape[0]
    write_raster(tmp_path / f"corn-{year}-image-0000000000-0000000000.tif", np.concatenate([IMAGE] * layers), GRID)
    write_raster(tmp_path / "labels.tif", LABELS, GRID)
    if is_of_the_study:
        open_shards(tmp_path, study)
    else:
        with pytest.raises(DataError, match=rf"its name has {year}, the study's image .* take the shards of that year, or rename it"):
            open_shards(tmp_path, study)


@pytest.mark.parametrize("name", ["image.tiff", "a-image-north-0000000000-0000012800.TIF", "2016_image_part.tif"])
def test_other_names_of_one_shard(tmp_path: Path, name: str) -> None:
    write_raster(tmp_path / name, IMAGE, GRID)
    for other in ("images.tif", "image.tif.aux.xml", "myimage.tif", ".image.tif", "image.png", "labels-of-image.txt"):
        (tmp_path / other).write_text("no shard")
    assert open_image_shards(tmp_path, STUDY).read(WHOLE).shape == IMAGE.shape
