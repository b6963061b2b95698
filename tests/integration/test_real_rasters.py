"""Real Landsat and CDL rasters, where a folder of them is at hand (CROPCAM_DATA); skipped otherwise. Nothing is copied."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.warp import transform_bounds

from cropcam.cli import main
from cropcam.model.labels.areas import area_labels
from cropcam.model.labels.fields import read_fields
from cropcam.model.labels.weak_labels import LabelSpec
from cropcam.pipeline.encoding import BandEncoding
from cropcam.pipeline.grid import CDL_ORIGIN_XY, PatchGrid, PixelGrid, Window
from cropcam.pipeline.patches.build import from_shards
from cropcam.pipeline.rasters.export_shards import open_shards, place_on
from cropcam.pipeline.rasters.label_mosaic import open_labels
from cropcam.pipeline.rasters.raster import open_raster
from cropcam.pipeline.sensor import packaged
from cropcam.pipeline.store.patch_store import open_store
from cropcam.pipeline.study.study import load_study, parse_study
from support.rasters import open_image, random_dn, write_raster

DATA = Path(os.environ.get("CROPCAM_DATA", Path(__file__).parents[3] / "shared" / "data"))
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no real rasters in {DATA.name}; set CROPCAM_DATA to a folder of them")
ILLINOIS, DAKOTA, KANSAS = DATA / "illinois-2023", DATA / "dakota-2015", DATA / "kansas-cdl-2021"


def grid_of(path: Path) -> PixelGrid:
    with rasterio.open(path) as file:
        return PixelGrid(file.crs.to_string(), tuple(file.transform)[:6], file.width, file.height)


def test_four_cdl_shards_rebuild_the_whole_raster() -> None:
    whole = KANSAS / "2021_30m_cdls.tif"
    grid = grid_of(whole)
    assert [(grid.transform[i] - CDL_ORIGIN_XY[n]) % 30 for n, i in enumerate((2, 5))] == [0, 0]
    parts = [path for path in sorted(KANSAS.glob("2021_30m_cdls*.tif")) if path != whole]
    assert len(parts) == 4
    found = open_labels(parts, grid).read(Window(0, 0, *grid.shape_yx))
    with rasterio.open(whole) as file:
        np.testing.assert_array_equal(found, file.read(1))


def bounds_of(grid: PixelGrid) -> list[float]:
    """Degrees whose box on `grid`'s CRS ends in its outermost pixels: the study that asks for them has exactly this grid."""
    left, bottom, right, top = grid.bounds_xyxy
    wanted = np.array([left, bottom, right, top]) + np.array([15.0, 15.0, -15.0, -15.0])
    bounds = np.array(transform_bounds(grid.crs, "EPSG:4326", left, bottom, right, top))
    for _ in range(30):
        bounds += (wanted - np.array(transform_bounds("EPSG:4326", grid.crs, *bounds, densify_pts=101))) / 100_000
    return [float(value) for value in bounds]


def test_a_store_cut_from_four_cdl_shards_rebuilds_the_whole_raster(tmp_path: Path) -> None:
    whole = KANSAS / "2021_30m_cdls.tif"
    grid = grid_of(whole)
    values = load_study("corn-belt-2016-albers").to_dict()
    values["area"] |= {"bounds": bounds_of(grid)}
    values["image"] |= {"bands": ["SR_B4", "SR_B5"], "seasons": [["2021-01-01", "2022-01-01"]]}
    values["labels"] |= {"asset": "USDA/NASS/CDL/2021"}
    values["patches"] |= {"valid_min_share": 1e-6}
    study = parse_study(values)
    assert study.grid.shape_yx == grid.shape_yx
    np.testing.assert_allclose(study.grid.transform, grid.transform, atol=1e-6)
    dn = random_dn((2, *grid.shape_yx))
    for number, path in enumerate(path for path in sorted(KANSAS.glob("2021_30m_cdls*.tif")) if path != whole):
        place = place_on(grid, open_raster(path, labels=True))
        (tmp_path / f"kansas-labels-{place.row:010d}-{place.col:010d}.tif").symlink_to(path.resolve())
        write_raster(
            tmp_path / f"kansas-image-{number}.tif", dn[:, *place.slices], grid.window(place), tiled=True, blockxsize=128, blockysize=128
        )
    with rasterio.open(whole) as file:
        codes = file.read(1)
    source, labels = open_shards(tmp_path, study)
    everything = Window(0, 0, *grid.shape_yx)
    np.testing.assert_array_equal(source.read(everything), dn)
    np.testing.assert_array_equal(labels.read(everything), codes)
    from_shards(study, tmp_path, tmp_path / "kansas.zarr")
    store = open_store(tmp_path / "kansas.zarr")
    assert len(store) == store.info.patch_grid.count
    np.testing.assert_array_equal(store.read_labels(everything), codes)
    np.testing.assert_array_equal(store.read(everything), dn)


