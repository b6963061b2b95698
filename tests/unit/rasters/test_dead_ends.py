"""Paths that are no raster: each refusal tells what it is and the step that helps; steps of GDAL are run by their equivalents."""

from __future__ import annotations

import gzip
import os
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio.shutil
import xarray as xr
from rasterio.errors import NotGeoreferencedWarning

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.rasters.header import read_header
from cropcam.pipeline.rasters.raster import open_raster
from support.rasters import UTM, random_codes, random_dn, write_raster


def refused(path: Path) -> str:
    with pytest.raises(DataError, match=r".") as caught:
        read_header(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def content(data: bytes, name: str = "a.tif") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return make


def packed(kind: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        source, target = write_raster(folder / "in.tif", random_codes(UTM.shape_yx), UTM), folder / f"a.{kind}"
        if kind == "zip":
            with zipfile.ZipFile(target, "w") as file:
                file.write(source, "in.tif")
        elif kind == "tif.gz":
            target.write_bytes(gzip.compress(source.read_bytes()))
        else:
            with tarfile.open(target, "w:gz" if kind.endswith("gz") else "w") as file:
                file.add(source, "in.tif")
        return target

    return make


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "a.tif")
    return folder / "a.tif"


def link(folder: Path) -> Path:
    (folder / "a.tif").symlink_to(folder / "gone.tif")
    return folder / "a.tif"


def in_cloud(folder: Path) -> Path:
    (folder / ".a.tif.icloud").write_bytes(b"bplist00")
    return folder / "a.tif"


def of_rasters(folder: Path) -> Path:
    for name in ("B1.TIF", "B2.TIF", "notes.txt"):
        (folder / name).write_bytes(b"x")
    return folder


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "none.tif", "none.tif: no such file"),
        (of_rasters, ": is a folder; name the rasters in it: B1.TIF, B2.TIF"),
        (link, "gone.tif, which is not there"),
        (in_cloud, "is in the cloud, only .a.tif.icloud is on this disk; download it"),
        (pipe, "is a pipe, no file"),
        (lambda _: Path("/dev/zero"), "is a device, no file"),
        (lambda _: Path("https://example.org/B1.tif"), "is the address https://example.org/B1.tif; addresses are not read: download it"),
        (lambda folder: folder / "s3://bucket/B1.tif", "is the address s3://bucket/B1.tif; addresses are not read: download it"),
        (lambda _: Path("/vsicurl/https://example.org/B1.tif"), "is the address https://example.org/B1.tif"),
        (lambda _: Path("/vsis3/bucket/B1.tif"), "is an address; addresses are not read: download it"),
        (lambda _: Path("/vsizip//data/a.zip/B1.tif"), "is inside an archive; unpack it and name the file"),
        (packed("tar"), "is a tar archive; unpack it and name the rasters in it: tar -xf a.tar"),
        (packed("tar.gz"), "is a packed tar archive; unpack it and name the rasters in it: tar -xf a.tar.gz"),
        (packed("tif.gz"), "is compressed by gzip; unpack it and name the rasters in it: gunzip -k a.tif.gz"),
        (packed("zip"), "is a zip archive; unpack it and name the rasters in it: unzip a.zip"),
        (content(b""), "is empty; fetch the file again"),
        (content(bytes(4096)), "begins with zeros: its 4,096 bytes were not all fetched, or it is a placeholder of a cloud folder"),
        (content(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"), "git lfs pull --include a.tif"),
        (
            content(b"\xef\xbb\xbf\n<!DOCTYPE html><html><body>Please log in</body></html>"),
            "is a web page, perhaps to log in, not a raster",
        ),
        (content(b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'), "is an XML text, no raster"),
        (content(b'{"type": "FeatureCollection", "features": []}', "a.geojson"), "holds vectors, not pixels"),
        (content(b"II*\0\x08\0\0\0"), "is cut short, damaged or still being written"),
        (content(b"\x0e\x03\x13\x01" + bytes(64), "a.hdf"), "is HDF4, which is not read here"),
        (content(b"corn"), "no readable raster"),
    ],
)
def test_what_a_path_is_instead(tmp_path: Path, make: Callable[[Path], Path], message: str) -> None:
    assert message in refused(make(tmp_path))


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", random_codes(UTM.shape_yx), UTM)
    path.chmod(0)
    assert f"may not be read by you; allow it: chmod u+r {path}" in refused(path)
    path.chmod(0o400)
    assert read_header(path).grid == UTM


def test_parts_of_a_file(tmp_path: Path) -> None:
    values = random_dn((2, *UTM.shape_yx)).astype(np.int32)
    xr.Dataset({f"SR_B{band}": (("y", "x"), values[band - 1]) for band in (1, 2)}).to_netcdf(tmp_path / "bands.nc", engine="scipy")
    message = refused(tmp_path / "bands.nc")
    assert "holds 2 subdatasets (SR_B1, SR_B2); write each you need as GeoTIFF: gdal_translate " in message
    part = message.split()[-2].strip("'")
    assert "is a part of a file by GDAL's name for it; write it as GeoTIFF: gdal_translate " in refused(tmp_path / part)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        rasterio.shutil.copy(part, tmp_path / "SR_B1.tif", driver="GTiff")
        assert "has no CRS" in refused(tmp_path / "SR_B1.tif")
        with rasterio.open(tmp_path / "SR_B1.tif", "r+") as file:
            file.crs, file.transform = UTM.crs, rasterio.Affine(*UTM.transform)
            np.testing.assert_array_equal(file.read(1), values[0][::-1])  # rows of netCDF without y go upward
    assert read_header(tmp_path / "SR_B1.tif").grid == UTM


def test_labels_of_floats_are_written_as_bytes(tmp_path: Path) -> None:
    codes = random_codes(UTM.shape_yx)
    path = write_raster(tmp_path / "cdl.tif", codes.astype(np.float32), UTM)
    with pytest.raises(
        DataError, match=r"labels are float32; .* gdal_translate -ot Byte cdl\.tif codes\.tif \(UInt16 where codes are above 255\)"
    ):
        open_raster(path, labels=True)
    with rasterio.open(path) as file:
        write_raster(tmp_path / "codes.tif", file.read(1, out_dtype="uint8"), UTM)
    found = open_raster(tmp_path / "codes.tif", labels=True)
    assert (found.grid, found.dtype) == (UTM, np.dtype("uint8"))
