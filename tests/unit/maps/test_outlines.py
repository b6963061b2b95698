"""The outlines of maps as files, read back by geopandas."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import rasterio.features
import shapely

from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.maps import class_map, outlines
from cropcam.pipeline.maps.areas import measure
from cropcam.pipeline.maps.class_map import open_map
from cropcam.pipeline.maps.outlines import check_polygons, observed, write_polygons
from support.maps import retag, write_map, write_probabilities
from support.memory_source import LEGEND, make_grid
from support.outlines import spiral

RNG = np.random.default_rng(0)
CLASSES = np.kron(RNG.integers(0, 5, (15, 12)), np.ones((8, 10))).astype(np.uint8)
CLASSES[RNG.random(CLASSES.shape) < 0.1] = 4
CLASSES[40:61, 30:51] = spiral(21)
CLASSES[90:, 100:] = 255
OWN = RNG.integers(51, 251, CLASSES.shape).astype(np.uint8)
DEGREES = PixelGrid("EPSG:4326", (0.003, 0.0, -96.0, 0.0, -0.003, 44.0), 120, 120)


def read(path: Path) -> geopandas.GeoDataFrame:
    return geopandas.read_parquet(path) if path.suffix == ".parquet" else geopandas.read_file(path, layer="polygons")


@pytest.mark.parametrize("suffix", [".parquet", ".gpkg"])
@pytest.mark.parametrize("grid", [make_grid(120, 120), DEGREES], ids=["UTM", "degrees"])
def test_polygons_are_the_map(tmp_path: Path, grid: PixelGrid, suffix: str) -> None:
    path = write_map(tmp_path / "map.tif", CLASSES, grid=grid)
    summary = write_polygons(path, tmp_path / f"p{suffix}", probabilities=write_probabilities(tmp_path / "q.tif", CLASSES, OWN, grid=grid))
    frame = read(summary.path)
    assert frame.crs == grid.crs
    assert frame["class"].value_counts().to_dict() == {name: count for name, count in summary.polygons.items() if count}
    assert frame["id"].is_unique
    assert frame.geometry.is_valid.all()
    assert shapely.coverage_is_valid(frame.geometry.to_numpy())
    assert summary.vertices == shapely.get_num_coordinates(frame.geometry.to_numpy()).sum() - sum(
        1 + shapely.get_num_interior_rings(frame.geometry.to_numpy())
    )
    pairs = zip(frame.geometry, frame["class_index"], strict=True)
    back_YX = rasterio.features.rasterize(pairs, CLASSES.shape, fill=255, transform=rasterio.Affine(*grid.transform), dtype="uint8")
    np.testing.assert_array_equal(back_YX, CLASSES)
    by_class = frame.groupby("class_index")
    whole = measure(open_map(path)).whole
    np.testing.assert_allclose(by_class["hectares"].sum(), whole.hectares_K[:5], rtol=1e-9)
    np.testing.assert_allclose(frame["metrics:area"], frame["hectares"] * 10_000, rtol=1e-6)
    np.testing.assert_array_equal(by_class["pixels"].sum(), whole.pixels_K[:5])
    expected = [OWN[index == CLASSES].mean() / 250 for index in range(5)]
    np.testing.assert_allclose(by_class.apply(lambda some: np.average(some["mean_probability"], weights=some["pixels"])), expected)
    first_P = frame["id"].astype(int)
    np.testing.assert_array_equal(CLASSES.flat[first_P], frame["class_index"])
    assert frame["class_codes"].fillna("").tolist() == [["", "1", "5", "63", "37"][index] for index in frame["class_index"]]
    assert set(frame["determination:method"]) == {"auto-imagery"}
    assert frame["determination:datetime"].isna().all()


def test_a_foreign_file_is_replaced_where_that_is_asked(tmp_path: Path) -> None:
    path, out = write_map(tmp_path / "map.tif", CLASSES, grid=DEGREES), tmp_path / "p.parquet"
    out.write_text("notes", "utf-8")
    with pytest.raises(DataError, match="is there already and holds no polygons"):
        write_polygons(path, out)
    assert len(read(write_polygons(path, out, overwrite=True).path))


def test_the_blocks_and_a_second_run_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_map(tmp_path / "map.tif", CLASSES)
    for simplify_m in (0.0, 70.0):
        first = write_polygons(path, tmp_path / "first.parquet", simplify_m=simplify_m)
        again = write_polygons(path, tmp_path / "again.parquet", simplify_m=simplify_m)
        assert first.path.read_bytes() == again.path.read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr(class_map, "BLOCK_PX", 32)
            small = write_polygons(path, tmp_path / "small.parquet", simplify_m=simplify_m)
        one, other = (read(each.path).drop(columns=["bbox"], errors="ignore") for each in (first, small))
        areas = ["hectares", "metrics:area"]
        pd.testing.assert_frame_equal(pd.DataFrame(one.drop(columns=areas)), pd.DataFrame(other.drop(columns=areas)))
        np.testing.assert_allclose(one[areas], other[areas], rtol=1e-6)


@pytest.mark.parametrize("suffix", [".parquet", ".gpkg"])
def test_no_clock_is_in_a_file(tmp_path: Path, suffix: str) -> None:
    path = write_map(tmp_path / "map.tif", spiral(30))
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_polygons(path, tmp_path / name / f"o{suffix}")
    assert (tmp_path / "one" / f"o{suffix}").read_bytes() == (tmp_path / "two" / f"o{suffix}").read_bytes()


def test_simplified_polygons_keep_their_borders(tmp_path: Path) -> None:
    path = write_map(tmp_path / "map.tif", CLASSES)
    exact, frame = (read(write_polygons(path, tmp_path / f"p{m}.parquet", simplify_m=m).path) for m in (0, 45))
    assert shapely.coverage_is_valid(frame.geometry.to_numpy())
    assert frame["id"].tolist() == exact["id"].tolist()
    assert frame["pixels"].tolist() == exact["pixels"].tolist()
    assert shapely.get_num_coordinates(frame.geometry.to_numpy()).sum() < 0.8 * shapely.get_num_coordinates(exact.geometry.to_numpy()).sum()
    np.testing.assert_allclose(frame["hectares"], frame.area * exact["hectares"] / exact.area, rtol=1e-9)
    assert frame["hectares"].sum() == pytest.approx(exact["hectares"].sum(), rel=0.02)


def test_the_collection_names_schemas_and_what_made_the_map(tmp_path: Path) -> None:
    path = retag(write_map(tmp_path / "map.tif", CLASSES), seasons="2016-05-01/2016-06-01 2016-08-01/2016-09-01", model="fcn")
    out = write_polygons(path, tmp_path / "p.parquet", simplify_m=30).path
    found = json.loads(pq.read_metadata(out).metadata[b"collection"])
    assert found["schemas"] == {
        "map": ["https://vecorel.org/specification/v0.1.0/schema.yaml", "https://fiboa.org/specification/v0.3.0/schema.yaml"]
    }
    assert (found["collection"], found["cropcam:model"], found["cropcam:study"]) == ("map", "fcn", "made-up")
    assert found["determination:details"] == "outlines of the classes in map.tif, cropcam 0, simplified to 30 m"
    assert set(read(out)["determination:datetime"].astype(str)) == {"2016-08-31 23:59:59+00:00"}


def test_dates_that_are_not_known() -> None:
    assert observed({}) is None
    assert observed({"seasons": "summer"}) is None
    assert observed({"seasons": "2016-05-01/soon"}) is None


def test_areas_beyond_fiboa_are_left_out_of_its_column(tmp_path: Path) -> None:
    grid = PixelGrid("EPSG:32616", (20_000.0, 0.0, 300_000.0, 0.0, -20_000.0, 4_500_000.0), 3, 3)
    path = write_map(tmp_path / "map.tif", np.array([[0, 0, 0], [0, 1, 0], [2, 2, 2]], np.uint8), grid=grid)
    frame = read(write_polygons(path, tmp_path / "p.parquet").path).set_index("class")
    assert frame["metrics:area"].isna().to_dict() == {"background": True, "corn": False, "soybean": True}
    assert (frame["hectares"] > 39_000).all()


def test_refusals_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError,
        match=r"--polygons .*p\.shp: does not fit the kind of the file \(polygons\); end the name in \.parquet, \.geoparquet or \.gpkg",
    ):
        check_polygons(tmp_path / "p.shp")
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match=r"--simplify (-1|nan|inf): it is a length in metres, 0 or more"):
            check_polygons(tmp_path / "p.gpkg", simplify_m=wrong)
    with pytest.raises(DataError, match=r"--polygons .*p\.gpkg: is an input of this command"):
        check_polygons(tmp_path / "p.gpkg", inputs=(tmp_path / "x" / ".." / "p.gpkg",))
    (tmp_path / "folder.gpkg").mkdir()
    with pytest.raises(DataError, match=r"folder\.gpkg: is a folder; give the file name of the polygons, for example"):
        check_polygons(tmp_path / "folder.gpkg")
    fields = geopandas.GeoDataFrame({"crop": ["corn"]}, geometry=[shapely.box(0, 0, 1, 1)], crs="EPSG:4326")
    for name in ("fields.gpkg", "fields.parquet"):
        fields.to_parquet(tmp_path / name) if name.endswith("parquet") else fields.to_file(tmp_path / name)
        before = (tmp_path / name).read_bytes()
        with pytest.raises(DataError, match=r"fields\.\w+: is there already and holds no polygons that cropcam wrote; choose another name"):
            write_polygons(write_map(tmp_path / "map.tif", CLASSES[:9]), tmp_path / name)
        assert (tmp_path / name).read_bytes() == before


def test_a_failure_leaves_the_old_polygons_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "p.parquet"
    path = write_map(tmp_path / "map.tif", CLASSES)
    before = write_polygons(path, out).path.read_bytes()
    nothing = write_map(tmp_path / "nothing.tif", np.full((4, 5), 255, np.uint8))
    with pytest.raises(DataError, match=r"nothing\.tif: all of its 20 pixels are nodata; there is nothing to outline"):
        write_polygons(nothing, out)
    with pytest.raises(DataError, match=r"none\.tif: no such map"):
        write_polygons(tmp_path / "none.tif", out)
    with monkeypatch.context() as patch:
        patch.setattr(outlines, "MOST_BYTES", 2000)
        with pytest.raises(
            DataError, match=r"map\.tif: its largest polygon, of \w+, takes [\d,]+ bytes, a file holds 2,000 at most; .* --sieve"
        ):
            write_polygons(path, out)
    monkeypatch.setattr(outlines, "pixels_in", lambda _: 1)
    with pytest.raises(DataError, match=r"p\.parquet: what arrived on the disk is not what was written; check the disk"):
        write_polygons(path, out)
    assert out.read_bytes() == before
    assert {each.name for each in tmp_path.iterdir()} == {"map.tif", "map.tif.aux.xml", "nothing.tif", "nothing.tif.aux.xml", "p.parquet"}


def test_what_a_killed_run_left_is_no_obstacle(tmp_path: Path) -> None:
    path = write_map(tmp_path / "map.tif", CLASSES)
    left = tmp_path / ".p.gpkg.partial"
    left.mkdir()
    (left / "p.gpkg").write_text("half")
    (left / "p.gpkg-journal").write_text("half")
    assert sum(write_polygons(path, tmp_path / "p.gpkg").polygons.values()) == len(read(tmp_path / "p.gpkg"))
    assert not left.exists()


def test_progress_is_in_rows(tmp_path: Path) -> None:
    calls: list[tuple[int, int, str]] = []
    write_polygons(write_map(tmp_path / "map.tif", CLASSES), tmp_path / "p.parquet", progress=lambda *call: calls.append(call))
    assert calls[0] == (0, 120, "")
    assert calls[-1][:2] == (120, 120)
    assert calls[-1][2].endswith(" polygons")
    assert LEGEND.names[0] == "background"
