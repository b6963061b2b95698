"""Mosaics: rasters of one or many files on one grid. Lazy: a window is read on request, from any thread."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.code_table import Codes, CodeTable
from cropcam.pipeline.encoding import BandEncoding
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid, Window, covering_window, resample_nearest, same_crs
from cropcam.pipeline.legend_sources import cdl
from cropcam.pipeline.rasters.label_codes import PERCENT, to_codes
from cropcam.pipeline.rasters.raster import Raster, open_raster
from cropcam.pipeline.rasters.values import Usual, ValueEncoding

_LANDSAT_BAND = re.compile(r"(?:sr_|st_)?b\d+(?![a-z0-9])")
_ANY = ValueEncoding(1.0, 0.0)
ALIGNED_PX = 1e-3  # a larger difference of origins is a shift, not rounding


@dataclass(frozen=True)
class RasterMosaic:
    """Image bands on one grid as they are stored, from one or several files of one type.

    `pieces` are (file, its window on the grid, its bands).
    """

    grid: PixelGrid
    bands: tuple[str, ...]
    pieces: tuple[tuple[Raster, Window, slice], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """File names, in order."""
        return tuple(raster.path.name for raster, _, _ in self.pieces)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Files, in order."""
        return tuple(raster.path for raster, _, _ in self.pieces)

    @property
    def encoding(self) -> BandEncoding:
        """What the stored values of each band mean."""
        by_bands = {bands.start: raster.encoding for raster, _, bands in self.pieces}
        return BandEncoding.joined(by_bands[start] for start in sorted(by_bands))

    def read(self, window: Window) -> npt.NDArray[Any]:
        """Stored values (band, y, x) of a window inside the grid; missing pixels have the nodata of `encoding`. Thread-safe."""
        encoding = self.encoding
        values = np.empty((len(self.bands), window.height, window.width), encoding.dtype)
        parts = [(raster, bands, shared) for raster, place, bands in self.pieces if (shared := intersection(window, place)) is not None]
        if sum(values[bands, here.slices[0], here.slices[1]].size for _, bands, (_, here) in parts) < values.size:
            values[:] = encoding.nodata_C.reshape(-1, 1, 1)
        for raster, bands, (there, here) in parts:
            raster.read_values(there, values[bands, here.slices[0], here.slices[1]])
        return values


@dataclass(frozen=True)
class LabelMosaic:
    """Label codes on one grid by exact nearest resampling, from one or several files on any grid; `table` is of all codes there are.

    `weights` are the same files' weights in per cent, where labels have any.
    """

    grid: PixelGrid
    rasters: tuple[Raster, ...]
    table: CodeTable = field(default_factory=cdl)
    weights: LabelMosaic | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """Files, in order."""
        return tuple(raster.path for raster in self.rasters)

    def read_weights(self, window: Window, codes: Codes) -> npt.NDArray[np.uint8] | None:
        """Weights (y, x) of a window in per cent, 0 where its codes are no label; None without weights. Raises as `read`."""
        return None if self.weights is None else np.where(self.table.labels[codes], self.weights.read(window), np.uint8(0))

    def read(self, window: Window, out: Codes | None = None) -> Codes:
        """Codes (y, x) of a window inside the grid, of the table's type, its `fill` = no label; written to `out` where given. Thread-safe.

        Raises:
            DataError: a file cannot be read, or a value is no code of the table.
        """
        target, table = self.grid.window(window), self.table
        codes: Codes = np.empty(target.shape_yx, table.dtype) if out is None else out
        places = [(raster, _on_lattice(raster.grid, self.grid)) for raster in self.rasters]
        shared = [(raster, place, place and intersection(window, place)) for raster, place in places]
        if len(shared) == 1 and (whole := shared[0][2]) is not None and whole[0][2:] == window[2:]:
            shared[0][0].read_codes(whole[0], codes, table)
            return codes
        codes[:] = table.fill
        for raster, place, both in shared:
            if both is not None:
                there, here = both
                piece = np.empty(here[2:], table.dtype)
                raster.read_codes(there, piece, table)
                np.copyto(codes[here.slices], piece, where=piece != table.fill)
            part = covering_window(raster.grid, target) if place is None else None
            if part is not None:
                source_codes = to_codes(raster.read(part)[0], raster.nodata[0], raster.path, table)
                resampled = resample_nearest(source_codes, raster.grid.window(part), target, fill=table.fill)
                np.copyto(codes, resampled, where=resampled != table.fill)
        return codes


def open_image(
    paths: Sequence[Path], bands: tuple[str, ...], encoding: ValueEncoding | None = None, usual: Sequence[Usual] | None = None
) -> RasterMosaic:
    """The user's image: several single-band files, one multi-band file, or a mix, all on one grid.

    Files or layers with the study's band names in their names are sorted into the study's order; otherwise the order of
    the files counts. `encoding` is what the user says of the values, `usual` what the sensor's table says of each band.

    Raises:
        DataError: a file is missing or damaged, lacks a CRS, is rotated, lies on another grid, or the bands do not
            add up to the study's.
    """
    encoding = encoding or ValueEncoding()
    rasters = [open_raster(path, _ANY) for path in paths]  # values are understood below, once each band is known
    first = rasters[0]
    for raster in rasters[1:]:
        _check_same_grid(first, raster)
    layers = [(raster, number, name) for raster in rasters for number, name in enumerate(raster.band_names)]
    if len(layers) != len(bands):
        raise DataError(
            f"{len(layers)} band{'s' if len(layers) != 1 else ''} in {len(rasters)} file(s), the study has {len(bands)} ({', '.join(bands)}); give each of them once"
        )
    if len({raster.dtype for raster in rasters}) > 1:
        kinds = ", ".join(f"{raster.path.name} {raster.dtype}" for raster in rasters)
        raise DataError(f"the image files differ in type: {kinds}; their values would not mean the same")
    rasters = _in_band_order(rasters, bands)
    place = Window(0, 0, *first.grid.shape_yx)
    encoding.check(bands)
    pieces, start = [], 0
    for raster in rasters:
        stop = start + len(raster.band_names)
        values = [(encoding.of_band(number), usual[number] if usual else None) for number in range(start, stop)]
        pieces.append((open_raster(raster.path, bands=values), place, slice(start, stop)))
        start = stop
    return RasterMosaic(first.grid, bands, tuple(pieces))


