"""Notes about images of another area or season than the training data."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from cropcam.model.runs.config import RunConfig, StorePart
from cropcam.model.transfer.domain import Place, image_seasons, share_outside
from cropcam.pipeline.crs import transform_bounds
from cropcam.pipeline.encoding import BandEncoding
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.rasters.export_shards import open_image_shards
from cropcam.pipeline.store.patch_store import open_store
from cropcam.pipeline.study.study import load_study, parse_study
from support.map_runs import BANDS, ENCODING, info_of, make_config, with_attrs
from support.stores import make_store, make_study


@dataclass(frozen=True)
class Source:
    """A raster without pixels."""

    grid: PixelGrid
    names: tuple[str, ...] = ("image.tif",)
    bands: tuple[str, ...] = BANDS
    encoding: BandEncoding = ENCODING

    def read(self, _: Any) -> Any:
        raise AssertionError("the note needs no pixel")


def note_of(config: RunConfig, source: Source) -> str:
    return Place.of(config, source).note()


@pytest.fixture(scope="module")
def config() -> RunConfig:
    return with_attrs(make_config(), info_of(load_study("demo")))


def moved(grid: PixelGrid, cols: int, rows: int = 0) -> PixelGrid:
    a, b, c, d, e, f = grid.transform
    return replace(grid, transform=(a, b, c + a * cols, d, e, f + e * rows))


def test_the_training_area_itself_has_no_note(config: RunConfig) -> None:
    assert note_of(config, Source(load_study("demo").grid)) == ""


def test_an_image_partly_outside_has_its_share_in_one_line(config: RunConfig) -> None:
    grid = load_study("demo").grid
    note = note_of(config, Source(moved(grid, grid.width // 4)))
    assert note.startswith("note: 25% of the image lies outside the area of the run's training data;")
    assert "\n" not in note
    assert "100% of the image" in note_of(config, Source(moved(grid, 0, 3 * grid.height)))


def test_the_share_outside_is_that_of_pixels() -> None:
    area = PixelGrid("EPSG:32616", (30.0, 0.0, 500_010.0, 0.0, -30.0, 4_500_000.0), 160, 320)
    image = moved(area, 40, 80)
    row, col = area.index(*(values.ravel() for values in np.meshgrid(*image.centres())))
    assert share_outside(image, area) == pytest.approx(((row < 0) | (col < 0)).mean())
    assert share_outside(replace(area, width=80, height=10), area) == 0


def test_an_image_in_another_crs_is_at_the_same_place() -> None:
    area = PixelGrid("EPSG:32616", (30.0, 0.0, 500_010.0, 0.0, -30.0, 4_500_000.0), 400, 400)
    west, _, east, north = transform_bounds(area.crs, "EPSG:4326", area.bounds_xyxy)
    pixel = (east - west) / 400
    inner = PixelGrid("EPSG:4326", (pixel, 0.0, west + 100 * pixel, 0.0, -pixel, north - 100 * pixel), 100, 100)
    assert share_outside(inner, area) == 0
    assert share_outside(moved(inner, 1000), area) == 1


def test_a_date_outside_the_seasons_is_named(config: RunConfig) -> None:
    ((first, last),) = config.store.attrs["study"]["image"]["seasons"]
    grid = load_study("demo").grid
    names = ("LC08_L2SP_030031_20190131_20190206_02_T1_SR_B4.TIF", "LC08_L2SP_030031_20190131_20190206_02_T1_SR_B5.TIF")
    note = note_of(config, Source(grid, names))
    assert note.startswith(f"note: image date 2019-01-31 is outside the seasons of the training data ({first} to {last});")
    in_season = f"LC08_L2SP_030031_{first.replace('-', '')}_20990101_02_T1_SR_B4.TIF"
    assert note_of(config, Source(grid, (in_season,))) == ""
    after = f"LC08_L2SP_030031_{last.replace('-', '')}_20990101_02_T1_SR_B4.TIF"  # seasons are half-open
    assert f"image date {last} is outside" in note_of(config, Source(grid, (after,)))


def test_seasons_of_an_image_are_days_in_file_names_or_those_of_the_study(tmp_path: Path) -> None:
    far = PixelGrid("EPSG:32616", (30.0, 0.0, 0.0, 0.0, -30.0, 0.0), 10, 10)
    assert image_seasons(Source(far, ("LC08_L2SP_030031_20231231_20240106_02_T1_SR_B4.TIF",))) == [("2023-12-31", "2024-01-01")]
    assert image_seasons(Source(far, ("image.tif",))) == []
    study = make_study(12)
    make_store(tmp_path / "patches.zarr", count=4, size_px=12, study=study)
    [(start, end)] = study.image.seasons
    assert image_seasons(open_store(tmp_path / "patches.zarr")) == [(start, end)]


def test_seasons_of_shards_are_those_of_the_study_in_their_tags(tmp_path: Path) -> None:
    study = make_study(12)
    values = study.to_dict()
    values["image"]["seasons"] = [["2019-01-01", "2019-03-01"]]  # of an export of another year
    path, grid, bands = tmp_path / "image.tif", study.grid, study.image.layers
    kind = {"dtype": study.image.encoding.dtype, "count": len(bands), "width": grid.width, "height": grid.height, "nodata": 0}
    with rasterio.open(path, "w", driver="GTiff", crs=grid.crs, transform=rasterio.Affine(*grid.transform), **kind) as file:
        file.descriptions = bands
        file.write(np.full((len(bands), *grid.shape_yx), 9000, kind["dtype"]))
        file.update_tags(STUDY_JSON=json.dumps(values))
    assert image_seasons(open_image_shards(tmp_path, study)) == [("2019-01-01", "2019-03-01")]


def test_a_run_without_store_attributes_has_no_note() -> None:
    far = PixelGrid("EPSG:32616", (30.0, 0.0, 0.0, 0.0, -30.0, 0.0), 10, 10)
    assert note_of(make_config(), Source(far, ("x_20190131_y.tif",))) == ""


def test_a_store_of_other_seasons_is_named(tmp_path: Path, config: RunConfig) -> None:
    study = make_study(12)
    make_store(tmp_path / "same.zarr", count=4, size_px=12, study=study)
    assert Place.of(config, open_store(tmp_path / "same.zarr")).dates == ()
    values = study.to_dict()
    values["image"]["seasons"] = [["2019-01-01", "2019-03-01"]]
    make_store(tmp_path / "winter.zarr", count=4, size_px=12, study=parse_study(values))
    place = Place.of(config, open_store(tmp_path / "winter.zarr"))
    assert place.dates == ("2019-01-01/2019-03-01",)
    assert "image date 2019-01-01 to 2019-03-01 is outside the seasons of the training data" in place.text()


def test_area_and_seasons_are_those_of_all_stores_that_are_trained_on(config: RunConfig) -> None:
    study = load_study("demo")
    grid, values = study.grid, study.to_dict()
    values["image"]["seasons"] = [["2019-01-01", "2019-03-01"]]
    east = replace(info_of(parse_study(values)), transform=moved(grid, grid.width).transform)
    parts = [
        StorePart(name=name, path=name, digest=name, held_out=False, attrs=info.attrs())
        for name, info in (("w", info_of(study)), ("e", east))
    ]
    both = replace(config, stores=tuple(parts))
    image = Source(moved(grid, grid.width // 2), ("LC08_L2SP_030031_20190131_20190206_02_T1_SR_B4.TIF",))
    assert note_of(both, image) == ""
    assert share_outside(image.grid, grid) == pytest.approx(0.5)
    note = note_of(replace(both, stores=(parts[0], replace(parts[1], held_out=True))), image)
    assert "50% of the image lies outside" in note
    assert "image date 2019-01-31 is outside" in note, "a store held out was not trained on"
