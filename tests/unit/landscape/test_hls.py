"""HLS granules: bands, grid and Fmask of the product, the land and the sky of Landsat and Sentinel-2, swath edges, restart."""

from __future__ import annotations

import datetime
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio

from cropcam.pipeline.grid import PixelGrid, resample_nearest
from cropcam.pipeline.landscape import atmosphere, simulate
from cropcam.pipeline.landscape.hls import COLLECTIONS, LANDSAT, SENTINEL, assets, fmask
from cropcam.pipeline.landscape.sentinel import COLLECTION as SENTINEL_2
from support.sensor_archives import small

LANDSAT_8 = "LANDSAT/LC08/C02/T1_L2"
SEASON = [["2018-07-01", "2018-07-21"]]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hls")
    simulate(small("hls"), folder)
    return folder


def read(folder: Path, band: str) -> np.ndarray:
    with rasterio.open(folder / f"{band}.tif") as file:
        return file.read(1)


def grid(folder: Path, band: str) -> PixelGrid:
    with rasterio.open(folder / f"{band}.tif") as file:
        return PixelGrid(file.crs.to_string(), tuple(file.transform)[:6], file.width, file.height)


def acquired(folder: Path) -> datetime.datetime:
    start_ms = json.loads((folder / "asset.json").read_text())["properties"]["system:time_start"]
    return datetime.datetime.fromtimestamp(start_ms / 1000, datetime.UTC)


def test_granules_have_the_products_bands_and_grid(archive: Path) -> None:
    days = {name: {folder.name[7:15] for folder in (archive / name).iterdir()} for name in COLLECTIONS}
    assert days == {LANDSAT: {"20180707", "20180714"}, SENTINEL: {"20180701", "20180706", "20180711", "20180716"}}
    assert set(COLLECTIONS[LANDSAT]) == {f"B{band}" for band in range(1, 8)}
    assert set(COLLECTIONS[SENTINEL]) == {*(f"B{band}" for band in range(1, 9)), "B8A", "B11", "B12"}
    for name, bands in COLLECTIONS.items():
        assert {folder.name[1:3] for folder in (archive / name).iterdir()} == {"15", "16"}
        for folder in (archive / name).iterdir():
            about = json.loads((folder / "asset.json").read_text())
            assert about["bands"] == [*bands, "Fmask"]
            assert about["properties"]["system:index"] == folder.name == f"{folder.name[:6]}_{acquired(folder):%Y%m%dT%H%M%S}"
            mask = read(folder, "Fmask")
            hidden = mask[mask != 255] & 0b1010 > 0
            assert about["properties"]["CLOUD_COVERAGE"] == pytest.approx(100 * hidden.mean(), abs=0.51)
            for band in bands:
                with rasterio.open(folder / f"{band}.tif") as file:
                    assert (file.res, file.dtypes, file.nodata) == ((30.0, 30.0), ("float32",), -9999)
                    assert file.transform.c % 30 == file.transform.f % 30 == 0
                    values = file.read(1)
                np.testing.assert_array_equal(values == -9999, mask == 255)
                digits = values[mask != 255].astype(float) * 10_000
                np.testing.assert_allclose(digits, np.round(digits), atol=1e-2)  # float32 of whole ten-thousandths
            with rasterio.open(folder / "Fmask.tif") as file:
                assert (file.res, file.dtypes, file.nodata) == ((30.0, 30.0), ("uint8",), 255)
            assert not (mask[mask != 255] & 0b1100_0001).any()


def test_landsat_passes_end_at_the_edge_of_their_swath(archive: Path) -> None:
    shares = {name: [(read(folder, "Fmask") == 255).mean() for folder in (archive / name).iterdir()] for name in COLLECTIONS}
    assert 0.1 < max(shares[LANDSAT]) < 0.9
    assert max(shares[SENTINEL]) == 0


