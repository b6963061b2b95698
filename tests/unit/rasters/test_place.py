"""Where a raster lies, or the command that gives it a place; each command's equivalent is run."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.transform
import rasterio.vrt
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning
from rasterio.rpc import RPC

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.rasters.header import read_header
from support.rasters import UTM, random_codes, random_dn, write_raster

PLACE = Affine(*UTM.transform)
LOCAL = 'LOCAL_CS["WGS 84 / UTM zone 16N",UNIT["metre",1],AXIS["Easting",EAST],AXIS["Northing",NORTH]]'
VALUES = random_dn((1, *UTM.shape_yx))[0]


def bare(path: Path, **profile: Any) -> Path:
    """A GeoTIFF of `VALUES` with nothing but what `profile` has; written as any program would, without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver="GTiff", dtype=VALUES.dtype, count=1, height=UTM.height, width=UTM.width, **profile) as file:
            file.write(VALUES, 1)
    return path


def refused(path: Path) -> str:
    with pytest.raises(DataError, match=path.name) as caught:
        read_header(path)  # a warning would be an error here
    assert "\n" not in str(caught.value)
    return str(caught.value)


def north_up(path: Path, **options: Any) -> tuple[PixelGrid, Any]:
    """What gdalwarp makes of a file."""
    with rasterio.open(path) as source, rasterio.vrt.WarpedVRT(source, **options) as warped:
        return PixelGrid(warped.crs.to_string(), tuple(warped.transform)[:6], warped.width, warped.height), warped.read(1)


def test_ground_control_points(tmp_path: Path) -> None:
    points = [GroundControlPoint(row, col, *(PLACE * (col, row))) for row in (0, UTM.height) for col in (0, UTM.width)]
    path = bare(tmp_path / "gcps.tif", gcps=points, crs=UTM.crs)
    assert "is placed by 4 ground control points; bring it to a grid: gdalwarp -t_srs EPSG:32616 gcps.tif placed.tif" in refused(path)
    grid, values = north_up(path, src_crs=UTM.crs)
    assert np.allclose(grid.transform, UTM.transform)
    np.testing.assert_array_equal(values, VALUES)


def test_a_sensor_model(tmp_path: Path) -> None:
    model = RPC(
        height_off=0, height_scale=500, lat_off=40.4, lat_scale=0.05, line_den_coeff=[1, *[0] * 19], line_num_coeff=[0, 0, -1, *[0] * 17],
        line_off=45, line_scale=45, long_off=-88.0, long_scale=0.05, samp_den_coeff=[1, *[0] * 19], samp_num_coeff=[0, 1, *[0] * 18],
        samp_off=60, samp_scale=60, err_bias=0, err_rand=0,
    )  # fmt: skip
    path = bare(tmp_path / "rpc.tif")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "r+") as file:
            file.rpcs = model
    assert "is placed by a sensor model (RPC); bring it to a grid: gdalwarp -rpc -t_srs EPSG:n rpc.tif placed.tif" in refused(path)


def test_no_geotransform(tmp_path: Path) -> None:
    path = bare(tmp_path / "bare.tif", crs=UTM.crs)
    assert "has a CRS but no geotransform" in refused(path)
    assert "gdal_edit.py -a_ullr WEST NORTH EAST SOUTH bare.tif" in refused(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "r+") as file:
            file.transform = PLACE
    assert read_header(path).grid == UTM


@pytest.mark.parametrize(("crs", "message"), [(None, "has no CRS"), (LOCAL, "is a local one, of no known place")])
def test_no_crs_that_is_a_place(tmp_path: Path, crs: str | None, message: str) -> None:
    path = bare(tmp_path / "a b.tif", crs=crs and CRS.from_wkt(crs), transform=PLACE)
    assert message in refused(path)
    assert "gdal_edit.py -a_srs EPSG:n 'a b.tif'" in refused(path)
    with rasterio.open(path, "r+") as file:
        file.crs = UTM.crs
    assert read_header(path).grid == UTM


@pytest.mark.parametrize("turned", [Affine.scale(1, -1), Affine.scale(-1, 1)])
def test_south_up_is_turned_by_gdalwarp(tmp_path: Path, turned: Affine) -> None:
    path = bare(tmp_path / "a.tif", crs=UTM.crs, transform=PLACE * turned)
    words = refused(path).rpartition("gdalwarp ")[2].split()
    west, south, east, north = map(float, words[3:7])
    assert words[:3] + words[7:] == ["-r", "near", "-te", "-ts", "120", "90", "a.tif", "north-up.tif"]
    place = rasterio.transform.from_bounds(west, south, east, north, 120, 90)
    grid, values = north_up(path, transform=place, width=120, height=90)
    write_raster(tmp_path / "north-up.tif", values, grid)
    assert read_header(tmp_path / "north-up.tif").grid == grid
    np.testing.assert_array_equal(values, VALUES[:: int(turned.e), :: int(turned.a)])


