"""One image export: blocks in, GeoTIFF files out, each complete or absent.

Files land in `OUT/drive/FOLDER/PREFIX.tif` and `OUT/gs/BUCKET/PREFIX.tif`; an image over one file's dimensions becomes
PREFIX-ROW-COLUMN.tif with each file's first row and column, ten digits each, as in Earth Engine.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import rasterio
import rasterio.shutil

from cropcam.pipeline.emulator import limits as service
from cropcam.pipeline.emulator.block_reader import Reader, block_side
from cropcam.pipeline.emulator.encodings import ENGINE_TAG, common_type, describe, geotiff_profile, write_block
from cropcam.pipeline.emulator.images import LazyImage
from cropcam.pipeline.emulator.limits import Limits
from cropcam.pipeline.emulator.requests import ExportRequest, Json, parse_grid
from cropcam.pipeline.grid import PixelGrid, tiles
from cropcam.pipeline.runtime.atomic import publish, temporary_path

PARTIAL = ".partial"  # files being written, beside drive/ and gs/


class Watch(Protocol):
    """Receives the progress of an export, and may end it."""

    def blocks(self, done: int, total: int, cpu_s: float) -> None:
        """Called after each block with the counts and its CPU time; raises to end the export."""

    def stores(self) -> None:
        """Called before each file moves to its destination; raises to end the export."""


class Exporter:
    """Runs exports into one folder."""

    def __init__(self, image: Callable[[Json], LazyImage], reader: Reader, limits: Limits, out: Path) -> None:
        self._image, self._reader, self._limits, self._out = image, reader, limits, out

    def run(self, task_id: str, request: ExportRequest, watch: Watch) -> list[str]:
        """Write the files of one export; return their URIs.

        Complete files stay when a later file fails, as on the service.

        Raises:
            EngineError: the image is too large, unbounded, or its evaluation fails.
        """
        image = self._image(request.expression)
        grid = parse_grid(request.grid, image.grid, "Unable to export unbounded image.")
        dtypes = [band.type.dtype for band in image.bands]
        service.check_export(grid.width, grid.height, dtypes, request.max_pixels)
        if request.no_data is not None:
            service.check_no_data(request.no_data, dtypes[0])
        pixel_bytes = sum(dtype.itemsize for dtype in dtypes)
        windows = service.plan_files(grid.width, grid.height, pixel_bytes, request.file_size, request.tile_px, self._limits)
        counted = _Counted(watch, sum(_block_count(grid.window(window), image) for window in windows))
        target = self.target(request)
        target.parent.mkdir(parents=True, exist_ok=True)
        for window in windows:
            offsets = f"-{window.row:010}-{window.col:010}" if len(windows) > 1 else ""
            final = target.with_name(f"{target.name}{offsets}.tif")
            with temporary_path(self._out / PARTIAL / f"{task_id}.tif") as folder:
                self._write(request, image, grid.window(window), folder, final, counted)
        return [target.parent.resolve().as_uri()]

    def target(self, request: ExportRequest) -> Path:
        """Path of the files of a request, without offsets and suffix."""
        if request.kind == "gs":
            return self._out / "gs" / request.place / request.prefix
        return self._out / "drive" / _folder_name(request.place) / request.prefix

    def _write(self, request: ExportRequest, image: LazyImage, grid: PixelGrid, folder: Path, final: Path, watch: _Counted) -> None:
        """Write one file into a temporary folder and move it to `final`."""
        folder.mkdir(parents=True)
        path = folder / "plain.tif"
        has_any = self._fill(request, image, grid, path, watch)
        if request.skip_empty and not has_any:
            return
        watch.stores()
        publish(_cloud_optimized(path, request.tile_px) if request.cloud_optimized else path, final)

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


def _folder_name(folder: str) -> str:
    """A Drive folder's name as one local folder name: on Drive "a/b" is one name. "" is the root."""
    name = folder.replace("%", "%25").replace("/", "%2F")
    return name.replace(".", "%2E") if name.strip(".") == "" else name


__all__ = ["ENGINE_TAG", "PARTIAL", "Exporter", "Watch"]
