"""A class map as a Cloud Optimized GeoTIFF: written window by window, converted, verified, published."""

from __future__ import annotations

import html
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader, DatasetWriter
from rasterio.windows import Window as RasterWindow

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.maps.windows import NODATA_CLASS, Classes
from cropcam.pipeline.runtime.atomic import exclusive_lock, temporary_path

TILE_PX = 512
TIFF_TILE_PX = 16  # a TIFF tile's sides are multiples of it


class ClassMap:
    """A class map that is being written: takes windows, counts their classes.

    Attributes:
        counts: pixels per value (256,); 255 is nodata.
    """

    def __init__(self, dataset: DatasetWriter, path: Path) -> None:
        self._dataset, self._path = dataset, path
        self._checksums: dict[Window, int] = {}
        self.counts = np.zeros(256, np.int64)

    def write(self, window: Window, classes_YX: Classes) -> None:
        """Write the class indices (uint8, 255 = nodata) of one window; every pixel once.

        Raises:
            DataError: the disk refuses.
        """
        with disk_errors(self._path):
            self._dataset.write(classes_YX, 1, window=raster_window(window))
        self._checksums[window] = zlib.crc32(classes_YX.tobytes())
        self.counts += np.bincount(classes_YX.ravel(), minlength=256)

    def close(self) -> None:
        """Flush and close the file.

        Raises:
            DataError: the disk refuses.
        """
        with disk_errors(self._path):
            self._dataset.close()

    def same_pixels(self, dataset: DatasetReader) -> bool:
        """Whether another raster holds the written pixels, window by window."""
        return holds(dataset, self._checksums)


@contextmanager
def written_map(path: Path, grid: PixelGrid, legend: Legend, tags: Mapping[str, str], block_px: int) -> Iterator[ClassMap]:
    """A class map to write windows to; it is published at `path`, complete and verified, when the block succeeds.

    uint8 class indices, 255 = nodata, deflate, overviews by the most frequent class, colours from the legend. Class
    names are in the tag `classes` and, for GDAL and QGIS, in `PATH.aux.xml`; the tag `legend` adds their codes and
    the table of codes (`cropcam.pipeline.maps.class_map` reads them). Unfinished files lie in a hidden folder
    beside `path`. A failed block removes it; after a kill the next map does. A map at `path` stays until the new one
    is complete.

    Args:
        path: of the map.
        grid: its grid.
        legend: class index to name and colour.
        tags: provenance.
        block_px: side of the windows that will be written.

    Raises:
        DataError: the disk refuses, the file differs from the written pixels, or another process writes to `path`.
    """
    make_room(path, "map")
    with exclusive_lock(path), temporary_path(path) as folder:
        raw, cog = folder / "raw.tif", folder / path.name
        with disk_errors(path):
            folder.mkdir()
            class_map = ClassMap(_create_classes(raw, grid, legend, tags, block_px), path)
        try:
            yield class_map
        finally:
            class_map.close()
        with disk_errors(path):
            convert(raw, cog)
            _sidecar(cog).write_text(_categories(legend), "utf-8")
            _verify(raw, cog, grid, class_map, path)
            _publish(cog, path)


def is_map(path: Path) -> bool:
    """Whether `path` is a class map of this project."""
    try:
        with rasterio.open(path) as dataset:
            return str(dataset.tags().get("TIFFTAG_SOFTWARE", "")).startswith("cropcam")
    except (RasterioError, OSError):
        return False


def make_room(path: Path, kind: str) -> None:
    """Make the folder of a file that will be written; `kind` is map or layer.

    Raises:
        DataError: `path` is a folder, or the disk refuses.
    """
    with disk_errors(path):
        if path.is_dir():
            raise DataError(f"{path}: is a folder; give the file name of the {kind}, for example {path / f'{kind}.tif'}")
        path.parent.mkdir(parents=True, exist_ok=True)


def holds(dataset: DatasetReader, checksums: Mapping[Window, int]) -> bool:
    """Whether the first band holds the pixels of these CRC-32 checksums, window by window."""
    return all(zlib.crc32(dataset.read(1, window=raster_window(window)).tobytes()) == crc for window, crc in checksums.items())


