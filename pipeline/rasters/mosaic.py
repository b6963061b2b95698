"""Sources of pixels on one grid, from one file or many. Lazy: a window is read when asked for, from any thread."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid, Window, covering_window, resample_nearest, same_crs
from cropcam.pipeline.rasters.raster import Conversion, Raster, open_raster, to_codes
from cropcam.pipeline.store.schema import NODATA_DN

_LANDSAT_BAND = re.compile(r"(?:sr_|st_)?b\d+(?![a-z0-9])")
ALIGNED_PX = 1e-3  # origins that differ by more are shifted, not rounded


@dataclass(frozen=True)
class Source:
    """Image bands on one grid as Collection 2 DN, from one or several files.

    `pieces` are (file, where its upper left lies on the grid, which of the bands it holds).
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

    def tile_edges(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Rows, and columns, at which no tile of any file is cut, ascending, the grid's last among them."""
        return self._edges(0), self._edges(1)

    def _edges(self, axis: int) -> npt.NDArray[np.int64]:
        edges = np.arange(1, self.grid.shape_yx[axis] + 1)
        whole = np.ones(edges.shape, bool)
        for raster, place, _ in self.pieces:
            start, length = place[axis], place[2 + axis]
            within = (edges > start) & (edges < start + length)
            whole &= ~within | ((edges - start) % raster.tile_shape_yx[axis] == 0)
        return edges[whole]

    def read(self, window: Window, out: npt.NDArray[np.uint16] | None = None) -> npt.NDArray[np.uint16]:
        """DN (band, y, x) of a window inside the grid, 0 = nodata; in `out`, of that shape, where it is given. Thread-safe."""
        dn = np.empty((len(self.bands), window.height, window.width), np.uint16) if out is None else out
        parts = [(raster, bands, shared) for raster, place, bands in self.pieces if (shared := meeting(window, place)) is not None]
        if sum(dn[bands, here.slices[0], here.slices[1]].size for _, bands, (_, here) in parts) < dn.size:
            dn[:] = NODATA_DN
        for raster, bands, (there, here) in parts:
            raster.read_dn(there, dn[bands, here.slices[0], here.slices[1]])
        return dn


@dataclass(frozen=True)
class LabelSource:
    """CDL codes brought onto one grid by exact nearest resampling, from one or several files on any grid."""

    grid: PixelGrid
    rasters: tuple[Raster, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        """Files, in order."""
        return tuple(raster.path for raster in self.rasters)

    def read(self, window: Window, out: npt.NDArray[np.uint8] | None = None) -> npt.NDArray[np.uint8]:
        """CDL codes (y, x) of a window inside the grid, 0 = nodata; in `out`, of that shape, where it is given. Thread-safe.

        Raises:
            DataError: a file cannot be read, or holds a value that is no code.
        """
        target = self.grid.window(window)
        codes = np.empty(target.shape_yx, np.uint8) if out is None else out
        places = [(raster, _on_lattice(raster.grid, self.grid)) for raster in self.rasters]
        shared = [(raster, place, place and meeting(window, place)) for raster, place in places]
        if len(shared) == 1 and (whole := shared[0][2]) is not None and whole[0][2:] == window[2:]:
            shared[0][0].read_codes(whole[0], codes)
            return codes
        codes[:] = 0
        for raster, place, both in shared:
            if both is not None:
                there, here = both
                found = np.empty(here[2:], np.uint8)
                raster.read_codes(there, found)
                np.copyto(codes[here.slices], found, where=found != 0)
            part = covering_window(raster.grid, target) if place is None else None
            if part is not None:
                own = to_codes(raster.read(part)[0], raster.nodata, raster.path)
                resampled = resample_nearest(own, raster.grid.window(part), target, fill=0)
                np.copyto(codes, resampled, where=resampled != 0)
        return codes


def open_image(paths: Sequence[Path], bands: tuple[str, ...], conversion: Conversion | None = None) -> Source:
    """The user's own image: several single-band files, one multi-band file, or a mix, all on one grid.

    Files or layers whose names carry the study's band names are put in the study's order; otherwise the order given
    counts.

    Raises:
        DataError: a file is missing or damaged, lacks a CRS, is rotated, lies on another grid, or the bands do not
            add up to the study's.
    """
    rasters = [open_raster(path, conversion) for path in paths]
    first = rasters[0]
    for raster in rasters[1:]:
        _check_same_grid(first, raster)
    layers = [(raster, number, name) for raster in rasters for number, name in enumerate(raster.band_names)]
    if len(layers) != len(bands):
        raise DataError(
            f"{len(layers)} band{'s' if len(layers) != 1 else ''} in {len(rasters)} file(s), the study has {len(bands)} ({', '.join(bands)}); give each of them once"
        )
    if len({dtype for raster in rasters for dtype in [raster.dtype]}) > 1:
        kinds = ", ".join(f"{raster.path.name} {raster.dtype}" for raster in rasters)
        raise DataError(f"the image files differ in type: {kinds}; their values would not mean the same")
    rasters = _in_band_order(rasters, bands)
    place = Window(0, 0, *first.grid.shape_yx)
    pieces, start = [], 0
    for raster in rasters:
        stop = start + len(raster.band_names)
        pieces.append((raster, place, slice(start, stop)))
        start = stop
    return Source(first.grid, bands, tuple(pieces))


def open_labels(paths: Sequence[Path], grid: PixelGrid) -> LabelSource:
    """CDL rasters of any CRS and grid, to be read on `grid`.

    Raises:
        DataError: a file is missing or damaged, holds no integers or several bands, or none meets the grid.
    """
    rasters = tuple(open_raster(path, labels=True) for path in paths)
    if all(covering_window(raster.grid, grid, margin_px=0) is None for raster in rasters):
        raise DataError(
            f"{rasters[0].path}: the labels do not overlap the image: labels {_bounds(rasters[0].grid)}, image {_bounds(grid)}; "
            "check that both show the same place"
        )
    return LabelSource(grid, rasters)


def _check_same_grid(first: Raster, other: Raster) -> None:
    one, two = first.grid, other.grid
    if one.shape_yx != two.shape_yx:
        raise DataError(
            f"{other.path}: {two.width} x {two.height} px, {first.path.name} has {one.width} x {one.height}; all image files must share one grid"
        )
    if not same_crs(one.crs, two.crs):
        raise DataError(f"{other.path}: CRS {two.crs}, {first.path.name} has {one.crs}; all image files must share one grid")
    if not np.allclose(one.transform, two.transform, rtol=0, atol=abs(one.transform[0]) * ALIGNED_PX):
        raise DataError(f"{other.path}: grid {two.transform}, {first.path.name} has {one.transform}; all image files must share one grid")


def _in_band_order(rasters: list[Raster], bands: tuple[str, ...]) -> list[Raster]:
    """The files so that their layers follow the study's order, if the layers' or the files' names say which band each is.

    Raises:
        DataError: some names say it and do not make up the study's bands, or a multi-band file has them in another order.
    """
    named = [band for raster in rasters for band in _bands_named(raster, bands)]
    if not any(named):
        return rasters  # names that say nothing: the order given
    if sorted(map(str, named)) != sorted(bands):
        found = ", ".join(band or "?" for band in named)
        raise DataError(f"{rasters[0].path.parent}: the files' names say {found}, the study has {', '.join(bands)}; give each of them once")
    if len(rasters) == len(named):
        return sorted(rasters, key=lambda raster: bands.index(str(_bands_named(raster, bands)[0])))
    for raster in rasters if tuple(named) != bands else ():
        raise DataError(_other_order(raster, tuple(map(str, named)), bands))
    return rasters


def _bands_named(raster: Raster, bands: tuple[str, ...]) -> list[str | None]:
    """Which of the bands each layer is by its description, or a single-band file by its name; None where neither says."""
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
    found, wanted = [name.lower() for name in raster.band_names], [band.lower() for band in bands]
    if set(found) == set(wanted) and found != wanted:
        raise DataError(_other_order(raster, raster.band_names, bands))
    known = {match[0] for band in wanted if (match := _LANDSAT_BAND.match(band))}
    if known and any(
        (match := _LANDSAT_BAND.match(name)) and match[0] not in known for name in found
    ):  # suffixes, as of a reducer or a season, may differ
        raise DataError(
            f"{raster.path}: its bands are named {', '.join(raster.band_names)}, the study has {', '.join(bands)}; export it with the study's bands"
        )


def _other_order(raster: Raster, found: tuple[str, ...], bands: tuple[str, ...]) -> str:
    return f"{raster.path}: bands in the order {', '.join(found)}, the study has {', '.join(bands)}; write them in that order (gdal_translate -b)"


def meeting(window: Window, place: Window) -> tuple[Window, Window] | None:
    """What `window` and a piece at `place` share, in the piece's pixels and in the window's; None if nothing."""
    top, left = max(window.row, place.row), max(window.col, place.col)
    bottom = min(window.row + window.height, place.row + place.height)
    right = min(window.col + window.width, place.col + place.width)
    if top >= bottom or left >= right:
        return None
    size = (bottom - top, right - left)
    return Window(top - place.row, left - place.col, *size), Window(top - window.row, left - window.col, *size)


@lru_cache(maxsize=4096)
def _on_lattice(own: PixelGrid, grid: PixelGrid) -> Window | None:
    """Where a raster lies on `grid` if its pixels are the grid's own, to a thousandth; None where it must be resampled."""
    if not same_crs(own.crs, grid.crs):
        return None
    (a, _, c, _, e, f), (ga, _, gc, _, ge, gf) = own.transform, grid.transform
    if abs(a / ga - 1) * own.width > ALIGNED_PX or abs(e / ge - 1) * own.height > ALIGNED_PX:
        return None
    col, row = (c - gc) / ga, (f - gf) / ge
    if abs(col - round(col)) > ALIGNED_PX or abs(row - round(row)) > ALIGNED_PX:
        return None
    return Window(round(row), round(col), own.height, own.width)


def _bounds(grid: PixelGrid) -> str:
    return f"{tuple(round(value, 4) for value in grid.bounds_xyxy)} {grid.crs if len(grid.crs) < 20 else 'in its own CRS'}"
