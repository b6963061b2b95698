"""Mosaics: rasters of one or many files on one grid. Lazy: a window is read on request, from any thread."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.crs import same_crs
from cropcam.pipeline.encoding import BandEncoding
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import ALIGNED_PX, PixelGrid, Window, lattice_offset
from cropcam.pipeline.rasters.layers import Known, in_order, known_by_name
from cropcam.pipeline.rasters.plausible import Meaning, block_fault
from cropcam.pipeline.rasters.raster import Raster, understood
from cropcam.pipeline.rasters.refusals import number, refusal
from cropcam.pipeline.rasters.values import Usual, ValueEncoding

_LANDSAT_BAND = re.compile(r"(?:sr_|st_)?b\d+(?![a-z0-9])")


@dataclass(frozen=True)
class RasterMosaic:
    """Image bands on one grid as they are stored, from one or several files of one type.

    `pieces` are (file, its window on the grid, its bands). With a `meaning` values that the sensor cannot have are refused when they are read.
    """

    grid: PixelGrid
    bands: tuple[str, ...]
    pieces: tuple[tuple[Raster, Window, slice], ...]
    meaning: Meaning | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """File names, in order."""
        return tuple(raster.path.name for raster, _, _ in self.pieces)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Files, in order."""
        return tuple(raster.path for raster, _, _ in self.pieces)

    @property
    def repeated(self) -> tuple[str, ...]:
        """Names of the bands whose pixels are coarser than the grid's."""
        return tuple(name for raster, place, bands in self.pieces if raster.grid.width < place.width for name in self.bands[bands])

    @property
    def encoding(self) -> BandEncoding:
        """What the stored values of each band mean."""
        by_bands = {bands.start: raster.encoding for raster, _, bands in self.pieces}
        return BandEncoding.joined(by_bands[start] for start in sorted(by_bands))

    def read(self, window: Window) -> npt.NDArray[Any]:
        """Stored values (band, y, x) of a window inside the grid; missing pixels have the nodata of `encoding`. Thread-safe.

        Raises:
            DataError: a file is damaged there, or holds values that the sensor cannot have.
        """
        encoding = self.encoding
        values = np.empty((len(self.bands), window.height, window.width), encoding.dtype)
        parts = [(raster, bands, shared) for raster, place, bands in self.pieces if (shared := intersection(window, place)) is not None]
        if sum(values[bands, here.slices[0], here.slices[1]].size for _, bands, (_, here) in parts) < values.size:
            values[:] = encoding.nodata_C.reshape(-1, 1, 1)
        for raster, bands, (there, here) in parts:
            _read_piece(raster, there, values[bands, here.slices[0], here.slices[1]], self.grid)
        if self.meaning is not None and (fault := block_fault(values, encoding, self.meaning.ranges)) is not None:
            raise refusal(
                self.file_of(fault.band, parts), fault, encoding, self.meaning, f" in rows {window.row} to {window.row + window.height}"
            )
        return values

    @staticmethod
    def file_of(band: int, parts: Iterable[tuple[Raster, slice, Any]]) -> Raster:
        """The first of some pieces that has a band."""
        return next(raster for raster, bands, _ in parts if bands.start <= band < bands.stop)


