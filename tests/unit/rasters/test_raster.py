"""One raster file: what its values mean by type, tags and options; labels as codes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.encoding import BandEncoding
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.legend_sources import cdl
from cropcam.pipeline.rasters.raster import fill_missing, open_raster
from cropcam.pipeline.rasters.values import ValueEncoding
from support.rasters import UTM, open_image, random_dn, write_raster


def stored(values: list[float], dtype: str, nodata: float | None, encoding: BandEncoding) -> list[Any]:
    """Values of one band after missing ones have the nodata of `encoding`."""
    band = np.array(values, dtype).reshape(1, 1, -1)
    fill_missing(band, (nodata,), encoding)
    return band.ravel().tolist()  # type: ignore[no-any-return]


@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=30), st.sampled_from([None, -1.0, -9999.0, 0.5, 70_000.0]))
def test_integers_keep_their_values_and_one_nodata(values: list[int], nodata: float | None) -> None:
    found = stored(values, "int16", nodata, BandEncoding.uniform("int16", 1, 0.0001, 0.0, -9999.0))
    assert found == [-9999 if value == nodata else value for value in values]


@given(st.lists(st.floats(width=32), min_size=1, max_size=30), st.sampled_from([None, 0.0, float("nan"), float("inf"), 1e300]))
def test_floats_that_are_not_finite_are_missing(values: list[float], nodata: float | None) -> None:
    found = stored(values, "float32", nodata, BandEncoding.uniform("float32", 1, 1.0, 0.0, -9999.0))
    assert found == [-9999 if not math.isfinite(value) or value == nodata else value for value in values]


@pytest.mark.parametrize(
    ("dtype", "scale", "offset", "nodata"),
    [
        ("uint16", 0.0000275, -0.2, 0.0),
        ("int16", 0.0001, 0.0, -9999.0),
        ("float32", 1.0, 0.0, -9999.0),
        ("float64", 1.0, 0.0, -9999.0),
    ],
)
def test_a_type_without_tags_has_its_usual_meaning(tmp_path: Path, dtype: str, scale: float, offset: float, nodata: float) -> None:
    path = write_raster(tmp_path / "a.tif", np.ones((2, *UTM.shape_yx), dtype), UTM)
    assert open_raster(path).encoding == BandEncoding.uniform(dtype, 2, scale, offset, nodata)


@pytest.mark.parametrize(
    ("dtype", "tag", "option", "kept"),
    [
        ("uint16", 9, None, 0.0),  # DN 0 is fill, whatever else a tag names
        ("int16", -1, None, -1.0),
        ("int16", -1, -2.0, -2.0),
        ("int32", 0.5, None, None),  # no value of the type: no pixel has it
        ("float32", float("nan"), None, float("nan")),
        ("float32", float("inf"), None, float("nan")),
        ("float32", None, float("-inf"), float("nan")),
        ("float32", None, 1e300, float("nan")),
        ("float64", 1e300, None, 1e300),
    ],
)
def test_nodata_of_tags_and_options(tmp_path: Path, dtype: str, tag: float | None, option: float | None, kept: float | None) -> None:
    path = write_raster(tmp_path / "a.tif", np.ones((1, *UTM.shape_yx), dtype), UTM, nodata=tag)
    found = open_raster(path, ValueEncoding(scale=0.5, nodata=option) if dtype == "int32" else ValueEncoding(nodata=option)).encoding
    assert found == BandEncoding.uniform(dtype, 1, found.scale[0], found.offset[0], kept)


@pytest.mark.parametrize(("dtype", "nodata"), [("uint16", 70_000), ("int16", 0.5), ("uint8", -1)])
def test_a_nodata_option_that_the_type_cannot_hold_is_refused(tmp_path: Path, dtype: str, nodata: float) -> None:
    path = write_raster(tmp_path / "a.tif", np.ones((1, *UTM.shape_yx), dtype), UTM)
    with pytest.raises(ConfigError, match=f"--nodata .*: no value of a.tif, which holds {dtype}"):
        open_raster(path, ValueEncoding(1.0, 0.0, nodata))


def test_tags_beat_the_type_and_options_beat_tags(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", np.full((1, 4, 4), 1000, np.int16), PixelGrid(UTM.crs, UTM.transform, 4, 4))
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (0.0002,), (0.05,)

    def value(**options: float) -> float:
        source = open_image([path], ("SR_B1",), ValueEncoding(**options))
        return float(source.encoding.physical(source.read(Window(0, 0, 4, 4)))[0, 0, 0])

    assert [value(), value(scale=0.0005), value(offset=0.1)] == pytest.approx([0.25, 0.55, 0.3])
    assert math.isnan(value(nodata=1000))


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


@pytest.mark.filterwarnings("ignore:(Scales|Offsets) differ across bands")  # as the module does; pytest begins with filters of its own
@pytest.mark.parametrize(
    ("tags", "scale", "offset", "nodata"),
    [
        ({"scales": (0.0001, 0.0002)}, (0.0001, 0.0002), (0.0, 0.0), (-9999.0, -9999.0)),
        ({"offsets": (0.0, 0.1)}, (1.0, 1.0), (0.0, 0.1), (-9999.0, -9999.0)),
        ({"nodata": (1000.0, -1.0)}, (0.0001, 0.0001), (0.0, 0.0), (1000.0, -1.0)),
    ],
)
def test_bands_keep_tags_of_their_own(
    tmp_path: Path,
    tags: dict[str, tuple[float, float]],
    scale: tuple[float, float],
    offset: tuple[float, float],
    nodata: tuple[float, float],
) -> None:
    source = open_image(tagged(tmp_path, **tags), BANDS[:2])
    assert source.encoding == BandEncoding("int16", scale, offset, nodata)
    found = source.encoding.physical(source.read(WHOLE))
    for band, value in enumerate([1000 * factor + addend for factor, addend in zip(scale, offset, strict=True)]):
        expected = np.nan if nodata[band] == 1000 else value
        np.testing.assert_allclose(found[band], np.full(UTM.shape_yx, expected), rtol=1e-5)


def test_values_that_are_no_real_numbers_are_refused(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", np.ones((1, *UTM.shape_yx), np.complex64), UTM)
    with pytest.raises(DataError, match=r"a\.tif: values of type complex64 are not real numbers; convert them"):
        open_raster(path, ValueEncoding(scale=1.0))


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
    with pytest.raises(ConfigError, match=f"{option}: physical value"):
        ValueEncoding(**values)


BANDS = ("SR_B1", "SR_B2", "SR_B3")


WHOLE = Window(0, 0, *UTM.shape_yx)


def test_a_header_gives_the_meaning_of_the_values_and_a_window_reads_them(tmp_path: Path) -> None:
    dn = random_dn((3, *UTM.shape_yx))
    path = write_raster(tmp_path / "a.tif", dn, UTM, names=BANDS, tiled=True, blockxsize=32, blockysize=16)
    raster = open_raster(path)
    assert (raster.grid, raster.dtype, raster.band_names, raster.tile_shape_yx) == (UTM, np.uint16, BANDS, (16, 32))
    assert not raster.holds_codes(cdl())
    out = np.zeros((3, 20, 30), np.uint16)
    raster.read_values(Window(7, 11, 20, 30), out)
    np.testing.assert_array_equal(out, dn[:, 7:27, 11:41])
    np.testing.assert_array_equal(raster.read(Window(0, 0, 5, 4)), dn[:, :5, :4])


def test_a_band_of_labels_is_read_alone(tmp_path: Path) -> None:
    values = np.stack([np.full(UTM.shape_yx, number, np.uint16) for number in (3, 40, 900)])
    path = write_raster(tmp_path / "a.tif", values, UTM, names=("year", "Map", "x"), nodata=0)
    raster = open_raster(path, labels=True, band="map")
    assert (raster.band_names, raster.nodata, len(raster.encoding)) == (("Map",), (0.0,), 1)
    assert (raster.read(Window(2, 3, 4, 5)) == 40).all()
    out = np.zeros((1, 4, 5), np.uint16)
    assert (raster.read(Window(2, 3, 4, 5), out) == 40).all()
