"""Own rasters as they are stored: types, files, grids, coarser bands, and every bad file."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cropcam.pipeline.encoding import BandEncoding
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.rasters.mosaic import RasterMosaic
from cropcam.pipeline.rasters.raster import Raster
from support.rasters import ALBERS_ORIGIN, UTM, open_image, random_dn, write_raster

BANDS = ("SR_B1", "SR_B2", "SR_B3")
WHOLE = Window(0, 0, *UTM.shape_yx)
ALBERS = PixelGrid("EPSG:5070", (30.0, 0.0, ALBERS_ORIGIN[0], 0.0, -30.0, ALBERS_ORIGIN[1]), 200, 200)


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32", "float64"])
def test_one_scene_in_every_type_is_one_scene(tmp_path: Path, dtype: str) -> None:
    dn = random_dn((3, *UTM.shape_yx))
    dn[0, :5] = 0
    reflectance = np.where(dn == 0, np.nan, dn * 0.0000275 - 0.2)
    values = {"uint16": dn, "int16": np.where(dn == 0, -9999, np.round(np.nan_to_num(reflectance) * 1e4)).astype(np.int16)}.get(dtype)
    values = reflectance.astype(dtype) if values is None else values
    source = open_image([write_raster(tmp_path / "a.tif", values, UTM)], BANDS)
    assert source.encoding.dtype == source.read(WHOLE).dtype == dtype
    found = source.encoding.physical(source.read(WHOLE))
    np.testing.assert_array_equal(np.isnan(found), dn == 0)
    np.testing.assert_allclose(found, reflectance, atol=5.1e-5 if dtype == "int16" else 1e-6)


@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_files_with_values_of_their_own_lie_beside_each_other(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder, nodata = tmp_path_factory.mktemp("mixed"), [data.draw(st.sampled_from([None, 7.0, -1.0])) for _ in range(3)]
    values = np.random.default_rng(0).integers(-2, 9, (3, *UTM.shape_yx)).astype(np.int16)
    paths = [write_raster(folder / f"{band}.tif", values[i], UTM, nodata=nodata[i]) for i, band in enumerate(BANDS)]
    source = open_image(data.draw(st.permutations(paths)), BANDS)
    assert source.encoding.nodata == tuple(-9999.0 if value is None else value for value in nodata)
    np.testing.assert_array_equal(source.read(WHOLE), values)


def test_pixels_in_no_piece_are_nodata() -> None:
    grid = UTM.window(Window(0, 0, 4, 6))
    encoding = BandEncoding("int16", (1.0, 1.0), (0.0, 0.0), (-5.0, -6.0))
    raster = Raster(Path("none.tif"), grid, ("a", "b"), encoding, (None, None))
    source = RasterMosaic(PixelGrid(grid.crs, grid.transform, 20, 4), ("a", "b"), ((raster, Window(0, 0, 4, 6), slice(0, 2)),))
    np.testing.assert_array_equal(source.read(Window(1, 8, 2, 3)), np.array([-5, -6], np.int16).reshape(2, 1, 1) * np.ones((2, 2, 3), int))


def test_a_band_whose_name_ends_in_anothers(tmp_path: Path) -> None:
    dn = random_dn((2, *UTM.shape_yx))
    paths = [write_raster(tmp_path / f"scene_{name}.tif", dn[i], UTM) for i, name in enumerate(("red", "infra_red"))]
    np.testing.assert_array_equal(open_image(paths[::-1], ("red", "infra_red")).read(WHOLE), dn)


def test_single_band_files_are_put_in_the_studys_order(tmp_path: Path) -> None:
    dn = random_dn((3, *UTM.shape_yx))
    paths = [write_raster(tmp_path / f"LC08_{band}.TIF", dn[i], UTM) for i, band in enumerate(BANDS)]
    np.testing.assert_array_equal(open_image(paths[::-1], BANDS).read(WHOLE), dn)
    plain = [write_raster(tmp_path / f"{name}.tif", dn[i], UTM) for i, name in enumerate("zyx")]
    np.testing.assert_array_equal(open_image(plain, BANDS).read(WHOLE), dn)  # names that say nothing: the order given


def test_multi_band_files_are_put_in_the_studys_order(tmp_path: Path) -> None:
    dn = random_dn((3, *UTM.shape_yx))
    path = write_raster(tmp_path / "a.tif", dn, UTM, names=BANDS[::-1])
    np.testing.assert_array_equal(open_image([path], BANDS).read(WHOLE), dn[::-1])


def test_windows_from_many_threads_agree_with_the_whole(tmp_path: Path) -> None:
    dn = random_dn((3, *UTM.shape_yx))
    source = open_image([write_raster(tmp_path / "a.tif", dn, UTM, tiled=True, blockxsize=16, blockysize=16)], BANDS)
    windows = [Window(row, col, 20, 30) for row in range(0, 70, 7) for col in range(0, 90, 13)]
    with ThreadPoolExecutor(4) as pool:
        for window, found in zip(windows, pool.map(source.read, windows), strict=True):
            np.testing.assert_array_equal(found, dn[:, *window.slices])


def one(values: npt.NDArray[Any] | None = None, grid: PixelGrid = UTM, **profile: Any) -> Callable[[Path], list[Path]]:
    """A maker of one bad file."""
    return lambda folder: [write_raster(folder / "bad.tif", random_dn((3, *grid.shape_yx)) if values is None else values, grid, **profile)]


def two(other: PixelGrid, dtype: str = "uint16") -> Callable[[Path], list[Path]]:
    """A maker of two single-band files, the second on another grid or of another type."""
    return lambda folder: [
        write_raster(folder / "first.tif", random_dn((1, *UTM.shape_yx)), UTM),
        write_raster(folder / "second.tif", random_dn((1, *other.shape_yx)).astype(dtype), other),
    ]


def broken(keep: float) -> Callable[[Path], list[Path]]:
    """A maker of a file that ends early."""

    def make(folder: Path) -> list[Path]:
        path = one()(folder)[0]
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
        return [path]

    return make


@pytest.mark.parametrize("times", [2, 3])
def test_coarser_bands_are_repeated_on_the_finest_grid(tmp_path: Path, times: int) -> None:
    coarse_grid = PixelGrid(UTM.crs, (30.0 * times, 0.0, UTM.transform[2], 0.0, -30.0 * times, UTM.transform[5]), 120 // times, 90 // times)
    fine, coarse = random_dn((1, *UTM.shape_yx), 1), random_dn((1, *coarse_grid.shape_yx), 2)
    paths = [write_raster(tmp_path / "x_SR_B2.tif", coarse, coarse_grid), write_raster(tmp_path / "x_SR_B1.tif", fine, UTM)]
    source = open_image(paths, BANDS[:2])
    assert (source.grid, source.repeated) == (UTM, ("SR_B2",))
    expected = np.stack([fine[0], coarse[0].repeat(times, 0).repeat(times, 1)])
    np.testing.assert_array_equal(source.read(WHOLE), expected)
    for window in (Window(1, 2, 7, 11), Window(31, 44, 5, 1), Window(89, 119, 1, 1)):
        np.testing.assert_array_equal(source.read(window), expected[:, *window.slices])


SHIFTED = PixelGrid(UTM.crs, (30.0, 0.0, UTM.transform[2] + 15, 0.0, -30.0, UTM.transform[5]), UTM.width, UTM.height)
TURNED = PixelGrid(UTM.crs, (30.0, 1.0, UTM.transform[2], 1.0, -30.0, UTM.transform[5]), UTM.width, UTM.height)
SOUTH_UP = PixelGrid(UTM.crs, (30.0, 0.0, UTM.transform[2], 0.0, 30.0, UTM.transform[5]), UTM.width, UTM.height)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: [folder / "none.tif"], r"none\.tif: no such file"),
        (broken(0.0), r"bad\.tif: is empty; fetch the file again"),
        (broken(0.001), r"bad\.tif: is cut short, damaged or still being written"),
        (one(random_dn((2, *UTM.shape_yx))), r"2 bands in 1 file\(s\), the study has 3"),
        (two(PixelGrid(UTM.crs, UTM.transform, 60, 90)), r"second\.tif: 60 x 90 px, first\.tif has 120 x 90"),
        (two(PixelGrid("EPSG:32615", UTM.transform, UTM.width, UTM.height)), r"second\.tif: CRS EPSG:32615, first\.tif has EPSG:32616"),
        (two(SHIFTED), r"second\.tif: grid .* all image files must share one grid"),
        (two(PixelGrid(UTM.crs, (30.0003, *UTM.transform[1:]), UTM.width, UTM.height)), r"second\.tif: grid .* all image files must share"),
        (two(UTM, "float32"), "differ in type|band"),
        (one(grid=TURNED), "is rotated .* gdalwarp -r near bad.tif north-up.tif"),
        (one(grid=SOUTH_UP), "its first pixel is in the south .* gdalwarp -r near -te"),
        (one(crs=None), "has no CRS; fetch the file again if it was cut short, else assign the CRS"),
        (one(np.zeros((3, *UTM.shape_yx), np.uint8)), "values of type uint8 have no agreed meaning; give --scale"),
    ],
)
def test_bad_images(tmp_path: Path, make: Callable[[Path], list[Path]], message: str) -> None:
    bands = BANDS[:2] if "second" in message or "differ" in message else BANDS
    with pytest.raises(DataError, match=message) as caught:
        open_image(make(tmp_path), bands)
    assert "\n" not in str(caught.value)


def test_a_file_that_ends_early_is_found_when_read(tmp_path: Path) -> None:
    source = open_image(broken(0.6)(tmp_path), BANDS)
    with pytest.raises(DataError, match=r"bad\.tif: cannot be read at rows 0\.\.90: truncated or damaged") as caught:
        source.read(WHOLE)
    assert caught.value.__context__ is None  # GDAL's error cannot travel from a cluster's worker


def test_names_decide_the_band_whatever_their_case_and_wherever_they_stand(tmp_path: Path) -> None:
    dn = random_dn((3, *UTM.shape_yx))
    lower = [write_raster(tmp_path / f"x_{band.lower()}.tif", dn[i], UTM) for i, band in enumerate(BANDS)]
    np.testing.assert_array_equal(open_image(lower[::-1], BANDS).read(WHOLE), dn)
    described = [write_raster(tmp_path / f"q{i}.tif", dn[i][None], UTM, names=(band,)) for i, band in enumerate(BANDS)]
    np.testing.assert_array_equal(open_image(described[::-1], BANDS).read(WHOLE), dn)
    with pytest.raises(
        DataError, match="the layers are named SR_B1, SR_B1, SR_B2, the study has SR_B1, SR_B2, SR_B3; give each of these once"
    ):
        open_image([lower[0], lower[0], lower[1]], BANDS)
    mixed = [write_raster(tmp_path / "two.tif", dn[:0:-1], UTM, names=BANDS[:0:-1]), lower[0]]
    np.testing.assert_array_equal(open_image(mixed, BANDS).read(WHOLE), dn)


@pytest.mark.parametrize("names", [("B2", "B3", "B4"), ("B1", "B3", "B3"), ("B1", "B2", "B8A")])
def test_numbered_bands_of_another_sensor_are_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    dn = random_dn((3, *UTM.shape_yx))
    np.testing.assert_array_equal(open_image([write_raster(tmp_path / "l.tif", dn, UTM, names=("b1", "B02", "B3"))], BANDS).read(WHOLE), dn)
    with pytest.raises(DataError, match=rf"o\.tif: the layers are named {', '.join(names)}, the study has SR_B1, SR_B2, SR_B3; give each"):
        open_image([write_raster(tmp_path / "o.tif", dn, UTM, names=names)], BANDS)