def open_labels(
    paths: Sequence[Path], grid: PixelGrid, table: CodeTable | None = None, band: int | str = "", weight: int | str = ""
) -> LabelMosaic:
    """Label rasters of any CRS and grid, to be read on `grid`.

    Args: `paths`, of which the last counts where they overlap; `table`, the codes there are, CDL's by default; `band` as of `open_raster`;
        `weight`, the band of weights in per cent, if there is one.

    Raises:
        DataError: a file is missing or damaged, holds no integers, several bands or not that one, or none meets the grid.
    """
    rasters = tuple(open_raster(path, labels=True, band=band) for path in paths)
    if all(covering_window(raster.grid, grid, margin_px=0) is None for raster in rasters):
        raise DataError(
            f"{rasters[0].path}: the labels do not overlap the image: labels {_bounds(rasters[0].grid)}, image {_bounds(grid)}; "
            "check that both show the same place"
        )
    return LabelMosaic(grid, rasters, table or cdl(), open_weights(paths, grid, weight) if weight else None)


def open_weights(paths: Sequence[Path], grid: PixelGrid, band: int | str) -> LabelMosaic:
    """The weights of labels, a band of their files: per cents, 0 without one; arguments as of `open_labels`."""
    return LabelMosaic(grid, tuple(open_raster(path, labels=True, band=band, key="weight") for path in paths), PERCENT)


def _check_same_grid(first: Raster, other: Raster) -> None:
    grid, other_grid = first.grid, other.grid
    if grid.shape_yx != other_grid.shape_yx:
        raise DataError(
            f"{other.path}: {other_grid.width} x {other_grid.height} px, {first.path.name} has {grid.width} x {grid.height}; all image files must share one grid"
        )
    if not same_crs(grid.crs, other_grid.crs):
        raise DataError(f"{other.path}: CRS {other_grid.crs}, {first.path.name} has {grid.crs}; all image files must share one grid")
    if not np.allclose(grid.transform, other_grid.transform, rtol=0, atol=abs(grid.transform[0]) * ALIGNED_PX):
        raise DataError(
            f"{other.path}: grid {other_grid.transform}, {first.path.name} has {grid.transform}; all image files must share one grid"
        )


def _in_band_order(rasters: list[Raster], bands: tuple[str, ...]) -> list[Raster]:
    """The files sorted so that their layers follow the study's order, if layer or file names identify the bands.

    Raises:
        DataError: the names identify other bands than the study's, or a multi-band file has another order.
    """
    named = [band for raster in rasters for band in _bands_named(raster, bands)]
    if not any(named):
        return rasters  # names without bands: the order of the files
    if sorted(map(str, named)) != sorted(bands):
        names = ", ".join(band or "?" for band in named)
        raise DataError(
            f"{rasters[0].path.parent}: the files' names have {names}, the study has {', '.join(bands)}; give each of them once"
        )
    if len(rasters) == len(named):
        return sorted(rasters, key=lambda raster: bands.index(str(_bands_named(raster, bands)[0])))
    for raster in rasters if tuple(named) != bands else ():
        raise DataError(_other_order(raster, tuple(map(str, named)), bands))
    return rasters


def _bands_named(raster: Raster, bands: tuple[str, ...]) -> list[str | None]:
    """The band of each layer by its description, or of a single-band file by its name; None where neither names a band."""
    names = [[name] for name in raster.band_names]
    if len(names) == 1:
        names[0].append(raster.path.stem)
    elif set(raster.band_names) == {raster.path.stem}:
        return [None] * len(names)  # layers without descriptions
    longest_first = sorted(bands, key=len, reverse=True)  # "infra_red" ends in "red"
    return [next((band for name in tried for band in longest_first if _ends_with(name, band)), None) for tried in names]


def _ends_with(name: str, band: str) -> bool:
    return re.search(rf"(^|[^A-Za-z0-9]){re.escape(band)}$", name, re.IGNORECASE) is not None


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


@lru_cache(maxsize=4096)
def _on_lattice(source_grid: PixelGrid, grid: PixelGrid) -> Window | None:
    """The window of a raster on `grid` if their pixels agree to a thousandth; None where it must be resampled."""
    if not same_crs(source_grid.crs, grid.crs):
        return None
    (a, _, c, _, e, f), (ga, _, gc, _, ge, gf) = source_grid.transform, grid.transform
    if abs(a / ga - 1) * source_grid.width > ALIGNED_PX or abs(e / ge - 1) * source_grid.height > ALIGNED_PX:
        return None
    col, row = (c - gc) / ga, (f - gf) / ge
    if abs(col - round(col)) > ALIGNED_PX or abs(row - round(row)) > ALIGNED_PX:
        return None
    return Window(round(row), round(col), source_grid.height, source_grid.width)


def _bounds(grid: PixelGrid) -> str:
    return f"{tuple(round(value, 4) for value in grid.bounds_xyxy)} {grid.crs if len(grid.crs) < 20 else 'in its own CRS'}"