def test_illinois_the_whole_way(tmp_path: Path) -> None:
    images = [str(path) for path in sorted(ILLINOIS.glob("LC08*_SR_B?.TIF"))]
    labels, store, run = str(ILLINOIS / "2023_30m_cdls.tif"), tmp_path / "illinois.zarr", tmp_path / "run"
    assert main(["patches", "corn-belt-2016", "--image", *images, "--labels", labels, "--store", str(store)]) == 0
    built = open_store(store)
    assert len(built) == 337  # complete patches, as counted by the folder's README
    assert built.info.dropped == {"image": 7, "label": 56, "gap": 0}
    assert main(["train", str(store), "--run", str(run), "--epochs", "2", "--device", "cpu"]) == 0
    assert main(["evaluate", str(run), "--device", "cpu"]) == 0
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["classification"]["majority_accuracy"] > 0.85  # any-pixel labels: guessing already looks good
    assert main(["map", str(run), "--image", *images, "--out", str(tmp_path / "map.tif"), "--device", "cpu"]) == 0
    with rasterio.open(tmp_path / "map.tif") as file, rasterio.open(images[0]) as band:
        assert file.transform == band.transform
        assert ((file.read(1) == 255) >= (band.read(1) == 0)).all()
    assert main(["report", str(run)]) == 0


def test_dakota_reflectance_keeps_its_type_and_its_gaps() -> None:
    path = DAKOTA / "landsat8_sr_20150902.tif"
    window = Window(300, 900, 400, 600)
    source = open_image([path], packaged("landsat").default_bands)
    found = source.read(window)
    with rasterio.open(path) as file:
        raw = file.read(window=rasterio.windows.Window(window.col, window.row, window.width, window.height))
    assert (raw == -9999).any()
    np.testing.assert_array_equal(found, raw)
    assert source.encoding == BandEncoding.uniform("int16", 7, 0.0001, 0.0, -9999.0)
    np.testing.assert_allclose(source.encoding.physical(found), np.where(raw == -9999, np.nan, raw * 1e-4), rtol=1e-6)


def test_county_statistics_of_2016_are_labels_of_proportions() -> None:
    """285 counties of the poster's region, their areas by CDL code in a CSV, joined to coarse outlines by FIPS."""
    legend, grid = load_study("corn-belt-2016").legend, load_study("corn-belt-2016").patch_grid
    place_N2 = np.stack(np.meshgrid(np.arange(grid.rows), np.arange(grid.columns), indexing="ij"), -1).reshape(-1, 2).astype(np.int32)
    folder = DATA / "counties-2016"
    rule = LabelSpec(labels="shares", areas=str(folder / "counties.geojson"), label_table=str(folder / "cdl_2016_area_m2.csv"))
    labels = area_labels(rule, legend, grid, place_N2)
    assert labels.image_NK is not None
    assert labels.n_unmatched < 0.01 * len(place_N2)
    assert dict(zip(legend.names, np.nanmean(labels.image_NK, axis=0), strict=True)) == pytest.approx(
        {"background": 0.12, "corn": 0.20, "soybean": 0.195, "forest": 0.31, "grassland": 0.175}, abs=0.01
    )
    assert labels.notes == ("columns of cdl_2016_area_m2.csv that are no class and are not used: county_area_m2",)


def test_dutch_parcels_with_a_table_of_their_codes(tmp_path: Path) -> None:
    (tmp_path / "gewas.csv").write_text("gewascode,class\n265,grassland\n266,grassland\n259,corn\n2014,Corn\n")
    grid = PatchGrid(PixelGrid("EPSG:28992", (10.0, 0.0, 60_000.0, 0.0, -10.0, 590_000.0), 20_000, 24_500), 50)
    file = DATA / "fields" / "brpgewaspercelen_definitief_2023.gpkg"
    rule = LabelSpec(labels="pixels", fields=str(file), label_table=str(tmp_path / "gewas.csv"), fields_buffer=5)
    fields = read_fields(rule, load_study("demo").legend, grid)
    assert 20 < len(fields.shape_F) < 60
    assert fields.notes[0].startswith("60 of its features (crops that gewas.csv does not have)")
    assert "'343' (43)" in fields.notes[0]
