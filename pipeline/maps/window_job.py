"""One window of a map: read, predicted, turned into bytes. Picklable, so that a cluster's workers do it. Axis suffixes: L layer, K class, Y/X pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.io import MemoryFile

from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.maps.quantised import Bytes, classes_of, quantised, sigmoids
from cropcam.pipeline.maps.windows import NODATA_CLASS, Area, Predict, Scores, Source, Values, has_data, read_block

CLASSES, UNSHIFTED, PROBABILITY, ENTROPY, ACTIVATION, LAYER = "class", "unshifted", "probability", "entropy", "activation", "layer"
DIGITS = 3  # after the point of a layer of numbers: more do not compress
TILE_PX = 512


class Block(NamedTuple):
    """A window's values, and which of its pixels the map covers."""

    values_CYX: Values
    valid_YX: npt.NDArray[np.bool_]


class Packed(NamedTuple):
    """A finished window as the bytes of GeoTIFF files: of its bytes, and of its layer of numbers where there is one."""

    layers: bytes
    numbers: bytes


@dataclass(frozen=True)
class WindowJob:
    """Makes windows.

    Attributes:
        source: the raster.
        predict: scores of a block.
        classes: their number.
        layers: names of the layers beside the classes, in any order.
        seasons: groups of bands, one behind the other; a pixel is nodata only where each of them has a nodata band.
        region: pixels outside it are nodata.
    """

    source: Source
    predict: Predict
    classes: int
    layers: tuple[str, ...] = ()
    seasons: int = 1
    region: Area | None = None

    @property
    def bands(self) -> dict[str, tuple[int, ...]]:
        """The bands, from 1, of each layer of bytes in a window's file."""
        counts = {CLASSES: 1, UNSHIFTED: 1, PROBABILITY: self.classes, ENTROPY: 1, ACTIVATION: self.classes}
        found: dict[str, tuple[int, ...]] = {}
        first = 1
        for name, count in counts.items():
            if name == CLASSES or name in self.layers:
                found[name] = tuple(range(first, first + count))
                first += count
        return found

    def __call__(self, window: Window) -> Packed:
        """A finished window."""
        return self.packed(window, self.scored(self.read(window)))

    def read(self, window: Window) -> Block | None:
        """The values of a window with the predictor's halo; None where the map has no pixel in it."""
        if self.region is not None and not self.region.meets(window):
            return None
        halo_px = self.predict.halo_px
        values_CYX = read_block(
            self.source, window, halo_px
        )  # the halo keeps its values: pixels at the border are what they are without a region
        valid_YX = has_data(values_CYX[:, halo_px : halo_px + window.height, halo_px : halo_px + window.width], self.seasons)
        if self.region is not None:
            valid_YX &= self.region.inside(window)
        return Block(values_CYX, valid_YX) if valid_YX.any() else None

    def scored(self, block: Block | None) -> tuple[Scores, npt.NDArray[np.bool_]] | None:
        """The scores of a window and its valid pixels."""
        return None if block is None else (self.predict(block.values_CYX), block.valid_YX)

    def packed(self, window: Window, scored: tuple[Scores, npt.NDArray[np.bool_]] | None) -> Packed:
        """The bytes of a window's files."""
        grid, count = self.source.grid.window(window), sum(map(len, self.bands.values()))
        layers_LYX = np.full((count, window.height, window.width), NODATA_CLASS, np.uint8)
        numbers_1YX = np.full((1, window.height, window.width), np.nan, np.float32)
        if scored is not None:
            for name, found in self._layers(*scored).items():
                layers_LYX[[band - 1 for band in self.bands[name]]] = found
            if (layer_YX := scored[0].layer_YX) is not None:
                numbers_1YX[0] = np.where(scored[1], np.round(layer_YX, DIGITS), np.nan)
        return Packed(geotiff(layers_LYX, grid, NODATA_CLASS), geotiff(numbers_1YX, grid, np.nan) if LAYER in self.layers else b"")

    def _layers(self, scores: Scores, valid_YX: npt.NDArray[np.bool_]) -> dict[str, Bytes]:
        found: dict[str, Bytes] = {}
        if {PROBABILITY, ENTROPY} & {*self.layers}:
            every = quantised(scores.logits_KYX, valid_YX)
            found = {CLASSES: every.class_YX, PROBABILITY: every.probability_KYX, ENTROPY: every.entropy_YX}
        else:
            found[CLASSES] = classes_of(scores.logits_KYX, valid_YX)
        if scores.unshifted_KYX is not None:
            found[UNSHIFTED] = classes_of(scores.unshifted_KYX, valid_YX)
        if scores.activations_KYX is not None:
            found[ACTIVATION] = sigmoids(scores.activations_KYX, valid_YX)
        return {name: layer for name, layer in found.items() if name in self.bands}


def geotiff(layers_LYX: npt.NDArray[np.generic], grid: PixelGrid, nodata: float) -> bytes:
    """Bands as a GeoTIFF with fast compression."""
    count, height, width = layers_LYX.shape
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            dtype=layers_LYX.dtype,
            count=count,
            height=height,
            width=width,
            crs=grid.crs,
            transform=rasterio.Affine(*grid.transform),
            nodata=nodata,
            interleave="band",
            tiled=True,
            blockxsize=TILE_PX,
            blockysize=TILE_PX,
            compress="zstd",
            zstd_level=1,
        ) as dataset:
            dataset.write(layers_LYX)
        return bytes(memory.read())
