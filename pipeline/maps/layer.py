"""A layer of numbers beside a map as a Cloud Optimized GeoTIFF: written window by window, converted, verified, published."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.maps.cog import convert, create, disk_errors, holds, make_room, raster_window
from cropcam.pipeline.maps.windows import WriteLayer
from cropcam.pipeline.runtime.atomic import exclusive_lock, temporary_path

DIGITS = 3  # after the point: more do not compress


@contextmanager
def written_layer(path: Path, grid: PixelGrid, description: str, tags: Mapping[str, str], block_px: int) -> Iterator[WriteLayer]:
    """A function that writes windows of a layer; the file is published at `path`, complete and verified, when the block succeeds.

    float32, NaN = nodata, three digits after the point, deflate, overviews by the mean. A failed block leaves nothing.

    Args:
        path: of the layer.
        grid: its grid.
        description: of its band.
        tags: provenance.
        block_px: side of the windows that will be written; every pixel once.

    Raises:
        DataError: the disk refuses, the file differs from the written pixels, or another process writes to `path`.
    """
    make_room(path, "layer")
    checksums: dict[Window, int] = {}
    with exclusive_lock(path), temporary_path(path) as folder:
        raw, cog = folder / "raw.tif", folder / path.name
        with disk_errors(path):
            folder.mkdir()
            dataset = create(raw, grid, "float32", float("nan"), block_px)
            dataset.set_band_description(1, description)
            dataset.update_tags(**tags)

        def write(window: Window, layer_YX: npt.NDArray[np.float32]) -> None:
            rounded_YX = np.round(layer_YX, DIGITS)
            with disk_errors(path):
                dataset.write(rounded_YX, 1, window=raster_window(window))
            checksums[window] = zlib.crc32(rounded_YX.tobytes())

        try:
            yield write
        finally:
            with disk_errors(path):
                dataset.close()
        with disk_errors(path):
            convert(raw, cog, overviews="average", predictor="FLOATING_POINT")
            with rasterio.open(cog) as after:
                if not holds(after, checksums):
                    raise DataError(f"{path}: what arrived on the disk is not what was written; check the disk and its free space")
            with cog.open("rb") as handle:
                os.fsync(handle.fileno())
            cog.replace(path)