def test_rotated(tmp_path: Path) -> None:
    path = bare(tmp_path / "a.tif", crs=UTM.crs, transform=PLACE * Affine.rotation(5))
    assert "is rotated" in refused(path)
    grid, values = north_up(path)
    assert read_header(write_raster(tmp_path / "north-up.tif", values, grid)).grid == grid


@pytest.mark.parametrize(("skew", "is_read"), [(1e-6, True), (1e-3, False)])
def test_a_skew_of_rounding_is_none(tmp_path: Path, skew: float, is_read: bool) -> None:
    a, _, c, _, e, f = UTM.transform
    path = bare(tmp_path / "a.tif", crs=UTM.crs, transform=Affine(a, skew, c, 0.0, e, f))
    if is_read:
        assert read_header(path).grid == UTM
    else:
        assert "is rotated" in refused(path)


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:32616", (1e300, 0.0, 0.0, 0.0, -1e300, 0.0)),
        ("EPSG:32616", (30.0, 0.0, 1e12, 0.0, -30.0, 0.0)),
        ("EPSG:32616", (1e-14, 0.0, 400_000.0, 0.0, -1e-14, 4e6)),
        ("EPSG:4326", (30.0, 0.0, 419_000.0, 0.0, -30.0, 4_466_720.0)),  # metres under a CRS of degrees
        ("EPSG:4326", (1.0, 0.0, -90.0, 0.0, -1.0, 140.0)),
    ],
)
def test_coordinates_that_are_no_place(tmp_path: Path, crs: str, transform: tuple[float, ...]) -> None:
    assert "is no place in its CRS" in refused(bare(tmp_path / "a.tif", crs=crs, transform=Affine(*transform)))


@pytest.mark.parametrize("transform", ["nan, 30, 0, 4475700, 0, -30", "410000, inf, 0, 4475700, 0, -30", "410000, 0, 0, 4475700, 0, -30"])
def test_numbers_that_are_no_geotransform(tmp_path: Path, transform: str) -> None:
    source = write_raster(tmp_path / "a.tif", VALUES, UTM)
    (tmp_path / "a.vrt").write_text(
        f'<VRTDataset rasterXSize="{UTM.width}" rasterYSize="{UTM.height}"><SRS>EPSG:32616</SRS><GeoTransform>{transform}</GeoTransform>'
        f'<VRTRasterBand dataType="UInt16" band="1"><SimpleSource><SourceFilename>{source}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>'
    )
    assert "gdal_edit.py -a_ullr WEST NORTH EAST SOUTH a.vrt" in refused(tmp_path / "a.vrt")


@pytest.mark.parametrize("west", [-180.0, 0.0, 179.9])
def test_longitudes_beyond_180_degrees_are_a_place(tmp_path: Path, west: float) -> None:
    grid = PixelGrid("EPSG:4326", (0.003, 0.0, west, 0.0, -0.003, 90.0), UTM.width, UTM.height)
    assert read_header(write_raster(tmp_path / "a.tif", random_codes(grid.shape_yx), grid)).grid == grid


def test_longitudes_in_radians_are_brought_to_degrees(tmp_path: Path) -> None:
    radians = 'GEOGCS["own",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],UNIT["radian",1]]'
    path = bare(tmp_path / "a.tif", crs=CRS.from_wkt(radians), transform=Affine(1e-5, 0, -1.53, 0, -1e-5, 0.7))
    assert "gdalwarp -r near -t_srs EPSG:4326 a.tif degrees.tif" in refused(path)
    grid, _ = north_up(path, crs="EPSG:4326")
    assert grid.transform[2] == pytest.approx(np.degrees(-1.53), abs=1e-3)


def test_a_crs_of_its_own_is_kept(tmp_path: Path) -> None:
    own = CRS.from_string("+proj=utm +zone=16 +ellps=clrk66 +towgs84=0,0,0,0,0,0,0 +units=m")
    found = read_header(bare(tmp_path / "a.tif", crs=own, transform=PLACE)).grid.crs
    assert found.startswith("BOUNDCRS")
    assert CRS.from_user_input(found) == own


def test_a_raster_of_no_possible_size(tmp_path: Path) -> None:
    place = "410000, 0.001, 0, 4475700, 0, -0.001"
    (tmp_path / "a.vrt").write_text(
        f'<VRTDataset rasterXSize="2147483647" rasterYSize="2147483647"><SRS>EPSG:32616</SRS><GeoTransform>{place}</GeoTransform>'
        '<VRTRasterBand dataType="UInt16" band="1"/></VRTDataset>'
    )
    assert "2,147,483,647 x 2,147,483,647 px are more than a side of 100,000,000; cut out what you need: gdal_translate" in refused(
        tmp_path / "a.vrt"
    )
