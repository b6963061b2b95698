"""One raster file: its grid, and its values as they are stored, or label codes, window by window."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import rasterio
import rioxarray
import xarray as xr

from cropcam.pipeline.code_table import Codes, CodeTable
from cropcam.pipeline.encoding import BandEncoding, held
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.raster_errors import UNREADABLE, reason
from cropcam.pipeline.rasters.header import Header, read_header
from cropcam.pipeline.rasters.label_codes import label_band, to_codes
from cropcam.pipeline.rasters.masks import Masked, layer_places, masked, read_valid
from cropcam.pipeline.rasters.values import Usual, ValueEncoding, value_encoding

# rioxarray warns at each window; raw values are read, and their encoding was decided when the file was opened
warnings.filterwarnings("ignore", "(Scales|Offsets) differ across bands", UserWarning)

BandValues = tuple[ValueEncoding, Usual | None]


@dataclass(frozen=True)
class Raster:
    """One file: its grid and what its values mean. Opened for each window, in any thread or process.

    `nodata` is the file's value of a missing pixel per band; `read_values` replaces it by that of `encoding`, where they differ.
    """

    path: Path
    grid: PixelGrid
    band_names: tuple[str, ...]
    encoding: BandEncoding
    nodata: tuple[float | None, ...]
    tile_shape_yx: tuple[int, int] = (1, 1)  # of the tiles or strips of the file
    tags: Mapping[str, str] = field(default_factory=dict)
    numbers: tuple[int, ...] | None = None  # of the bands that are read, from 1; all without
    tagged: tuple[tuple[float, float, float | None], ...] = ()  # scale, offset and nodata of each band by the file's tags
    masked: Masked = ""  # the masks that the file has
    asked_nodata: float | None = None  # by the user
    also_missing: tuple[tuple[float, ...], ...] = ()  # further stored values of a missing pixel per band
    band_tags: tuple[Mapping[str, str], ...] = ()

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the stored values."""
        return np.dtype(self.encoding.dtype)

    def holds_codes(self, table: CodeTable) -> bool:
        """Whether the stored values are codes of a table as they are: of its type, and without a nodata value other than its own."""
        return self.dtype == table.dtype and self.nodata[0] in {None, table.fill} and not table.missing and not self.masked

    def of_layers(self, places: Sequence[int]) -> Raster:
        """The same file with some of its bands, in that order; places from 0."""
        of: dict[str, Any] = {name: tuple(values[place] for place in places) for name in _PER_BAND if (values := getattr(self, name))}
        numbers = tuple(place + 1 if self.numbers is None else self.numbers[place] for place in places)
        scale, offset, nodata = self.encoding.scale, self.encoding.offset, self.encoding.nodata
        one = [BandEncoding(self.encoding.dtype, (scale[place],), (offset[place],), (nodata[place],)) for place in places]
        return replace(self, encoding=BandEncoding.joined(one), numbers=numbers, **of)

    def read(self, window: Window, out: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
        """Raw values (band, y, x) of a window inside the grid; written to `out`, of the file's dtype, where given.

        Raises:
            DataError: the file ends early or is damaged there.
        """
        return _read(self.path, window, lambda: self._values(window, out))

    def _values(self, window: Window, out: npt.NDArray[Any] | None) -> npt.NDArray[Any]:
        if out is None:
            opened = rioxarray.open_rasterio(self.path, chunks=None, cache=False, lock=False)
            with cast("xr.DataArray", opened) as values:  # several subdatasets were refused when the file was opened
                bands = slice(None) if self.numbers is None else [number - 1 for number in self.numbers]
                return values[bands, *window.slices].to_numpy()
        with rasterio.open(self.path) as file:  # into `out`: a second array in xarray would double the cost
            file.read(self.numbers, window=_ranges(window), out=out)
        return out

    def read_valid(self, window: Window) -> npt.NDArray[np.bool_]:
        """Whether the file's masks leave each pixel of a window valid, (band or 1, y, x); raises as `read`."""
        if not self.masked:
            return np.ones((1, window.height, window.width), bool)
        return _read(self.path, window, lambda: self._valid(window))

    def _valid(self, window: Window) -> npt.NDArray[np.bool_]:
        with rasterio.open(self.path) as file:
            return read_valid(file, self.numbers or file.indexes, self.masked, _ranges(window))

    def read_values(self, window: Window, out: npt.NDArray[Any]) -> None:
        """Stored values (band, y, x) of a window inside the grid to `out`; a missing pixel has the nodata value of `encoding`."""
        self.read(window, out)
        self.hide_missing(out, self.read_valid(window) if self.masked else None)

    def hide_missing(self, values_CYX: npt.NDArray[Any], is_valid_CYX: npt.NDArray[np.bool_] | None) -> None:
        """Give missing pixels of stored values, as the file has them, the nodata value of `encoding`, in place; the masks are as of `read_valid`."""
        fill_missing(values_CYX, self.nodata, self.encoding, self.also_missing)
        if is_valid_CYX is not None:
            np.copyto(values_CYX, self.encoding.nodata_C.reshape(-1, 1, 1), where=~is_valid_CYX)

    def read_codes(self, window: Window, out: Codes, table: CodeTable) -> None:
        """Label codes (y, x) of a window inside the grid to `out`, of the table's type; `table.fill` = no label, as of a masked pixel.

        Raises:
            DataError: the file is damaged there, or holds a value that the table lacks.
        """
        if self.holds_codes(table):
            self.read(window, out[None])
            to_codes(out, self.nodata[0], self.path, table)
        else:
            values = self.read(window)[0]
            if self.masked:  # before the codes are looked up: what lies under a mask may be none
                is_valid = self.read_valid(window)[0]
                values = np.where(is_valid, values, table.fill if held(table.fill, self.dtype) else np.int64(table.fill))
            out[:] = to_codes(values, self.nodata[0], self.path, table)


_PER_BAND = ("band_names", "nodata", "tagged", "also_missing", "band_tags")


def fill_missing(
    values_CYX: npt.NDArray[Any], nodata: Sequence[float | None], encoding: BandEncoding, also: Sequence[tuple[float, ...]] = ()
) -> None:
    """Give missing pixels the nodata value of `encoding`, in place: infinite values, NaN, and the file's `nodata` and `also` values of each band."""
    further = also or [()] * len(nodata)
    for values, found, more, kept, target in zip(values_CYX, nodata, further, encoding.nodata, encoding.nodata_C, strict=True):
        if values.dtype.kind == "f":
            values[~np.isfinite(values)] = target
        for value in (found, *more):
            if value is not None and value != kept and held(value, values.dtype):
                values[values == values.dtype.type(value)] = target


def _read(path: Path, window: Window, read: Callable[[], npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """What `read` returns; GDAL's errors as one line that names the rows."""
    try:
        return read()
    except UNREADABLE as error:
        why = reason(error)
    # not raised above: with GDAL's error as its context it could not be pickled by a cluster's worker
    raise DataError(
        f"{path}: cannot be read at rows {window.row}..{window.row + window.height}: truncated or damaged ({why}); fetch the file again"
    )


def _ranges(window: Window) -> tuple[tuple[int, int], tuple[int, int]]:
    return (window.row, window.row + window.height), (window.col, window.col + window.width)


def open_raster(path: Path, encoding: ValueEncoding | None = None, labels: bool = False, band: int | str = "", key: str = "band") -> Raster:
    """One raster; only its header is read.

    Args:
        path: a raster that GDAL reads.
        encoding: overrides the file's scale, offset and nodata; images only.
        labels: the file has label codes in a band of integers.
        band: number from 1, or name, of that band; empty for the only one.
        key: of `[labels]` that names that band.

    Raises:
        DataError: missing, damaged, without CRS, rotated, or of a type without an agreed meaning.
    """
    if not labels:
        return understood((raster := open_stored(path)), [(encoding or ValueEncoding(), None)] * len(raster.band_names))
    header = read_header(path)
    raster = _stored(header)
    descriptions = [header.descriptions[place] for place in layer_places(header)]
    return raster.of_layers([label_band(path, raster.dtype, descriptions, band, key)])


def open_stored(path: Path) -> Raster:
    """One raster of an image, its values as they are stored, whatever they mean (`understood`); raises as `open_raster`."""
    raster = _stored(read_header(path))
    if raster.dtype.kind not in "iuf":
        raise DataError(
            f"{path}: values of type {raster.dtype.name} are not real numbers; convert them, for example with gdal_translate -ot Float32"
        )
    return raster


def understood(raster: Raster, asked: Sequence[BandValues]) -> Raster:
    """A raster of `open_stored` with the meaning of its values: for each band by what the user and the sensor's table have, else by tags and type.

    Raises:
        DataError: values of that type have no agreed meaning.
        ConfigError: the requested nodata value is none of the type.
    """
    is_tagged = any(tagged[:2] != (1.0, 0.0) for tagged in raster.tagged)
    values = [
        value_encoding(raster.path, raster.dtype, requested, tagged, usual, raster.tags, is_tagged=is_tagged, is_masked=bool(raster.masked))
        for (requested, usual), tagged in zip(asked, raster.tagged, strict=True)
    ]
    missing = tuple(
        found if (own := requested.nodata) is None or isinstance(own, tuple) else own
        for (requested, _), found in zip(asked, raster.nodata, strict=True)
    )
    given = next((float(own) for requested, _ in asked if (own := requested.nodata) is not None and not isinstance(own, tuple)), None)
    return replace(raster, encoding=BandEncoding.joined(values), nodata=missing, asked_nodata=given)


def _stored(header: Header) -> Raster:
    """A file's raster, values as they are stored."""
    names = tuple(text or header.path.stem for text in header.descriptions)
    stored = BandEncoding.uniform(header.dtype.name, len(names), 1.0, 0.0, None)
    tagged = tuple(zip(header.scales, header.offsets, header.nodata, strict=True))
    raster = Raster(
        header.path,
        header.grid,
        names,
        stored,
        header.nodata,
        header.tile_shape_yx,
        header.tags,
        tagged=tagged,
        masked=masked(header),
        band_tags=header.band_tags,
    )
    places = layer_places(header)
    return raster if len(places) in {0, len(names)} else raster.of_layers(places)
