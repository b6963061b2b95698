"""Layers of a map as Cloud Optimized GeoTIFFs: converted, compared with the windows they come from, published."""

from __future__ import annotations

import html
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterWindow

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import Window, tiles
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.maps.window_files import Layer
from cropcam.pipeline.raster_errors import UNREADABLE
from cropcam.pipeline.runtime.outputs import is_marked

TILE_PX = 512
MARK = '<Metadata domain="cropcam"><MDI key="made_by">cropcam</MDI></Metadata>'  # GDAL keeps it where it writes the file anew
_COMPARED_PX = 2048


def is_class_map(path: Path) -> bool:
    """Whether `path` is a class map of cropcam's."""
    return (tags := _tags(path)) is not None and "layer" not in tags


def is_layer(path: Path) -> bool:
    """Whether `path` is a raster that was made with a map of cropcam's."""
    return (tags := _tags(path)) is not None and "layer" in tags


def _tags(path: Path) -> Mapping[str, str] | None:
    """The tags of a raster of cropcam's; None of any other file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a raster without a place
            with rasterio.open(path) as dataset:
                tags: dict[str, str] = dataset.tags()
    except UNREADABLE:
        return None
    return tags if tags.get("TIFFTAG_SOFTWARE", "").startswith("cropcam") else None


def convert(raster: Path, cog: Path, layer: Layer) -> None:
    """Copy a raster of any format to a Cloud Optimized GeoTIFF, deflate; overviews by the most frequent class or by the mean. GDAL reports a full disk late or never, so what arrived is compared.

    Raises:
        DataError: other pixels arrived.
        RasterioError: GDAL refuses.
    """
    rasterio.shutil.copy(
        raster,
        cog,
        driver="COG",
        compress="deflate",
        blocksize=TILE_PX,
        overview_resampling="mode" if layer.colors else "average",
        predictor="FLOATING_POINT" if layer.is_numbers else "NO",
        bigtiff="if_safer",
        num_threads="all_cpus",
    )
    with rasterio.open(raster) as before, rasterio.open(cog) as after:
        same = (after.crs, after.shape, after.dtypes) == (before.crs, before.shape, before.dtypes)
        same = same and np.allclose(tuple(after.transform)[:6], tuple(before.transform)[:6], rtol=1e-12)
        for window in tiles(before.shape, (_COMPARED_PX, _COMPARED_PX)):
            place = raster_window(window)
            if not same or not np.array_equal(before.read(window=place), after.read(window=place), equal_nan=layer.is_numbers):
                raise DataError(f"{cog}: what arrived on the disk is not what was written; check the disk and its free space")


def publish(cog: Path, path: Path, legend: Legend | None = None) -> None:
    """Give a finished file its name; with a legend, its class names beside it for GDAL and QGIS.

    Raises:
        OSError: the disk refuses.
    """
    sidecar, made = metadata_path(path), metadata_path(cog)
    if legend is not None:
        made.write_text(_categories(legend), "utf-8")
    for file in (cog, made) if legend is not None else (cog,):
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
    sidecar.unlink(missing_ok=True)  # class names of an older map never describe the new map
    cog.replace(path)
    if legend is not None:
        made.replace(sidecar)


def metadata_path(path: Path) -> Path:
    """Where GDAL keeps what a raster's file has no place for, its persistent auxiliary metadata."""
    return path.parent / f"{path.name}.aux.xml"


def is_metadata_of_map(path: Path) -> bool:
    """Whether such a file is of a map that is there, or was made with one: GDAL adds to it."""
    return _tags(path.with_name(path.name.removesuffix(".aux.xml"))) is not None or is_marked(path, MARK.encode())


def _categories(legend: Legend) -> str:
    """The legend as GDAL's persistent auxiliary metadata, which gdalinfo and QGIS read; a GeoTIFF itself has no place for it.

    Source: https://gdal.org/en/stable/user/raster_data_model.html (category names).
    """
    names = "\n".join(f"      <Category>{html.escape(name)}</Category>" for name in legend.names)
    return f"""<PAMDataset>
  {MARK}
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
