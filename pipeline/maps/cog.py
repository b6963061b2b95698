"""Layers of a map as Cloud Optimized GeoTIFFs: converted, compared with the windows they come from, published."""

from __future__ import annotations

import html
import os
import warnings
from collections.abc import Iterable, Iterator
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

TILE_PX = 512
_COMPARED_PX = 2048


def is_map(path: Path) -> bool:
    """Whether `path` is a class map of this project, or a raster made with one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a raster without a place
            with rasterio.open(path) as dataset:
                return str(dataset.tags().get("TIFFTAG_SOFTWARE", "")).startswith("cropcam")
    except (RasterioError, OSError):
        return False


def check_places(rasters: Iterable[Path], others: Iterable[Path] = ()) -> None:
    """Refuse, before any work, a raster in the place of a foreign file, and any file inside a patch store.

    Args:
        rasters: maps and layers to be written.
        others: further files to be written, whose writers look at the file that is there.

    Raises:
        DataError: names the place.
    """
    for path in (kept := list(rasters)):
        if path.exists() and not path.is_dir() and not is_map(path):
            raise DataError(f"{path}: is there already and is no map that cropcam wrote; choose another name, or move that file away")
    for path in (*kept, *others):
        if store := next((folder for folder in path.resolve().parents if (folder / "zarr.json").is_file()), None):
            raise DataError(f"{path}: lies inside the store {store}; choose a place outside it")


def make_room(path: Path, kind: str) -> None:
    """Make the folder of a file that will be written; `kind` is map or layer.

    Raises:
        DataError: `path` is a folder, or the disk refuses.
    """
    with disk_errors(path):
        if path.is_dir():
            raise DataError(f"{path}: is a folder; give the file name of the {kind}, for example {path / f'{kind}.tif'}")
        path.parent.mkdir(parents=True, exist_ok=True)


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
    sidecar, made = _sidecar(path), _sidecar(cog)
    if legend is not None:
        made.write_text(_categories(legend), "utf-8")
    for file in (cog, made) if legend is not None else (cog,):
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
    sidecar.unlink(missing_ok=True)  # class names of an older map never describe the new map
    cog.replace(path)
    if legend is not None:
        made.replace(sidecar)


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
