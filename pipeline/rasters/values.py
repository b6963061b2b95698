"""What the stored values of an image file mean: as the user says, else by the file's tags, the sensor's table, and the type."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cropcam.pipeline.encoding import NODATA_DN, OFFSET, SCALE, BandEncoding, held
from cropcam.pipeline.errors import ConfigError, DataError

_BY_TYPE = {"uint16": (SCALE, OFFSET), "int16": (0.0001, 0.0), "float32": (1.0, 0.0), "float64": (1.0, 0.0)}
_BASELINE = re.compile(r"_N(\d{4})_")  # in the name of a Sentinel-2 product: S2A_MSIL2A_20220705T165849_N0400_R069_T15TYH_...
_WITH_OFFSET = 400  # processing baseline 04.00
Numbers = float | tuple[float, ...] | None


@dataclass(frozen=True)
class ValueEncoding:
    """What the user says of stored values, for all bands or one number for each in the study's order; None leaves it to tags, sensor and type."""

    scale: Numbers = None
    offset: Numbers = None
    nodata: Numbers = None

    def __post_init__(self) -> None:
        rule = "physical value = value x scale + offset"
        for value in _each(self.scale):
            if not (np.isfinite(value) and value != 0):
                raise ConfigError(f"--scale {value}: {rule} needs a finite scale other than 0")
        for value in _each(self.offset):
            if not np.isfinite(value):
                raise ConfigError(f"--offset {value}: {rule} needs a finite offset")

    def of_band(self, place: int) -> ValueEncoding:
        """The same for one band, by its place in the study's order."""
        values = (self.scale, self.offset, self.nodata)
        return ValueEncoding(*(value[place] if isinstance(value, tuple) else value for value in values))

    def check(self, bands: Sequence[str]) -> None:
        """Refuse lists of another length than the bands.

        Raises:
            ConfigError: names the option and both numbers.
        """
        for name, value in vars(self).items():
            if isinstance(value, tuple) and len(value) != len(bands):
                raise ConfigError(
                    f"--{name}: {len(value)} numbers for {len(bands)} bands ({', '.join(bands)}); give one number, or one for each band"
                )


@dataclass(frozen=True)
class Usual:
    """What a sensor's table says of one band in files of its integers: `scale` and `offset`, and `nodata`.

    `baseline_offset` is added for products of Sentinel-2's processing baseline 04.00 and later; 0 = the sensor knows no such offset.
    """

    title: str
    is_whole: bool  # whether the sensor's own values are integers
    scale: float
    offset: float
    nodata: float
    baseline_offset: float = 0.0


def value_encoding(
    path: Path,
    dtype: np.dtype[Any],
    requested: ValueEncoding,
    tagged: tuple[float, float, float | None],
    usual: Usual | None,
    tags: Mapping[str, str],
    *,
    is_tagged: bool,
    is_masked: bool = False,
) -> BandEncoding:
    """One band's meaning.

    Args:
        path: of the file.
        dtype: of its values.
        requested: by the user.
        tagged: scale, offset and nodata of the file's tags.
        usual: of the sensor; None = by type: uint16 as Landsat Collection 2, int16 times 0.0001, floats as they are.
        tags: of the file.
        is_tagged: whether any band of the file has a scale or an offset of its own.
        is_masked: whether masks hide pixels of the file, which then need a nodata value.

    Raises:
        DataError: values of that type have no agreed meaning, or the processing baseline is not known.
        ConfigError: the requested nodata value is none of the type.
    """
    scale, offset = (None, None) if not is_tagged else tagged[:2]
    if usual is not None and usual.baseline_offset and offset == 0:  # GDAL's default: a tag of a scale alone says nothing of the offset
        offset = None
    scale, offset = _first(requested.scale, scale), _first(requested.offset, offset)
    if scale is None or offset is None:
        usual_scale, usual_offset = _usual(path, dtype, usual, tags, needs=(scale is None, offset is None))
        scale = usual_scale if scale is None else scale
        offset = usual_offset if offset is None else offset
    nodata = _nodata(path, dtype, requested, tagged[2], usual, (scale, offset))
    if nodata is None and is_masked:
        nodata = _of_masked(path, dtype, usual)
    return BandEncoding(dtype.name, (scale,), (offset,), (nodata,))


