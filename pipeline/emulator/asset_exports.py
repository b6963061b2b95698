"""An export to an asset: one GeoTIFF per band and asset.json, in the form of the archive, whole or absent.

Masked pixels are kept in the mask of each GeoTIFF, so that every value of a band's type stays a value.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.windows import Window as RasterWindow

from cropcam.pipeline.emulator.archive_files import check_band_name
from cropcam.pipeline.emulator.asset_options import AssetOptions
from cropcam.pipeline.emulator.block_reader import Block, Reader
from cropcam.pipeline.emulator.encodings import ENGINE_TAG, geotiff_profile
from cropcam.pipeline.emulator.images import Band, LazyImage
from cropcam.pipeline.emulator.own_assets import IMAGE, OwnAssets
from cropcam.pipeline.emulator.values import Value
from cropcam.pipeline.grid import PixelGrid, Window

_VALID = 255
_OPTIONS = {"GDAL_TIFF_INTERNAL_MASK": "YES"}


class Progress(Protocol):
    """Receives the CPU time of each block, and may end the export."""

    def add(self, cpu_s: float) -> None:
        """Called after each block."""


def write_asset(
    assets: OwnAssets, options: AssetOptions, image: LazyImage, grid: PixelGrid, reader: Reader, folder: Path, progress: Progress
) -> str:
    """Compute an image and keep it as an asset; return the address of its page in the Code Editor.

    Args:
        assets: where it is kept.
        options: of the request.
        image: to compute.
        grid: its pixels.
        reader: evaluates blocks.
        folder: a temporary folder that does not exist yet.
        progress: receives the CPU time of each block.

    Raises:
        EngineError: the asset exists and may not be overwritten, or the evaluation fails.
    """
    assets.check_target(options.name, overwrite=options.overwrite)
    for name in image.names:
        check_band_name(name, options.name)
    folder.mkdir(parents=True)
    with _rasters(folder, image.bands, grid) as rasters:
        for block in reader.blocks(image, grid):
            for raster, values, mask in zip(rasters, block.values, block.mask, strict=True):
                raster.write(block, values, mask)
            progress.add(block.cpu_s)
    policies = dict(options.overrides)
    bands = [{"id": name, "pyramidingPolicy": policies.get(name, options.policy)} for name in image.names]
    properties = {key: value for key, value in image.properties.items() if key != "system:index" and _is_plain(value)}
    (folder / IMAGE).write_text(json.dumps({"bands": bands, "properties": properties, "made_by": ENGINE_TAG}), "utf-8")
    assets.publish(folder, options.name, overwrite=options.overwrite)
    return f"https://code.earthengine.google.com/?asset={options.name}"


class _Raster:
    """One band's file; its mask is begun at the first masked pixel."""

    def __init__(self, file: Any, dtype: np.dtype[Any]) -> None:  # noqa: ANN401 - rasterio's writer is not typed
        self._file, self._dtype = file, dtype
        self._whole: list[Window] | None = []  # windows without a masked pixel, until there is one

    def write(self, block: Block, values: npt.NDArray[Any], mask: npt.NDArray[np.bool_]) -> None:
        """Write one block."""
        self._file.write(values.astype(self._dtype, copy=False), 1, window=_window(block.window))
        if self._whole is not None:
            if mask.all():
                self._whole.append(block.window)
                return
            for window in self._whole:
                self._file.write_mask(np.full((window.height, window.width), _VALID, np.uint8), window=_window(window))
            self._whole = None
        self._file.write_mask(mask.astype(np.uint8) * _VALID, window=_window(block.window))


@contextmanager
def _rasters(folder: Path, bands: tuple[Band, ...], grid: PixelGrid) -> Iterator[list[_Raster]]:
    with rasterio.Env(**_OPTIONS), ExitStack() as opened:
        rasters = []
        for band in bands:
            dtype = band.type.dtype
            file = opened.enter_context(rasterio.open(folder / f"{band.name}.tif", "w", **geotiff_profile(grid, 1, dtype)))
            file.set_band_description(1, band.name)
            rasters.append(_Raster(file, dtype))
        yield rasters


def _window(window: Window) -> RasterWindow:
    return RasterWindow(window.col, window.row, window.width, window.height)


def _is_plain(value: Value) -> bool:
    """Whether a property is a number, a text or a list of these: others are not kept by an asset."""
    return isinstance(value, str | int | float) or (isinstance(value, list | tuple) and all(_is_plain(item) for item in value))
