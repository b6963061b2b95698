"""What the stored values of image bands mean: type, scale, offset and nodata, band by band.

Axis suffixes: C bands, Y and X pixels; leading axes are free.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

# Landsat Collection 2 Level 2 surface reflectance (USGS LSDS-1619): reflectance = DN x SCALE + OFFSET, DN 0 is fill
SCALE, OFFSET, NODATA_DN = 0.0000275, -0.2, 0
NODATA_PHYSICAL = -9999.0  # of float32 layers: Earth Engine writes no NaN


@dataclass(frozen=True)
class BandEncoding:
    """Physical value = stored value x scale + offset, per band; a stored value equal to nodata, or NaN, is missing.

    Attributes:
        dtype: numpy's name of the stored type, for example "uint16".
        scale: one factor per band.
        offset: one addend per band, in the physical unit.
        nodata: the stored value of a missing pixel per band; None = every value of the band is valid. NaN only where `dtype` is a float.
    """

    dtype: str
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    nodata: tuple[float | None, ...]

    def __len__(self) -> int:
        return len(self.scale)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BandEncoding) and self.attrs() == other.attrs()  # NaN, as text, is equal to itself

    def __hash__(self) -> int:
        return hash((self.dtype, self.scale, self.offset))

    @classmethod
    def uniform(cls, dtype: str, bands: int, scale: float, offset: float, nodata: float | None) -> BandEncoding:
        """The same meaning for `bands` bands."""
        return cls(dtype, (scale,) * bands, (offset,) * bands, (nodata,) * bands)

    @classmethod
    def joined(cls, parts: Iterable[BandEncoding]) -> BandEncoding:
        """The bands of several encodings of one type, one behind the other."""
        parts = list(parts)
        scale, offset, nodata = (sum((getattr(part, name) for part in parts), ()) for name in ("scale", "offset", "nodata"))
        return cls(parts[0].dtype, scale, offset, nodata)

    @property
    def is_uniform(self) -> bool:
        """Whether all bands have one scale, offset and nodata."""
        return all(len({*map(str, values)}) == 1 for values in (self.scale, self.offset, self.nodata))

    @property
    def fill(self) -> float:
        """The stored value for pixels that are not there: the first band's nodata, 0 without any."""
        return 0.0 if self.nodata[0] is None else self.nodata[0]

    @property
    def nodata_C(self) -> npt.NDArray[Any]:
        """Nodata of each band in the stored type; `fill` where a band has none."""
        return np.array([self.fill if value is None else value for value in self.nodata], self.dtype)

    @property
    def has_nodata_C(self) -> npt.NDArray[np.bool_]:
        """Whether each band has a nodata value."""
        return np.array([value is not None for value in self.nodata])

    def valid(self, values_CYX: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Whether each stored value (..., C, Y, X) is one: neither nodata nor NaN."""
        shape = (-1, 1, 1)
        is_valid: npt.NDArray[np.bool_] = (values_CYX != self.nodata_C.reshape(shape)) | ~self.has_nodata_C.reshape(shape)
        return is_valid & (values_CYX == values_CYX) if values_CYX.dtype.kind == "f" else is_valid  # noqa: PLR0124 - NaN alone differs

    def valid_of(self, band: int, values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Whether each stored value of one band is one; as `valid`."""
        nodata = self.nodata[band]
        is_valid: npt.NDArray[np.bool_] = np.isfinite(values) if values.dtype.kind == "f" else np.ones(values.shape, bool)
        return is_valid if nodata is None else is_valid & (values != self.nodata_C[band])

    def physical(self, values_CYX: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Stored values (..., C, Y, X) as float32 in the physical unit, NaN = missing."""
        scale, offset = (np.array(values, np.float32).reshape(-1, 1, 1) for values in (self.scale, self.offset))
        with np.errstate(over="ignore", invalid="ignore"):  # a nodata value such as -3.4e38 overflows
            physical: npt.NDArray[np.float32] = values_CYX.astype(np.float32)
            physical *= scale
            physical += offset
        np.copyto(physical, np.float32(np.nan), where=~self.valid(values_CYX))
        return physical

    def cf_attrs(self) -> dict[str, Any]:
        """CF attributes of bands that all have one meaning; none otherwise."""
        if not self.is_uniform:
            return {}
        missing = {} if self.nodata[0] is None else {"_FillValue": np.dtype(self.dtype).type(self.nodata[0])}
        return {"scale_factor": self.scale[0], "add_offset": self.offset[0], **missing}

    def coordinates(self) -> dict[str, npt.NDArray[np.float64]]:
        """Scale, offset and nodata (NaN = none) along the bands, for bands that differ in one of them; none otherwise: `cf_attrs` has them."""
        if self.is_uniform:
            return {}
        return {name: np.array(getattr(self, name), np.float64) for name in ("scale", "offset", "nodata")}

    def attrs(self) -> dict[str, Any]:
        """JSON values; nodata NaN as the text "NaN"."""
        nodata = ["NaN" if value is not None and math.isnan(value) else value for value in self.nodata]
        return {"dtype": self.dtype, "scale": list(self.scale), "offset": list(self.offset), "nodata": nodata}

    @classmethod
    def from_attrs(cls, attrs: Mapping[str, Any]) -> BandEncoding:
        """The inverse of `attrs`."""
        nodata = tuple(None if value is None else float(value) for value in attrs["nodata"])
        return cls(str(np.dtype(attrs["dtype"])), tuple(map(float, attrs["scale"])), tuple(map(float, attrs["offset"])), nodata)


def physical_layers(bands: int) -> BandEncoding:
    """Of float32 layers in the physical unit; -9999 = missing."""
    return BandEncoding.uniform("float32", bands, 1.0, 0.0, NODATA_PHYSICAL)


def held(value: float, dtype: np.dtype[Any]) -> bool:
    """Whether a type has that value; NaN and infinity do not count."""
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return bool(np.isfinite(dtype.type(value)))
    limits = np.iinfo(dtype)
    return float(value).is_integer() and limits.min <= value <= limits.max
