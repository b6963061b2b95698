"""One asset on disk: complete or absent, tiled, read back before it appears."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio

from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.landscape.assets import asset_folder, create, finish, is_complete, label_asset, label_year, raster_window
from cropcam.pipeline.study.study import load_study, parse_study
from support.rasters import UTM


def write_bands(folder: Path, grid: PixelGrid, *bands: str) -> None:
    for band in bands:
        with create(folder, band, grid, "uint16", 0) as file:
            file.write(np.full((1, *UTM.shape_yx), 9, np.uint16)[:, : grid.height, : grid.width])


def test_an_asset_is_complete_when_its_description_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "LC08"
    assert not is_complete(folder)
    folder.mkdir()
    with pytest.raises(DataError, match=r"LC08: is there but holds no asset\.json"):
        is_complete(folder)
    (folder / "asset.json").touch()
    assert is_complete(folder)


def test_a_finished_asset_has_its_bands_and_its_description(tmp_path: Path) -> None:
    final = tmp_path / "LC08"
    with asset_folder(final) as folder:
        assert folder.parent == tmp_path
        write_bands(folder, UTM, "SR_B1", "QA_PIXEL")
        assert not final.exists()
        finish(folder, final, {"SR_B1": UTM, "QA_PIXEL": UTM}, {"CLOUD_COVER": 1.5}, {"seed": 3})
    assert [path.name for path in tmp_path.iterdir()] == ["LC08"]
    found = json.loads((final / "asset.json").read_text("utf-8"))
    assert found == {"bands": ["SR_B1", "QA_PIXEL"], "properties": {"CLOUD_COVER": 1.5}, "made_by": {"seed": 3}}
    with rasterio.open(final / "SR_B1.tif") as file:
        assert (file.shape, file.dtypes, file.nodata, file.crs.to_string()) == (UTM.shape_yx, ("uint16",), 0, UTM.crs)
        assert tuple(file.transform)[:6] == UTM.transform
        assert file.profile["tiled"]
        assert (file.read(1) == 9).all()


def test_an_interrupted_asset_leaves_no_folder_and_takes_none_over(tmp_path: Path) -> None:
    def interrupted() -> None:
        with asset_folder(tmp_path / "LC08") as folder:
            assert list(folder.iterdir()) == []
            (folder / "left-over.tif").touch()
            raise KeyboardInterrupt

    earlier = tmp_path / ".LC08.partial"
    earlier.mkdir()
    (earlier / "of-a-killed-run.tif").touch()
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_a_band_of_another_size_is_no_asset(tmp_path: Path) -> None:
    final = tmp_path / "LC08"
    with asset_folder(final) as folder:
        write_bands(folder, UTM.window(Window(0, 0, 40, 50)), "SR_B1")
        with pytest.raises(OSError, match=r"\(40, 50\) px against \(90, 120\)"):
            finish(folder, final, {"SR_B1": UTM}, {}, {})
    assert list(tmp_path.iterdir()) == []


def test_a_window_keeps_its_place_in_the_notation_of_rasterio() -> None:
    assert raster_window(Window(3, 5, 7, 11)).toslices() == Window(3, 5, 7, 11).slices


def test_labels_of_cdl_and_worldcover_are_simulated() -> None:
    values = load_study("demo").to_dict()
    assert label_year(label_asset(parse_study(values))) == 2016
    cover = {**values, "labels": {"asset": "ESA/WorldCover/v200/2021", "legend": "worldcover"}, "classes": {"crop": ["cropland"]}}
    assert label_year(label_asset(parse_study(cover))) == 2021
    other = {**values, "labels": {"asset": "USGS/NLCD/2021", "legend": "nlcd"}, "classes": {"crop": [82]}}
    with pytest.raises(ConfigError, match=r"has labels of .*; simulate draws those of cdl and worldcover"):
        label_asset(parse_study(other))
    with pytest.raises(ConfigError, match="must end in a year"):
        label_year("ESA/WorldCover/v200")
    del values["labels"]
    assert (label_asset(parse_study(values)), label_year("")) == ("", 0)