def _read_piece(raster: Raster, there: Window, out: npt.NDArray[Any], grid: PixelGrid) -> None:
    """A window of a file, in pixels of the mosaic, to `out`; a coarser pixel is repeated."""
    times = round(raster.grid.transform[0] / grid.transform[0])
    if times == 1:
        raster.read_values(there, out)
        return
    top, left = there.row // times, there.col // times
    bottom, right = -(-(there.row + there.height) // times), -(-(there.col + there.width) // times)
    coarse = np.empty((len(out), bottom - top, right - left), out.dtype)
    raster.read_values(Window(top, left, bottom - top, right - left), coarse)
    rows = (there.row + np.arange(there.height)) // times - top
    out[:] = coarse[:, rows[:, None], (there.col + np.arange(there.width)) // times - left]


def image_of(
    rasters: list[Raster],
    bands: tuple[str, ...],
    encoding: ValueEncoding | None = None,
    usual: Sequence[Usual] | None = None,
    known: Known | None = None,
) -> RasterMosaic:
    """The user's image: several single-band files, one multi-band file, or a mix, on the grid of the finest; coarser pixels are repeated.

    Layers that tell which band they are, by name, number or wavelength, are put in the study's order; otherwise the order of the files counts.

    Args:
        rasters: the files, as `raster.open_stored` gives them.
        bands: of the study.
        encoding: meaning of the values by the user.
        usual: meaning of each band by the sensor's table.
        known: what the bands are called otherwise; by their names alone without it.

    Raises:
        DataError: a file does not fit the grid of the finest, or the bands do not add up to the study's.
    """
    encoding = encoding or ValueEncoding()
    first = min(rasters, key=lambda raster: raster.grid.transform[0])
    for raster in rasters:
        _check_nested(first, raster)
    layers = [(raster, number, name) for raster in rasters for number, name in enumerate(raster.band_names)]
    if len(layers) != len(bands):
        raise DataError(
            f"{len(layers)} band{'s' if len(layers) != 1 else ''} in {len(rasters)} file(s), the study has {len(bands)} ({', '.join(bands)}); give each of them once"
        )
    if len({raster.dtype for raster in rasters}) > 1:
        kinds = ", ".join(f"{raster.path.name} {raster.dtype}" for raster in rasters)
        raise DataError(f"the image files differ in type: {kinds}; their values would not mean the same")
    rasters = in_order(rasters, known or known_by_name(bands))
    place = Window(0, 0, *first.grid.shape_yx)
    encoding.check(bands)
    if encoding.scale is None:
        _check_scales(rasters)
    pieces, start = [], 0
    for raster in rasters:
        stop = start + len(raster.band_names)
        values = [(encoding.of_band(number), usual[number] if usual else None) for number in range(start, stop)]
        pieces.append((understood(raster, values), place, slice(start, stop)))
        start = stop
    return RasterMosaic(first.grid, bands, tuple(pieces))


def _check_nested(finest: Raster, other: Raster) -> None:
    """Refuse a file that lies neither on the grid of the finest one nor on one of its pixels taken together, as bands of 20 m over bands of 10 m."""
    grid, other_grid, name = finest.grid, other.grid, finest.path.name
    if not same_crs(grid.crs, other_grid.crs):
        raise DataError(f"{other.path}: CRS {other_grid.crs}, {name} has {grid.crs}; all image files must share one grid")
    times = max(round(other_grid.transform[0] / grid.transform[0]), 1)
    if (other_grid.height * times, other_grid.width * times) != grid.shape_yx:
        raise DataError(
            f"{other.path}: {other_grid.width} x {other_grid.height} px, {name} has {grid.width} x {grid.height}; all image files must share one grid, "
            "or lie on whole pixels of it taken together"
        )
    offset = lattice_offset(grid, other_grid, times)  # None where its pixels drift away over the width
    if offset is None or max(map(abs, offset)) > ALIGNED_PX:
        raise DataError(f"{other.path}: grid {other_grid.transform}, {name} has {grid.transform}; all image files must share one grid")


def _check_scales(rasters: Sequence[Raster]) -> None:
    """Refuse files of which some have a scale in their tags and others, with values of the same type, none: those were perhaps lost."""
    scales = [next((scale for scale, offset, _ in raster.tagged if (scale, offset) != (1.0, 0.0)), None) for raster in rasters]
    if None in scales and any(scales):
        bare, scaled = rasters[scales.index(None)], next(place for place, scale in enumerate(scales) if scale)
        raise DataError(
            f"{bare.path}: has no scale, {rasters[scaled].path.name} has {number(scales[scaled] or 1.0)}; give --scale and --offset: one number, or one for each band"
        )


def check_band_order(raster: Raster, bands: tuple[str, ...]) -> None:
    """Refuse a multi-band file whose layers carry the study's band names in another order, or are another Landsat band by name."""
    names, expected = [name.lower() for name in raster.band_names], [band.lower() for band in bands]
    if set(names) == set(expected) and names != expected:
        raise DataError(_other_order(raster, raster.band_names, bands))
    known = {match[0] for band in expected if (match := _LANDSAT_BAND.match(band))}
    if known and any(
        (match := _LANDSAT_BAND.match(name)) and match[0] not in known for name in names
    ):  # suffixes, as of a reducer or a season, may differ
        raise DataError(
            f"{raster.path}: its bands are named {', '.join(raster.band_names)}, the study has {', '.join(bands)}; export it with the study's bands"
        )


def _other_order(raster: Raster, order: tuple[str, ...], bands: tuple[str, ...]) -> str:
    return f"{raster.path}: bands in the order {', '.join(order)}, the study has {', '.join(bands)}; write them in that order (gdal_translate -b)"


def intersection(window: Window, place: Window) -> tuple[Window, Window] | None:
    """Intersection of `window` and a piece at `place`, in pixels of the piece and of the window; None if empty."""
    top, left = max(window.row, place.row), max(window.col, place.col)
    bottom = min(window.row + window.height, place.row + place.height)
    right = min(window.col + window.width, place.col + place.width)
    if top >= bottom or left >= right:
        return None
    size = (bottom - top, right - left)
    return Window(top - place.row, left - place.col, *size), Window(top - window.row, left - window.col, *size)