def test_land_and_sky_are_those_of_landsat_and_sentinel_2(archive: Path, tmp_path: Path) -> None:
    simulate(small("landsat-4-9", collections=[LANDSAT_8], seasons=SEASON), tmp_path)
    simulate(small("sentinel-2", seasons=SEASON), tmp_path / "s2")
    compared = set()
    for source, band, ours, scale, offset in (
        (tmp_path / LANDSAT_8, "SR_B5", (LANDSAT, "B5"), 0.0000275, -0.2),
        (tmp_path / "s2" / SENTINEL_2, "B6", (SENTINEL, "B6"), 0.0001, 0.0),
        (tmp_path / "s2" / SENTINEL_2, "B11", (SENTINEL, "B11"), 0.0001, 0.0),
    ):
        for scene in source.iterdir():
            for folder in (archive / ours[0]).iterdir():
                if (
                    abs(acquired(folder) - acquired(scene)) < datetime.timedelta(minutes=5)
                    and grid(folder, ours[1]).crs == grid(scene, band).crs
                ):
                    theirs = resample_nearest(read(scene, band), grid(scene, band), grid(folder, ours[1]), 0)
                    both = (theirs > 0) & (read(folder, ours[1]) > -9999)
                    first, second = theirs[both] * scale + offset, read(folder, ours[1])[both]
                    assert first.mean() == pytest.approx(second.mean(), abs=0.004)
                    assert np.corrcoef(first, second)[0, 1] > 0.75
                    compared.add((ours, folder.name))
    assert len(compared) >= 18


def test_bits_of_fmask() -> None:
    weather = atmosphere.sky(datetime.date(2018, 1, 12), 3)._replace(snow_depth=0.9, cirrus=True, cloud_level=0.6)
    x, y = np.meshgrid(np.arange(0, 60_000, 60.0), np.arange(0, 60_000, 60.0))
    over = atmosphere.air(weather, x, y)
    assert over.snow is not None
    water = (x // 3000 % 4 == 0) & (y // 3000 % 4 == 0)
    found = fmask(over, water)
    assert found.dtype == np.uint8
    cloud, adjacent, shadow, snow, wet = (found >> bit & 1 == 1 for bit in range(1, 6))
    np.testing.assert_array_equal(cloud, over.is_cloud | over.is_cirrus)
    np.testing.assert_array_equal(shadow, over.is_shadow)
    for flag in (cloud, adjacent, shadow, snow, wet):
        assert 0 < flag.mean() < 1
    assert not (adjacent & (cloud | shadow)).any()
    assert not (snow & (cloud | wet)).any()
    assert not (wet & ~water).any()
    clear = ~(cloud | adjacent | shadow)
    assert over.cloud[clear].max() < over.cloud[adjacent].max()
    assert over.shadow[clear].max() == 0


def test_a_study_of_one_collection_has_no_other() -> None:
    for name, other in ((LANDSAT, SENTINEL), (SENTINEL, LANDSAT)):
        alone = assets(small("hls", collections=[name]))
        assert alone == [asset for asset in assets(small("hls")) if not asset.startswith(other)]


def test_landsat_9_passes_since_its_launch() -> None:
    days = {
        year: {asset[-15:-7] for asset in assets(small("hls", collections=[LANDSAT], seasons=[[f"{year}-07-01", f"{year}-08-02"]]))}
        for year in (2021, 2022)
    }
    assert (len(days[2021]), len(days[2022])) == (4, 8)


def test_a_run_goes_on_where_it_stopped_with_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    shutil.copytree(archive, tmp_path / "again")
    lost = sorted((tmp_path / "again" / LANDSAT).iterdir())[0]
    before = {file.name: file.read_bytes() for file in lost.iterdir()}
    shutil.rmtree(lost)
    summary = simulate(small("hls"), tmp_path / "again")
    assert (summary.written, summary.written + summary.existing) == (1, len(summary.assets))
    assert {file.name: file.read_bytes() for file in lost.iterdir()} == before


def test_the_size_of_blocks_changes_no_pixel(archive: Path, tmp_path: Path) -> None:
    simulate(small("hls"), tmp_path, block_px=50)
    for path in sorted(archive.rglob("*.tif")):
        again = tmp_path / path.relative_to(archive)
        np.testing.assert_array_equal(read(again.parent, path.stem), read(path.parent, path.stem))
