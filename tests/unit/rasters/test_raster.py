"""One raster file: its values as Collection 2 DN or CDL codes, by type, tags and options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.rasters.mosaic import open_image
from cropcam.pipeline.rasters.raster import ValueEncoding, open_raster, to_codes, to_dn
from support.rasters import UTM, random_dn, write_raster


def oracle_dn(reflectance: float) -> int:
    """The contract's formula, in plain Python."""
    import math

    return min(max(math.floor((reflectance + 0.2) / 0.0000275 + 0.5), 1), 65535)


@given(st.lists(st.integers(-9998, 20_000), min_size=1, max_size=30))
def test_int16_follows_the_contracts_formula(values: list[int]) -> None:
    found = to_dn(np.array(values, np.int16), 0.0001, 0.0, -9999)
    assert found.tolist() == [oracle_dn(value * 0.0001) for value in values]


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30))
def test_float_reflectance_follows_the_contracts_formula(values: list[float]) -> None:
    found = to_dn(np.array(values, np.float64), 1.0, 0.0, None)
    assert found.tolist() == [oracle_dn(value) for value in values]


@given(st.lists(st.integers(0, 65535), min_size=1, max_size=30))
def test_collection_2_dn_are_taken_as_they_are(values: list[int]) -> None:
    found = to_dn(np.array(values, np.uint16), 0.0000275, -0.2, 0.0)
    assert found.tolist() == values


def test_what_has_no_value_is_nodata() -> None:
    floats = np.array([0.1, np.nan, np.inf, -np.inf, -9999.0], np.float32)
    assert (to_dn(floats, 1.0, 0.0, -9999.0) > 0).tolist() == [True, False, False, False, False]
    assert to_dn(np.array([-9999, 0], np.int16), 0.0001, 0.0, -9999).tolist() == [0, oracle_dn(0.0)]
    assert to_dn(np.array([0, 9, 10], np.uint16), 0.0000275, -0.2, 9).tolist() == [0, 0, 10]  # 0 is fill in Collection 2, whatever else is


def test_tags_beat_the_type_and_options_beat_tags(tmp_path: Path) -> None:
    import rasterio

    path = write_raster(tmp_path / "a.tif", np.full((1, 4, 4), 1000, np.int16), PixelGrid(UTM.crs, UTM.transform, 4, 4))
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (0.0002,), (0.05,)
    place = Window(0, 0, 4, 4)
    assert open_image([path], ("SR_B1",)).read(place)[0, 0, 0] == oracle_dn(0.25)
    assert open_image([path], ("SR_B1",), ValueEncoding(scale=0.0005)).read(place)[0, 0, 0] == oracle_dn(0.55)
    assert open_image([path], ("SR_B1",), ValueEncoding(offset=0.1)).read(place)[0, 0, 0] == oracle_dn(0.3)
    assert open_image([path], ("SR_B1",), ValueEncoding(nodata=1000)).read(place).max() == 0


def tagged(folder: Path, **tags: tuple[float, float]) -> list[Path]:
    """A file of two bands whose tags differ: scales, offsets, or nodata, which only a virtual raster can have."""
    path = write_raster(folder / "a.tif", np.full((2, *UTM.shape_yx), 1000, np.int16), UTM)
    with rasterio.open(path, "r+") as file:
        for name, values in tags.items():
            if name != "nodata":
                setattr(file, name, values)
    if "nodata" not in tags:
        return [path]
    bands = "".join(
        virtual_band("a", number, "Int16", number, f"<NoDataValue>{value}</NoDataValue>") for number, value in enumerate(tags["nodata"], 1)
    )
    return [virtual(folder / "a.vrt", bands)]


def virtual(path: Path, bands: str) -> Path:
    """A virtual raster of bands of files beside it."""
    height, width = UTM.shape_yx
    geo = ", ".join(str(value) for value in rasterio.Affine(*UTM.transform).to_gdal())
    head = f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}"><SRS>{UTM.crs}</SRS><GeoTransform>{geo}</GeoTransform>'
    path.write_text(f"{head}{bands}</VRTDataset>")
    return path


def virtual_band(name: str, number: int, dtype: str, source_band: int = 1, about: str = "") -> str:
    """Band `number` of a virtual raster: a band of the file `name`.tif."""
    source = f'<SourceFilename relativeToVRT="1">{name}.tif</SourceFilename><SourceBand>{source_band}</SourceBand>'
    return f'<VRTRasterBand dataType="{dtype}" band="{number}">{about}<SimpleSource>{source}</SimpleSource></VRTRasterBand>'