def create(path: Path, grid: PixelGrid, dtype: str, nodata: float, block_px: int) -> DatasetWriter:
    """A new GeoTIFF of one band on `grid`, deflate, to be written in windows of `block_px`: a window is a tile, so no tile is compressed twice."""
    tile_px = block_px if block_px % TIFF_TILE_PX == 0 else TILE_PX
    return rasterio.open(
        path,
        "w",
        driver="GTiff",
        dtype=dtype,
        count=1,
        nodata=nodata,
        crs=grid.crs,
        transform=rasterio.Affine(*grid.transform),
        width=grid.width,
        height=grid.height,
        tiled=True,
        blockxsize=tile_px,
        blockysize=tile_px,
        compress="deflate",
        zlevel=1,
        bigtiff="if_safer",
    )


def _create_classes(path: Path, grid: PixelGrid, legend: Legend, tags: Mapping[str, str], block_px: int) -> DatasetWriter:
    dataset = create(path, grid, "uint8", NODATA_CLASS, block_px)
    dataset.write_colormap(1, {index: (*c.color, 255) for index, c in enumerate(legend.classes)} | {NODATA_CLASS: (0, 0, 0, 0)})
    dataset.set_band_description(1, "class")
    codes = {"classes": legend.attrs(), "table": legend.table_attrs()}
    dataset.update_tags(classes=json.dumps(dict(enumerate(legend.names))), legend=json.dumps(codes), **tags)
    return dataset


def convert(raw: Path, cog: Path, *, overviews: str = "mode", predictor: str = "NO") -> None:
    """Copy a GeoTIFF to a Cloud Optimized GeoTIFF, deflate; `overviews` is the resampling, `predictor` that of deflate (FLOATING_POINT for floats)."""
    rasterio.shutil.copy(
        raw,
        cog,
        driver="COG",
        compress="deflate",
        blocksize=TILE_PX,
        overview_resampling=overviews,
        predictor=predictor,
        bigtiff="if_safer",
        num_threads="all_cpus",
    )


def _verify(raw: Path, cog: Path, grid: PixelGrid, class_map: ClassMap, path: Path) -> None:
    """GDAL reports a full disk late or never, so the files are read back.

    Raises:
        DataError: another grid or other pixels than were written.
    """
    with rasterio.open(raw) as before, rasterio.open(cog) as after:
        same_place = after.crs == before.crs and np.allclose(tuple(after.transform)[:6], grid.transform, rtol=1e-12)
        same_kind = (after.shape, after.dtypes, after.nodata) == (grid.shape_yx, ("uint8",), NODATA_CLASS)
        if not (same_place and same_kind and class_map.same_pixels(after)):
            raise DataError(f"{path}: what arrived on the disk is not what was written; check the disk and its free space")


def _publish(cog: Path, path: Path) -> None:
    for file in (cog, _sidecar(cog)):
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
    _sidecar(path).unlink(missing_ok=True)  # class names of an older map never describe the new map
    cog.replace(path)
    _sidecar(cog).replace(_sidecar(path))


def _sidecar(path: Path) -> Path:
    return path.with_name(f"{path.name}.aux.xml")


def _categories(legend: Legend) -> str:
    """The legend as GDAL's persistent auxiliary metadata, which gdalinfo and QGIS read; a GeoTIFF itself has no place for it.

    Source: https://gdal.org/en/stable/user/raster_data_model.html (category names).
    """
    names = "\n".join(f"      <Category>{html.escape(name)}</Category>" for name in legend.names)
    return f"""<PAMDataset>
  <PAMRasterBand band="1">
    <CategoryNames>
{names}
    </CategoryNames>
  </PAMRasterBand>
</PAMDataset>
"""


def raster_window(window: Window) -> RasterWindow:
    """A window as rasterio has it."""
    return RasterWindow(window.col, window.row, window.width, window.height)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turns errors of GDAL and of the disk into one line about `path`.

    Raises:
        DataError: the disk refuses.
    """
    try:
        yield
    except (RasterioError, CPLE_BaseError, OSError) as error:
        deepest: BaseException = error
        while deepest.__cause__ is not None:  # the message of rasterio is "see previous exception"
            deepest = deepest.__cause__
        reason = str(deepest).splitlines()[0].rstrip(".") if str(deepest) else type(deepest).__name__
        raise DataError(f"{path}: cannot be written: {reason}; check the disk's free space and permissions") from error
