"""One raster file: its grid, and its values as Collection 2 DN or CDL codes, window by window."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import rasterio
import rioxarray
import xarray as xr
from rasterio.errors import RasterioError

from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.legend import IS_CDL
from cropcam.pipeline.store.schema import NODATA_DN, OFFSET, SCALE

# rioxarray warns at each window; raw values are read, and their encoding was decided when the file was opened
warnings.filterwarnings("ignore", "(Scales|Offsets) differ across bands", UserWarning)


@dataclass(frozen=True)
class ValueEncoding:
    """How stored values become Collection 2 DN; None leaves it to the file's tags, then to its type."""

    scale: float | None = None
    offset: float | None = None
    nodata: float | None = None

    def __post_init__(self) -> None:
        if self.scale is not None and not (np.isfinite(self.scale) and self.scale != 0):
            raise ConfigError(f"--scale {self.scale}: reflectance = value x scale + offset needs a finite scale other than 0")
        if self.offset is not None and not np.isfinite(self.offset):
            raise ConfigError(f"--offset {self.offset}: reflectance = value x scale + offset needs a finite offset")


@dataclass(frozen=True)
class Raster:
    """One file: its grid, the type of its values and their encoding to DN. Opened for each window, in any thread or process."""

    path: Path
    grid: PixelGrid
    dtype: np.dtype[Any]
    band_names: tuple[str, ...]
    scale: float
    offset: float
    nodata: float | None
    tile_shape_yx: tuple[int, int] = (1, 1)  # of the tiles or strips of the file
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def holds_dn(self) -> bool:
        """Whether the stored values are Collection 2 DN with 0 as nodata, as they are."""
        return self.dtype == np.uint16 and (self.scale, self.offset, self.nodata) == (SCALE, OFFSET, NODATA_DN)

    @property
    def holds_codes(self) -> bool:
        """Whether the stored values are CDL codes with 0 as nodata, as they are."""
        return self.dtype == np.uint8 and self.nodata in {None, 0}

    def read(self, window: Window, out: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
        """Raw values (band, y, x) of a window inside the grid; written to `out`, of the file's dtype, where given.

        Raises:
            DataError: the file ends early or is damaged there.
        """
        try:
            if out is None:
                opened = rioxarray.open_rasterio(self.path, chunks=None, cache=False, lock=False)
                with cast("xr.DataArray", opened) as values:  # several subdatasets were refused when the file was opened
                    return values[:, *window.slices].to_numpy()
            with rasterio.open(self.path) as file:  # into `out`: a second array in xarray would double the cost
                file.read(window=((window.row, window.row + window.height), (window.col, window.col + window.width)), out=out)
                return out
        except (RasterioError, OSError) as error:
            reason = _reason(error)
        # not raised above: with GDAL's error as its context it could not be pickled by a cluster's worker
        raise DataError(
            f"{self.path}: cannot be read at rows {window.row}..{window.row + window.height}: truncated or damaged ({reason}); "
            "fetch the file again"
        )

    def read_dn(self, window: Window, out: npt.NDArray[np.uint16]) -> None:
        """Collection 2 DN (band, y, x) of a window inside the grid to `out`, 0 = nodata."""
        if self.holds_dn:
            self.read(window, out)
        else:
            out[:] = to_dn(self.read(window), self.scale, self.offset, self.nodata)

    def read_codes(self, window: Window, out: npt.NDArray[np.uint8]) -> None:
        """CDL codes (y, x) of a window inside the grid to `out`, 0 = nodata.

        Raises:
            DataError: the file is damaged there, or holds a value that is no code.
        """
        if self.holds_codes:
            self.read(window, out[None])
            to_codes(out, self.nodata, self.path)
        else:
            out[:] = to_codes(self.read(window)[0], self.nodata, self.path)


def to_dn(values: npt.NDArray[Any], scale: float, offset: float, nodata: float | None) -> npt.NDArray[np.uint16]:
    """Stored values as Collection 2 DN: floor((value * scale + offset + 0.2) / 0.0000275 + 0.5), clamped to 1..65535.

    Nodata, NaN and infinite values become 0. Values that already are DN stay as they are: 0 is nodata in addition to a tagged value.
    """
    missing = np.zeros(values.shape, bool)
    if values.dtype.kind == "f":
        missing = ~np.isfinite(values)
    if nodata is not None and not np.isnan(nodata):
        missing |= values == np.float64(nodata).astype(values.dtype) if values.dtype.kind == "f" else values == nodata
    if scale == SCALE and offset == OFFSET:
        missing |= values == NODATA_DN
        dn = np.where(
            missing, NODATA_DN, np.clip(values, 1, 65535) if values.dtype.kind != "f" else np.floor(np.clip(values, 1, 65535) + 0.5)
        )
    else:
        with np.errstate(invalid="ignore", over="ignore"):
            dn = np.floor((values.astype(np.float64) * scale + offset - OFFSET) / SCALE + 0.5)
            dn = np.where(missing, NODATA_DN, np.clip(dn, 1, 65535))
    return dn.astype(np.uint16)


def to_codes(values: npt.NDArray[Any], nodata: float | None, path: Path) -> npt.NDArray[np.uint8]:
    """Values of a label raster as CDL codes, nodata as 0.

    Raises:
        DataError: a value is no code that a CDL uses.
    """
    present = values[values != nodata] if nodata is not None and values.dtype != np.uint8 else values
    if present.size and values.dtype != np.uint8:
        low, high = int(present.min()), int(present.max())
        if low < 0 or high > 255:
            raise DataError(f"{path}: holds label {high if high > 255 else low}; CDL codes are 0..255: give a CDL raster")
    codes = (np.where(values == nodata, 0, values) if nodata else values).astype(np.uint8, copy=False)  # 0 is nodata already
    from cropcam.pipeline import kernels  # noqa: PLC0415 - an export opens rasters too, and needs no compiler

    if not kernels.all_in(codes, IS_CDL):
        raise DataError(
            f"{path}: holds label {codes[~IS_CDL[codes]][0]}, which no CDL uses: give a CDL raster, or tag its nodata value (gdal_edit.py -a_nodata)"
        )
    return codes


def open_raster(path: Path, encoding: ValueEncoding | None = None, labels: bool = False) -> Raster:
    """One raster; only its header is read.

    Args:
        path: a raster that GDAL reads.
        encoding: overrides the file's scale, offset and nodata; images only.
        labels: the file has CDL codes in one band of integers.

    Raises:
        DataError: missing, damaged, without CRS, rotated, or of a type without an agreed meaning.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        with rasterio.open(path) as file:
            if file.subdatasets and not file.count:
                raise DataError(f"{path}: holds several subdatasets; give one of them")
            if len(set(file.dtypes)) > 1:
                raise DataError(
                    f"{path}: its bands are of different types ({', '.join(sorted(set(file.dtypes)))}); give them one, for example with gdal_translate -ot"
                )
            about = (file.crs, file.transform, file.width, file.height, file.scales, file.offsets, file.nodatavals, file.descriptions)
            dtype, tile, tags = np.dtype(file.dtypes[0]), file.block_shapes[0], file.tags()
    except (RasterioError, OSError) as error:
        raise DataError(f"{path}: no readable raster ({_reason(error)}); fetch the file again") from None
    crs, transform, width, height, scales, offsets, nodatas, descriptions = about
    if crs is None:
        raise DataError(
            f"{path}: has no CRS; fetch the file again if it was cut short, else assign the CRS, for example with gdal_edit.py -a_srs EPSG:n"
        )
    if transform.b or transform.d or transform.a <= 0 or transform.e >= 0:
        raise DataError(f"{path}: is rotated or not north-up (transform {tuple(transform)[:6]}); warp it first, for example with gdalwarp")
    grid = PixelGrid(crs.to_string(), tuple(transform)[:6], width, height)
    names = tuple(text or path.stem for text in descriptions)
    if labels:
        return _label_raster(path, grid, dtype, names, nodatas[0], tile, tags)
    scale, offset, missing = _value_encoding(path, dtype, encoding or ValueEncoding(), scales, offsets, nodatas)
    return Raster(path, grid, dtype, names, scale, offset, missing, tile, tags)


def _label_raster(
    path: Path,
    grid: PixelGrid,
    dtype: np.dtype[Any],
    names: tuple[str, ...],
    nodata: float | None,
    tile: tuple[int, int],
    tags: Mapping[str, str],
) -> Raster:
    if dtype.kind not in "iu":
        raise DataError(f"{path}: labels are {dtype}; CDL codes are integers 0..255: give a CDL raster")
    if len(names) != 1:
        raise DataError(f"{path}: {len(names)} bands; labels are one band of CDL codes")
    return Raster(path, grid, dtype, names, 1.0, 0.0, nodata, tile, tags)


def _value_encoding(
    path: Path,
    dtype: np.dtype[Any],
    requested: ValueEncoding,
    scales: Sequence[float],
    offsets: Sequence[float],
    nodatas: Sequence[float | None],
) -> tuple[float, float, float | None]:
    for name, tagged, given in (
        ("scale", scales, requested.scale),
        ("offset", offsets, requested.offset),
        ("nodata", nodatas, requested.nodata),
    ):
        if given is None and len(set(map(str, tagged))) > 1:  # as text: NaN is not equal to itself
            raise DataError(f"{path}: its bands carry different {name} tags ({', '.join(map(str, tagged))}); give one with --{name}")
    by_type = {
        "uint16": (SCALE, OFFSET, 0.0),
        "int16": (0.0001, 0.0, -9999.0),
        "float32": (1.0, 0.0, -9999.0),
        "float64": (1.0, 0.0, -9999.0),
    }
    is_tagged = (scales[0], offsets[0]) != (1.0, 0.0)
    if dtype.name not in by_type and requested.scale is None and not is_tagged:
        raise DataError(
            f"{path}: values of type {dtype.name} have no agreed meaning; give --scale and --offset (reflectance = value x scale + offset)"
        )
    scale, offset, missing = by_type.get(dtype.name, (1.0, 0.0, None))
    if is_tagged:
        scale, offset = scales[0], offsets[0]
    scale = scale if requested.scale is None else requested.scale
    offset = offset if requested.offset is None else requested.offset
    return scale, offset, next((value for value in (requested.nodata, nodatas[0]) if value is not None), missing)


def _reason(error: Exception) -> str:
    deepest: BaseException = error
    while deepest.__cause__ is not None:
        deepest = deepest.__cause__
    return str(deepest).splitlines()[0].rstrip(".")
