"""Layers come in the study's order by what they tell, are refused where they tell otherwise, and by place where they tell nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import Window
from cropcam.pipeline.rasters.layers import known_layers
from cropcam.pipeline.rasters.own_image import open_own_image
from cropcam.pipeline.rasters.values import ValueEncoding
from cropcam.pipeline.study.image import Image
from support.rasters import UTM, random_dn, write_raster

SEASONS = (("2023-05-01", "2023-08-01"), ("2023-08-01", "2023-10-01"))
WHOLE = Window(0, 0, *UTM.shape_yx)
POSTER = tuple(f"SR_B{number}" for number in range(1, 8))
LANDSAT_UM = ("0.443", "0.482", "0.561", "0.655", "0.865", "1.609", "2.201")


def image(sensor: str = "landsat", seasons: int = 1, **more: Any) -> Image:
    return Image(sensor=sensor, seasons=SEASONS[:seasons], **more)


@pytest.mark.parametrize(
    ("sensor", "bands", "names"),
    [
        ("landsat", POSTER, tuple(f"B{number}" for number in range(1, 8))),
        ("landsat", POSTER, tuple(f"sr_b{number}_median" for number in range(1, 8))),
        ("landsat", POSTER, ("coastal", "blue", "green", "red", "nir08", "swir16", "swir22")),
        ("landsat", POSTER, ("Ultra Blue (B1)", "Blue (B2)", "Green (B3)", "Red (B4)", "NIR (B5)", "SWIR 1 (B6)", "SWIR 2 (B7)")),
        ("landsat", ("red", "nir"), ("Red", "NIR")),
        ("sentinel-2", ("blue", "red", "nir", "nir_narrow"), ("B02", "B04", "B08", "B8A")),
        ("sentinel-2", ("red", "red_edge1", "nir", "nir_narrow"), ("red", "rededge1", "nir", "nir08")),
        ("hls", ("green", "swir1"), ("green_p50", "swir16_p50")),
    ],
)
@pytest.mark.parametrize("order", ["reversed", "turned"])
def test_layers_are_ordered_by_their_names(tmp_path: Path, sensor: str, bands: tuple[str, ...], names: tuple[str, ...], order: str) -> None:
    study = image(sensor, bands=bands, **({"collections": ("NASA/HLS/HLSL30/v002",)} if sensor == "hls" else {}))
    dn = random_dn((len(bands), *UTM.shape_yx))
    places = list(range(len(bands)))[::-1] if order == "reversed" else [*range(1, len(bands)), 0]
    path = write_raster(tmp_path / "a.tif", dn[places], UTM, names=tuple(names[place] for place in places))
    source = open_own_image([path], study, ValueEncoding(scale=0.00003, offset=0.0, nodata=0))
    np.testing.assert_array_equal(source.read(WHOLE), dn)


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(7)))
def test_layers_are_ordered_by_their_wavelengths(tmp_path_factory: pytest.TempPathFactory, order: list[int]) -> None:
    dn = random_dn((7, *UTM.shape_yx))
    path = write_raster(tmp_path_factory.mktemp("w") / "a.tif", dn[order], UTM)
    with rasterio.open(path, "r+") as file:
        for number, place in enumerate(order, 1):
            file.update_tags(number, wavelength=LANDSAT_UM[place], wavelength_units="Micrometers")
    np.testing.assert_array_equal(open_own_image([path], image()).read(WHOLE), dn)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("B2", "B3", "B4", "B5", "B8", "B11", "B12"), "B2, B3, B4, B5, B8, B11, B12"),
        (("blue", "green", "red", "red_edge1", "nir", "swir1", "swir2"), "blue, green, red, red_edge1, nir, swir1, swir2"),
        (("B1", "B2", "B3", "B4", "B5", "B6", "NDVI"), "B1, B2, B3, B4, B5, B6, NDVI"),
        (("B1", "B1", "B3", "B4", "B5", "B6", "B7"), "B1, B1, B3, B4, B5, B6, B7"),
    ],
)
def test_layers_that_are_others_are_refused_with_both_names(tmp_path: Path, names: tuple[str, ...], found: str) -> None:
    path = write_raster(tmp_path / "a.tif", random_dn((7, *UTM.shape_yx)), UTM, names=names)
    with pytest.raises(DataError, match=rf"a\.tif: the layers are named {found}, the study has SR_B1, .*SR_B7; give each of these once"):
        open_own_image([path], image())


@pytest.mark.parametrize("names", [(), tuple(f"Band {number}" for number in range(7, 0, -1)), tuple("gfedcba")])
def test_by_place_where_nothing_is_told(tmp_path: Path, names: tuple[str, ...]) -> None:
    dn = random_dn((7, *UTM.shape_yx))
    path = write_raster(tmp_path / "a.tif", dn, UTM, names=names)
    np.testing.assert_array_equal(open_own_image([path], image()).read(WHOLE), dn)


@pytest.mark.parametrize("names", [("1_SR_B4", "2_SR_B4", "1_SR_B5", "2_SR_B5"), ("B4", "B5", "B4", "B5"), ("B5", "B4", "B4", "B5")])
def test_seasons_lie_one_behind_the_other(tmp_path: Path, names: tuple[str, ...]) -> None:
    dn = random_dn((4, *UTM.shape_yx))
    order = {"1_SR_B4": [0, 2, 1, 3], "B4": [0, 1, 2, 3], "B5": [1, 0, 2, 3]}[names[0]]
    path = write_raster(tmp_path / "a.tif", dn, UTM, names=names)
    np.testing.assert_array_equal(open_own_image([path], image(seasons=2, bands=("SR_B4", "SR_B5"))).read(WHOLE), dn[order])


def test_collections_that_differ_in_a_number_have_no_numbers() -> None:
    both = ("LANDSAT/LT05/C02/T1_L2", "LANDSAT/LC08/C02/T1_L2")
    known = known_layers(image("landsat-4-9", bands=("red", "nir"), collections=both), ("red", "nir"))
    assert (known.numbers, known.common) == ({"3": "red", "5": "nir"}, {"red": "red", "nir": "nir"})


@pytest.mark.parametrize(
    ("names", "order"),
    [(("B4", "B5"), [0, 1]), (("B5", "B4"), [1, 0]), (("B3", "B4"), [0, 1]), (("B4", "B3"), [1, 0]), (("B3", "B5"), None)],
)
def test_numbers_are_those_of_one_collection(tmp_path: Path, names: tuple[str, ...], order: list[int] | None) -> None:
    both = ("LANDSAT/LT05/C02/T1_L2", "LANDSAT/LC08/C02/T1_L2")
    dn = random_dn((2, *UTM.shape_yx))
    path = write_raster(tmp_path / "a.tif", dn, UTM, names=names)
    study = image("landsat-4-9", bands=("red", "nir"), collections=both)
    if order is None:
        with pytest.raises(DataError, match="the layers are named B3, B5, the study has red, nir"):
            open_own_image([path], study)
    else:
        np.testing.assert_array_equal(open_own_image([path], study).read(WHOLE), dn[order])


def test_a_satellite_in_the_names_decides(tmp_path: Path) -> None:
    both = ("LANDSAT/LT05/C02/T1_L2", "LANDSAT/LC08/C02/T1_L2")
    name = "LC08_L2SP_023032_20180831_20200831_02_T1_SR_B{}.TIF"
    paths = [write_raster(tmp_path / name.format(number), random_dn((1, *UTM.shape_yx)), UTM) for number in (3, 4)]
    with pytest.raises(DataError, match="the study has red, nir"):
        open_own_image(paths, image("landsat-4-9", bands=("red", "nir"), collections=both))
