"""From finished windows to the files of a map: sieved, converted, compared, measured, published."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import rasterio

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.maps.areas import measure
from cropcam.pipeline.maps.class_map import open_map
from cropcam.pipeline.maps.cog import convert, disk_errors, publish
from cropcam.pipeline.maps.pixel_areas import pixel_hectares
from cropcam.pipeline.maps.sidecars import remove_sidecars
from cropcam.pipeline.maps.sieve import least_pixels, sieved
from cropcam.pipeline.maps.window_files import Layer, WindowFiles
from cropcam.pipeline.maps.window_job import CLASSES, UNSHIFTED
from cropcam.pipeline.maps.windows import NODATA_CLASS
from cropcam.pipeline.runtime.atomic import temporary_path

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Wanted:
    """The files of a map.

    Attributes:
        paths: file by layer; the class map among them.
        layers: the content of each file.
        legend: of the class map.
        sieve_ha: smallest patch of a class that stays on the class map; 0 = all stay.
    """

    paths: Mapping[str, Path]
    layers: Mapping[str, Layer]
    legend: Legend
    sieve_ha: float = 0.0


class Done(NamedTuple):
    """A published map.

    Attributes:
        pixels_K: pixels of each class.
        nodata_pixels: pixels without a class.
        hectares_K: geodesic area of each class; empty where the CRS does not reach the pixels.
        unshifted_hectares_K: as it would be without a shift to known class areas; empty without one.
    """

    pixels_K: list[int]
    nodata_pixels: int
    hectares_K: list[float]
    unshifted_hectares_K: list[float]


def finish(files: WindowFiles, wanted: Wanted, bands: Mapping[str, tuple[int, ...]]) -> Done | None:
    """Turn the windows into the map's files; None, and nothing made, where no pixel has a class.

    Each file is complete before the first is published; the class map comes last. The caller holds a lock of each path.

    Raises:
        DataError: the disk refuses.
    """
    classes = len(wanted.legend)
    pixels_V, unshifted_V = _counts(files, bands)
    if pixels_V[:classes].sum() == 0:
        return None
    out, sieved_name = wanted.paths[CLASSES], "sieved.tif"
    made: dict[str, Path] = {}
    with ExitStack() as stack:
        for name, path in wanted.paths.items():
            layer = wanted.layers[name]
            with disk_errors(path):
                raster = files.mosaic(name, layer)
                folder = stack.enter_context(temporary_path(path))  # beside it: a layer may lie on another disk than the map
                folder.mkdir()
                made[name] = folder / path.name
                if name == CLASSES and wanted.sieve_ha:
                    sieved(raster, least_pixels(files.grid, wanted.sieve_ha), files.folder / sieved_name)
                    raster = files.mosaic(name, layer, sieved_name)
                convert(raster, made[name], layer)
        hectares_K = _hectares(made[CLASSES])
        remove_sidecars(out)
        for name in sorted(made, key=lambda name: name == CLASSES):
            with disk_errors(wanted.paths[name]):
                publish(made[name], wanted.paths[name], wanted.legend if name == CLASSES else None)
    if wanted.sieve_ha:
        with disk_errors(out), rasterio.open(out) as dataset:
            pixels_V[:] = 0
            for _, place in dataset.block_windows(1):
                pixels_V += np.bincount(dataset.read(1, window=place).ravel(), minlength=256)
    unshifted = unshifted_V[:classes].tolist() if hectares_K and UNSHIFTED in bands else []
    return Done(pixels_V[:classes].tolist(), int(pixels_V[NODATA_CLASS]), hectares_K, unshifted)


def _counts(files: WindowFiles, bands: Mapping[str, tuple[int, ...]]) -> tuple[npt.NDArray[np.int64], Floats]:
    """Pixels by class index, and hectares by unshifted class index, over all windows (256,)."""
    pixels_V, unshifted_V = np.zeros(256, np.int64), np.zeros(256)
    for window in files.windows:
        with rasterio.open(files.path(window)) as dataset:
            pixels_V += np.bincount(dataset.read(1).ravel(), minlength=256)
            if UNSHIFTED in bands:
                before_YX = dataset.read(bands[UNSHIFTED][0])
                with suppress(DataError):  # the CRS does not reach the pixels, whose areas are then left out
                    hectares_YX = np.broadcast_to(pixel_hectares(files.grid, window), before_YX.shape)
                    unshifted_V += np.bincount(before_YX.ravel(), hectares_YX.ravel(), 256)
    return pixels_V, unshifted_V


def _hectares(path: Path) -> list[float]:
    try:
        return [float(hectares) for hectares in measure(open_map(path)).whole.hectares_K]
    except DataError:  # the CRS does not reach the pixels
        return []
