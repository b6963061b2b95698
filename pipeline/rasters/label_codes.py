"""Values of label rasters as codes of a legend. Pure functions of arrays and headers."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.code_table import Code, Codes, CodeTable
from cropcam.pipeline.errors import DataError


def to_codes(values: npt.NDArray[Any], nodata: float | None, path: Path, table: CodeTable) -> Codes:
    """Values of a label raster as codes of a table, of its type; `table.fill` where a value is nodata or one of `table.missing`.

    Raises:
        DataError: a value is no code of the table.
    """
    missing = [value for value in (nodata, *table.missing) if value is not None and value != table.fill]
    is_missing = np.isin(values, missing) if missing else None
    if values.dtype != table.dtype:
        is_inside = (values >= 0) & (values < table.limit)
        if not (is_known := is_inside if is_missing is None else is_inside | is_missing).all():
            raise _unknown(values[~is_known][0], path, table)
    codes: Codes = values.astype(table.dtype, copy=False)
    if is_missing is not None:
        codes = np.where(is_missing, table.dtype.type(table.fill), codes)
    if not (is_known := table.known[codes]).all():
        raise _unknown(codes[~is_known][0], path, table)
    return codes


PERCENT = CodeTable("", (Code(0, "no label", None, False), *(Code(value, f"{value} %") for value in range(1, 101))))  # weights as codes


def _unknown(code: np.integer[Any], path: Path, table: CodeTable) -> DataError:
    if table is PERCENT:
        return DataError(
            f"{path}: holds the weight {code}; the band that [labels] weight names has per cents, 0 to 100: name another, or none"
        )
    return DataError(
        f"{path}: holds label {code}, which {table.title} does not have: give a raster of that legend, name the raster's own under "
        f"[labels] legend, or, where the value means 'no label', write nodata = [{code}] under [labels]"
    )


def label_band(path: Path, dtype: np.dtype[Any], names: Sequence[str | None], band: int | str, key: str = "band") -> int:
    """The index of the band with label codes, or with their weights.

    Args:
        path: of the file, for messages.
        dtype: of its values.
        names: descriptions of its bands.
        band: number from 1, or name, of the band; empty for the only one.
        key: of `[labels]` that names it.

    Raises:
        DataError: no integers, several bands and none named, or no such band.
    """
    if dtype.kind not in "iu":
        raise DataError(
            f"{path}: labels are {dtype}; label codes are integers: write them so: gdal_translate -ot Byte {shlex.quote(path.name)} codes.tif "
            "(UInt16 where codes are above 255)"
        )
    if band == "":
        if len(names) != 1:
            raise DataError(f"{path}: {len(names)} bands; labels are one band of codes: name it under [labels] band")
        return 0
    if isinstance(band, int):
        if band <= len(names):
            return band - 1
    elif len(names) == 1 and not names[0]:
        return 0  # a single band without a name is the one
    else:
        matches = [index for index, name in enumerate(names) if name and name.casefold() == band.casefold()]
        if matches:
            return matches[0]
    there = ", ".join(f"{number} {name}" if name else str(number) for number, name in enumerate(names, 1))
    raise DataError(f"{path}: has no band {band!r}, which [labels] {key} names; its bands are {there}")