def _of_masked(path: Path, dtype: np.dtype[Any], usual: Usual | None) -> float:
    """The sensor's nodata value for masked pixels of a type that has none by itself."""
    value = float(NODATA_DN) if usual is None else usual.nodata
    if (usual is None or usual.is_whole) and held(value, dtype):
        return value
    raise DataError(
        f"{path}: a mask hides pixels, and values of type {dtype.name} have no nodata value to store them; give --nodata N, a value that no pixel has"
    )


def _usual(path: Path, dtype: np.dtype[Any], usual: Usual | None, tags: Mapping[str, str], needs: tuple[bool, bool]) -> tuple[float, float]:
    """Scale and offset that neither the user nor the file gives."""
    if usual is not None and dtype.kind == "f":
        return 1.0, 0.0
    if usual is not None and usual.is_whole and dtype.itemsize > 1:
        return usual.scale, usual.offset + (_baseline_offset(path, usual, tags) if needs[1] else 0.0)
    if usual is None and dtype.name in _BY_TYPE:
        return _BY_TYPE[dtype.name]
    if not needs[0]:
        return 1.0, 0.0
    of_sensor = f" for {usual.title}" if usual else ""
    raise DataError(
        f"{path}: values of type {dtype.name} have no agreed meaning{of_sensor}; give --scale and --offset (physical value = value x scale + offset)"
    )


def _baseline_offset(path: Path, usual: Usual, tags: Mapping[str, str]) -> float:
    if not usual.baseline_offset or "STUDY_JSON" in tags:  # an export of cropcam is of the harmonised collection
        return 0.0
    found = [*_BASELINE.findall(str(path)), *re.findall(r"^0?(\d)\.?(\d\d)$", tags.get("PROCESSING_BASELINE", ""))]
    if not found:
        raise DataError(
            f"{path}: values of {usual.title} have an offset of {usual.baseline_offset:g} since processing baseline 04.00 (January 2022), and neither the "
            f"file's path nor its metadata has the baseline; give --offset {usual.baseline_offset:g} (04.00 and later) or --offset 0 (earlier, or harmonised)"
        )
    number = int("".join(found[-1]))
    return usual.baseline_offset if number >= _WITH_OFFSET else 0.0


def _nodata(
    path: Path, dtype: np.dtype[Any], requested: ValueEncoding, tagged: float | None, usual: Usual | None, meaning: tuple[float, float]
) -> float | None:
    asked = _first(requested.nodata)
    if asked is not None and dtype.kind in "iu" and not held(asked, dtype):
        raise ConfigError(f"--nodata {asked:g}: no value of {path.name}, which holds {dtype.name}; give one of its values")
    nodata = tagged if asked is None else asked
    if usual is None and meaning == (SCALE, OFFSET):  # DN 0 is fill, whatever else a tag names
        nodata = float(NODATA_DN)
    elif asked is None and usual is not None and usual.is_whole and _is_of(usual, dtype, meaning) and held(usual.nodata, dtype):  # likewise
        nodata = usual.nodata
    elif nodata is None and (dtype.kind == "f" or dtype.name in ("int16", "uint16")):
        nodata = 0.0 if dtype.name == "uint16" else -9999.0
    if nodata is not None and not held(nodata, dtype):  # floats that are not finite are missing, whatever the tag
        nodata = math.nan if dtype.kind == "f" else None
    return None if nodata is None else float(nodata)


def _is_of(usual: Usual, dtype: np.dtype[Any], meaning: tuple[float, float]) -> bool:
    """Whether values are a sensor's own integers, in whatever type: a median of them in Earth Engine is a float."""
    return dtype.kind in "iu" or meaning in {(usual.scale, usual.offset), (usual.scale, usual.offset + usual.baseline_offset)}


def _first(*values: Numbers) -> float | None:
    """The first that is given; lists were taken apart before."""
    return next((float(value) for value in values if value is not None and not isinstance(value, tuple)), None)


def _each(value: Numbers) -> tuple[float, ...]:
    return value if isinstance(value, tuple) else () if value is None else (value,)
