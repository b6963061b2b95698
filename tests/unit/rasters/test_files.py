"""The files that GDAL reads for a raster."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
import rasterio
import rasterio.shutil
from rasterio.enums import Resampling

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.rasters.files import by_name, changed_since, files_of, further_files, stamps_of
from support.rasters import UTM, random_dn, write_raster
from support.virtual import write_nodata, write_vrt


@pytest.fixture
def raster(tmp_path: Path) -> Path:
    return write_raster(tmp_path / "image.tif", random_dn((1, *UTM.shape_yx)), UTM)


def names(files: object) -> list[str]:
    return [path.name for path in files]  # type: ignore[attr-defined]


def test_a_plain_raster_is_one_file(raster: Path) -> None:
    assert files_of(raster) == (raster,)


def test_sidecars_masks_and_overviews(raster: Path) -> None:
    write_nodata(raster, 1)
    with rasterio.Env(TIFF_USE_OVR=True), rasterio.open(raster, "r+") as dataset:
        dataset.build_overviews([2], Resampling.nearest)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(raster, "r+") as dataset:
        dataset.write_mask(True)
    found = files_of(raster)
    assert found[0] == raster
    assert sorted(names(found)) == ["image.tif", "image.tif.aux.xml", "image.tif.msk", "image.tif.ovr"]


def test_the_header_of_a_raster_without_one_of_its_own(tmp_path: Path) -> None:
    with rasterio.open(
        tmp_path / "a.img",
        "w",
        driver="ENVI",
        dtype="uint8",
        count=1,
        width=9,
        height=9,
        crs=UTM.crs,
        transform=rasterio.Affine(*UTM.transform),
    ):
        pass
    assert sorted(names(files_of(tmp_path / "a.img"))) == ["a.hdr", "a.img"]


def test_a_world_file(raster: Path) -> None:
    copy = raster.with_name("a.png")
    rasterio.shutil.copy(raster, copy, driver="PNG", worldfile="YES")
    copy.with_name("a.png.aux.xml").unlink()
    assert names(files_of(copy)) == ["a.png", "a.wld"]


def test_sources_of_sources_with_their_sidecars(raster: Path) -> None:
    write_nodata(raster, 1)
    inner = write_vrt(raster.with_name("inner.vrt"), raster)
    outer = write_vrt(raster.with_name("outer.vrt"), inner)
    assert names(files_of(outer)) == ["outer.vrt", "inner.vrt", "image.tif", "image.tif.aux.xml"]


def test_a_virtual_raster_of_itself_ends(raster: Path) -> None:
    path = write_vrt(raster.with_name("own.vrt"), raster, name="own.vrt")
    assert files_of(path) == (path,)


@pytest.mark.parametrize("depth", [1, 2])
def test_a_missing_source_is_named(raster: Path, depth: int) -> None:
    path = write_vrt(raster.with_name("1.vrt"), raster, name="absent.tif")
    for number in range(2, depth + 1):
        path = write_vrt(raster.with_name(f"{number}.vrt"), path)
    with pytest.raises(DataError, match=r"absent\.tif: no such file, although .*1\.vrt reads it; put it back"):
        files_of(path)


def test_a_file_in_an_archive_stands_for_the_archive(raster: Path) -> None:
    archive = raster.with_name("all.zip")
    with zipfile.ZipFile(archive, "w") as file:
        file.write(raster, "folder/image.tif")
    path = write_vrt(raster.with_name("a.vrt"), raster, name=f"/vsizip/{archive}/folder/image.tif")
    path.write_text(path.read_text().replace('relativeToVRT="1"', 'relativeToVRT="0"'))
    assert files_of(path) == (path, archive)


def test_a_link_and_its_target_are_one_file(raster: Path) -> None:
    link = raster.with_name("link.tif")
    link.symlink_to(raster)
    assert files_of(link) == (link,)


def test_further_files_are_those_of_no_raster_of_the_list(raster: Path) -> None:
    virtual = write_vrt(raster.with_name("a.vrt"), raster)
    write_nodata(raster, 1)
    assert names(further_files([virtual, raster])) == ["image.tif.aux.xml"]
    assert names(further_files([virtual])) == ["image.tif", "image.tif.aux.xml"]
    assert further_files([]) == []


def test_names_of_a_record() -> None:
    found = by_name("image", [Path("a/b.tif"), Path("c.tif"), Path("d/b.tif")])
    assert found == {"image:b.tif": Path("a/b.tif"), "image:c.tif": Path("c.tif"), "image:b.tif (2)": Path("d/b.tif")}


def test_what_changed_came_or_went_is_named(raster: Path) -> None:
    virtual = write_vrt(raster.with_name("a.vrt"), raster)
    before = stamps_of([virtual])
    assert changed_since(before, [virtual]) is None
    os.utime(raster, ns=(0, 0))
    assert changed_since(before, [virtual]) == raster
    before = stamps_of([virtual])
    sidecar = write_nodata(raster, 1)
    assert changed_since(before, [virtual]) == sidecar
    before = stamps_of([virtual])
    sidecar.unlink()
    assert changed_since(before, [virtual]) == sidecar


def test_a_raster_that_is_gone_has_changed(raster: Path) -> None:
    before = stamps_of([raster])
    raster.unlink()
    assert changed_since(before, [raster]) == raster


def test_another_file_of_the_same_size_and_time_has_changed(raster: Path) -> None:
    before, about = stamps_of([raster]), raster.stat()
    other = raster.with_name("other")
    other.write_bytes(raster.read_bytes())
    os.utime(other, ns=(about.st_atime_ns, about.st_mtime_ns))
    other.replace(raster)
    assert changed_since(before, [raster]) == raster
