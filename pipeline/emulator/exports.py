"""One image export: blocks in, GeoTIFF files out, each complete or absent.

Files land in `OUT/drive/FOLDER/PREFIX.tif` (`PREFIX (1).tif` where the folder has one of the name) and, over an older one,
in `OUT/gs/BUCKET/PREFIX.tif`; an image over one file's dimensions becomes
PREFIX-ROW-COLUMN.tif with each file's first row and column, ten digits each, as in Earth Engine.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import rasterio
import rasterio.shutil

from cropcam.pipeline.emulator import budget
from cropcam.pipeline.emulator import limits as service
from cropcam.pipeline.emulator.asset_exports import write_asset
from cropcam.pipeline.emulator.block_reader import Reader, block_side
from cropcam.pipeline.emulator.cloud_storage import CloudStorage
from cropcam.pipeline.emulator.drive import Drive
from cropcam.pipeline.emulator.encodings import ENGINE_TAG, common_type, describe, geotiff_profile, write_block
from cropcam.pipeline.emulator.fault_injection import EXPORT_FOLDER, Faults
from cropcam.pipeline.emulator.images import LazyImage
from cropcam.pipeline.emulator.limits import Limits
from cropcam.pipeline.emulator.memory_model import check_tile
from cropcam.pipeline.emulator.own_assets import OwnAssets
from cropcam.pipeline.emulator.requests import ExportRequest, Json, parse_grid
from cropcam.pipeline.grid import PixelGrid, tiles
from cropcam.pipeline.runtime.atomic import temporary_path

_BEGIN_S = 600.0  # until the first block; the service's limit is not documented
PARTIAL = ".partial"  # files being written, beside drive/ and gs/


class Watch(Protocol):
    """Receives the progress of an export, and may end it."""

    def blocks(self, done: int, total: int, cpu_s: float) -> None:
        """Called after each block with the counts and its CPU time; raises to end the export."""

    def stores(self) -> None:
        """Called before each file moves to its destination; raises to end the export."""


class Exporter:
    """Runs exports into one folder."""

    def __init__(
        self,
        image: Callable[[Json], LazyImage],
        reader: Reader,
        limits: Limits,
        out: Path,
        drive: Drive,
        storage: CloudStorage,
        faults: Faults,
        assets: OwnAssets,
    ) -> None:
        self._image, self._reader, self._limits, self._out = image, reader, limits, out
        self._drive, self._storage, self._faults, self._assets = drive, storage, faults, assets

    def run(self, task_id: str, request: ExportRequest, watch: Watch) -> list[str]:
        """Write the files of one export; return the URI of their place.

        Complete files stay when a later file fails, as on the service.

        Raises:
            EngineError: the image is too large, unbounded, its evaluation fails, or the bucket cannot be written to.
        """
        with budget.limited(_BEGIN_S):
            image = self._image(request.expression)
            grid = parse_grid(request.grid, image.grid, "Unable to export unbounded image.")
            dtypes = [band.type.dtype for band in image.bands]
        if request.asset is not None:
            service.check_export(grid.width, grid.height, dtypes[:1], request.max_pixels)
            check_tile(image, grid, request.tile_px, self._limits)
            with temporary_path(self._out / PARTIAL / task_id) as folder:
                counted = _Counted(watch, _block_count(grid, image))
                return [write_asset(self._assets, request.asset, image, grid, self._reader, folder, counted)]
        service.check_export(grid.width, grid.height, dtypes, request.max_pixels)
        if request.no_data is not None:
            service.check_no_data(request.no_data, dtypes[0])
        pixel_bytes = sum(dtype.itemsize for dtype in dtypes)
        windows = service.plan_files(grid.width, grid.height, pixel_bytes, request.file_size, request.tile_px, self._limits)
        check_tile(image, grid, request.tile_px, self._limits)
        counted = _Counted(watch, sum(_block_count(grid.window(window), image) for window in windows))
        store, uri = self._place(request)
        for window in windows:
            offsets = f"-{window.row:010}-{window.col:010}" if len(windows) > 1 else ""
            with temporary_path(self._out / PARTIAL / f"{task_id}.tif") as folder:
                if path := self._write(request, image, grid.window(window), folder, counted):
                    store(f"{request.prefix}{offsets}.tif", path)
        return [uri]

    def _place(self, request: ExportRequest) -> tuple[Callable[[str, Path], object], str]:
        """Stores a file under its name in the place of a request; the URI of that place."""
        if request.kind == "gs":
            self._storage.check_writable(request.place)
            return partial(self._storage.add, request.place), self._storage.uri(request.place, request.prefix)
        fault = self._faults.take(EXPORT_FOLDER)
        folder = self._drive.folder(request.place, always_new=fault is not None and fault.kind == "new_folder")
        return partial(self._drive.add, folder), self._drive.uri(folder)

    def _write(self, request: ExportRequest, image: LazyImage, grid: PixelGrid, folder: Path, watch: _Counted) -> Path | None:
        """Write one file into a temporary folder; None where it is empty and such files are to be skipped."""
        folder.mkdir(parents=True)
        path = folder / "plain.tif"
        has_any = self._fill(request, image, grid, path, watch)
        if request.skip_empty and not has_any:
            return None
        watch.stores()
        return _cloud_optimized(path, request.tile_px) if request.cloud_optimized else path

    def _fill(self, request: ExportRequest, image: LazyImage, grid: PixelGrid, path: Path, watch: _Counted) -> bool:
        """Write every block; return whether any pixel is valid."""
        dtype = common_type(image.bands)
        has_any = False
        profile = geotiff_profile(grid, len(image.bands), dtype, request.tile_px)
        with rasterio.open(path, "w", **profile, nodata=request.no_data) as file:
            describe(file, image.bands)
            for block in self._reader.blocks(image, grid):
                write_block(file, block, dtype, request.no_data)
                has_any = has_any or bool(np.any(block.mask))
                watch.add(block.cpu_s)
        return has_any


class _Counted:
    """Blocks counted over all files of one export."""

    def __init__(self, watch: Watch, total: int) -> None:
        self._watch, self._total, self._done = watch, total, 0

    def add(self, cpu_s: float) -> None:
        self._done += 1
        self._watch.blocks(self._done, self._total, cpu_s)

    def stores(self) -> None:
        self._watch.stores()


def _block_count(grid: PixelGrid, image: LazyImage) -> int:
    side = block_side(grid, image.bands)
    return sum(1 for _ in tiles(grid.shape_yx, (side, side)))


def _cloud_optimized(path: Path, tile_px: int) -> Path:
    """The same pixels as a Cloud Optimized GeoTIFF, in the same folder."""
    cog = path.with_name("cog.tif")
    options = {"driver": "COG", "BLOCKSIZE": tile_px, "COMPRESS": "LZW", "OVERVIEW_RESAMPLING": "NEAREST", "BIGTIFF": "IF_SAFER"}
    rasterio.shutil.copy(path, cog, **options)
    return cog


__all__ = ["ENGINE_TAG", "PARTIAL", "Exporter", "Watch"]