@pytest.mark.filterwarnings(
    "ignore:(Scales|Offsets) differ across bands"
)  # as `cropcam.pipeline.rasters.raster` does; pytest begins with filters of its own
@pytest.mark.parametrize(
    ("name", "values", "option"),
    [
        ("scales", (0.0001, 0.0002), {"scale": 0.0002}),
        ("offsets", (0.0, 0.1), {"offset": 0.1}),
        ("nodata", (-9999.0, -1.0), {"nodata": 7}),
    ],
)
def test_tags_that_differ_between_bands_need_the_option(
    tmp_path: Path, name: str, values: tuple[float, float], option: dict[str, float]
) -> None:
    paths, singular = tagged(tmp_path, **{name: values}), next(iter(option))
    with pytest.raises(
        DataError, match=rf"its bands carry different {singular} tags \({values[0]}, {values[1]}\); give one with --{singular}"
    ):
        open_image(paths, BANDS[:2])
    found = open_image(paths, BANDS[:2], ValueEncoding(**option)).read(WHOLE)
    assert found.min() == found.max() == oracle_dn(1000 * option.get("scale", 0.0001) + option.get("offset", 0.0))


def test_bands_of_different_types_are_named(tmp_path: Path) -> None:
    for name, dtype in (("a", np.uint16), ("b", np.float32)):
        write_raster(tmp_path / f"{name}.tif", np.ones((1, *UTM.shape_yx), dtype), UTM)
    virtual(tmp_path / "mixed.vrt", virtual_band("a", 1, "UInt16") + virtual_band("b", 2, "Float32"))
    with pytest.raises(DataError, match=r"mixed\.vrt: its bands are of different types \(float32, uint16\); give them one"):
        open_image([tmp_path / "mixed.vrt"], BANDS[:2])


@pytest.mark.parametrize(
    ("values", "option"),
    [({"scale": 0.0}, "--scale 0.0"), ({"scale": float("nan")}, "--scale nan"), ({"offset": float("inf")}, "--offset inf")],
)
def test_scales_and_offsets_that_mean_nothing(values: dict[str, float], option: str) -> None:
    with pytest.raises(ConfigError, match=f"{option}: reflectance"):
        ValueEncoding(**values)


BANDS = ("SR_B1", "SR_B2", "SR_B3")


WHOLE = Window(0, 0, *UTM.shape_yx)


@given(st.lists(st.sampled_from([-1, 0, 1, 5, 141, 176, 254]), min_size=1, max_size=30), st.sampled_from([np.int16, np.int32]))
def test_codes_of_any_integer_type_are_taken_with_nodata_as_0(values: list[int], dtype: type[np.integer[Any]]) -> None:
    found = to_codes(np.array([values], dtype), -1, Path("cdl.tif"))
    assert found.dtype == np.uint8
    assert found.tolist() == [[max(value, 0) for value in values]]


@pytest.mark.parametrize(
    ("value", "message"),
    [(300, r"cdl\.tif: holds label 300; CDL codes are 0\.\.255"), (99, r"cdl\.tif: holds label 99, which no CDL uses")],
)
def test_values_that_are_no_codes_are_named(value: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        to_codes(np.array([[1, value, 5]], np.int16), None, Path("cdl.tif"))


def test_a_header_gives_the_meaning_of_the_values_and_a_window_reads_them(tmp_path: Path) -> None:
    dn = random_dn((3, *UTM.shape_yx))
    path = write_raster(tmp_path / "a.tif", dn, UTM, names=BANDS, tiled=True, blockxsize=32, blockysize=16)
    raster = open_raster(path)
    assert (raster.grid, raster.dtype, raster.band_names, raster.tile_shape_yx) == (UTM, np.uint16, BANDS, (16, 32))
    assert raster.holds_dn
    assert not raster.holds_codes
    out = np.zeros((3, 20, 30), np.uint16)
    raster.read_dn(Window(7, 11, 20, 30), out)
    np.testing.assert_array_equal(out, dn[:, 7:27, 11:41])
    np.testing.assert_array_equal(raster.read(Window(0, 0, 5, 4)), dn[:, :5, :4])
