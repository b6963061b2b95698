"""The user's own image for a study: its files in the study's order, with the values of the study's sensor, and derived bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.band_expressions import Term, evaluate
from cropcam.pipeline.encoding import BandEncoding, physical_layers
from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.rasters.checked import checked, meaning_of
from cropcam.pipeline.rasters.layers import known_layers
from cropcam.pipeline.rasters.mosaic import RasterMosaic, image_of
from cropcam.pipeline.rasters.products import check_collection, check_level
from cropcam.pipeline.rasters.raster import open_stored
from cropcam.pipeline.rasters.values import Usual, ValueEncoding
from cropcam.pipeline.runtime.console import detail
from cropcam.pipeline.sensor import DEFAULT
from cropcam.pipeline.study.image import Image


@dataclass(frozen=True)
class DerivedImage:
    """An image and bands derived from it, all float32 in the physical unit, -9999 = missing; as `RasterMosaic` otherwise.

    `terms` are the expressions of the derived bands of one season; `seasons` how many seasons `source` has, one behind the other.
    """

    source: RasterMosaic
    bands: tuple[str, ...]
    terms: tuple[Term, ...]
    names_of_bands: tuple[str, ...]  # of the source's bands within a season
    seasons: int

    @property
    def grid(self) -> PixelGrid:
        """The source's."""
        return self.source.grid

    @property
    def names(self) -> tuple[str, ...]:
        """File names, in order."""
        return self.source.names

    @property
    def paths(self) -> tuple[Path, ...]:
        """Files, in order."""
        return self.source.paths

    @property
    def repeated(self) -> tuple[str, ...]:
        """Names of the bands whose pixels are coarser than the grid's."""
        return self.source.repeated

    @property
    def encoding(self) -> BandEncoding:
        """What the values of each band mean."""
        return physical_layers(len(self.bands))

    def read(self, window: Window) -> npt.NDArray[Any]:
        """Values (band, y, x) float32 of a window inside the grid; computed in double precision, as Earth Engine does. Thread-safe."""
        stored_CYX, encoding = self.source.read(window), self.source.encoding
        scale_C, offset_C = (np.array(values).reshape(-1, 1, 1) for values in (encoding.scale, encoding.offset))
        physical_CYX = np.where(encoding.valid(stored_CYX), stored_CYX.astype(np.float64) * scale_C + offset_C, np.nan)
        parts = []
        for season_CYX in np.split(physical_CYX, self.seasons):
            of_band = dict(zip(self.names_of_bands, season_CYX, strict=True))
            parts += [season_CYX, *(evaluate(term, of_band)[None] for term in self.terms)]
        values_CYX = np.concatenate(parts).astype(np.float32)
        values_CYX[~np.isfinite(values_CYX)] = np.float32(self.encoding.fill)
        return values_CYX


def open_own_image(paths: Sequence[Path], image: Image, encoding: ValueEncoding | None = None) -> RasterMosaic | DerivedImage:
    """The user's image: several single-band files, one multi-band file, or a mix, all on one grid.

    Files with as many layers as the study has bands and derived bands hold all of them; with as many as it has bands, derived bands are computed.

    Args:
        paths: the files.
        image: the study's section: bands, sensor, derived bands.
        encoding: meaning of the values by the user; the rest is by tags, sensor and type.

    Raises:
        DataError: as `raster.open_raster` and `mosaic.image_of`; values that the sensor cannot have, or a product of another level.
        ConfigError: another number of values in `encoding` than of bands.
    """
    rasters = [open_stored(path) for path in paths]
    for raster in rasters:
        detail(f"raster {raster.path}: {len(raster.band_names)} bands of {raster.dtype}")
        check_level(raster.path, raster.tags, raster.band_names, image.table.level, image.table.title)
    has_all = image.derived and sum(len(raster.band_names) for raster in rasters) == len(image.layers)
    bands = image.layers if has_all or not image.derived else image.source_layers
    physical = [Usual(image.table.title, False, 1.0, 0.0, image.encoding.fill)] * len(bands)  # integers need --scale
    source = image_of(rasters, bands, encoding, physical if has_all else _usual(image), known_layers(image, bands))
    for raster, _, _ in source.pieces:
        check_collection(raster.path, raster.dtype.name, raster.encoding.scale[0], image.table.scale)
    source = checked(source, meaning_of(image, bands))
    if bands == image.layers:
        return source
    return DerivedImage(source, image.layers, tuple(image.terms.values()), image.bands, len(image.seasons))


def _usual(image: Image) -> list[Usual] | None:
    """Meaning of each layer by the sensor's table; None for the default, whose files are read by type."""
    if image.sensor == DEFAULT:
        return None
    table, of = image.table, image.source_encoding
    is_whole = table.dtype != "float32"
    return [
        Usual(table.title, is_whole, scale, offset, float(nodata or 0), table.baseline_offset)
        for scale, offset, nodata in zip(of.scale, of.offset, of.nodata, strict=True)
    ]
