"""Values that a sensor cannot have, as one line with the options that mend it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cropcam.pipeline.encoding import BandEncoding
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.rasters.plausible import Fault, Meaning
from cropcam.pipeline.rasters.raster import Raster

Pairs = Sequence[tuple[float, float]]


def refusal(
    raster: Raster, fault: Fault, encoding: BandEncoding, meaning: Meaning, where: str = "", pairs: Pairs | None = None
) -> DataError:
    """The error of a fault in a file; `pairs` are the scales and offsets that mend it (`plausible.mends`), `where` the part that was read."""
    limits, name = meaning.ranges[fault.band], meaning.bands[fault.band]
    scale, offset, nodata = encoding.scale[fault.band], encoding.offset[fault.band], encoding.nodata[fault.band]
    can = f"{limits.low:g} to {limits.high:g}, what {meaning.title} can have" if limits else ""
    if fault.fill is not None:
        return DataError(
            f"{raster.path}: {percent(fault.share)} of band {name}{where} is {number(fault.fill)}, outside {can}: {_missing(raster, fault.fill, nodata)}"
        )
    read = "" if (scale, offset) == (1.0, 0.0) else f", read with scale {number(scale)} and offset {number(offset)}"
    found = f"(values {number(fault.low)} to {number(fault.high)}{read})"
    if fault.is_narrow:
        text = f"all values of band {name}{where} are almost the same {found}: they were perhaps scaled before"
    elif fault.share > 0.01:
        text = f"{percent(fault.share)} of band {name}{where} lies outside {can} {found}"
    else:
        usual = f"{limits.usual_low:g} to {limits.usual_high:g}" if limits else ""
        text = f"the middle of band {name}{where} lies outside {usual}, where {meaning.title} has it {found}"
    return DataError(f"{raster.path}: {text}; {advice(pairs, meaning, raster)}")


def advice(pairs: Pairs | None, meaning: Meaning, raster: Raster) -> str:
    """The next step: the options of `pairs`, or what to give."""
    if pairs:
        later = meaning.baseline_offset and pairs[0] == meaning.own[0]
        more = f" (--offset {number(meaning.baseline_offset)} from processing baseline 04.00 on)" if later else ""
        given = "cut it as own raster, --image with" if meaning.is_export else "give"
        return f"{given} {options(pairs)}{more}"
    if raster.dtype.itemsize == 1:
        return "a picture of 8 bits holds no reflectance: give the product's own files"
    return "give its --scale and --offset (physical value = value x scale + offset), or files of that product"


def options(pairs: Pairs) -> str:
    """The options that give bands a scale and an offset.

    >>> options([(0.0000275, -0.2)] * 2), options([(0.0001, 0.0), (0.01, -1.0)])
    ('--scale 0.0000275 --offset -0.2', '--scale 0.0001,0.01 --offset=0,-1')
    """
    if len(set(pairs)) == 1:
        return f"--scale {number(pairs[0][0])} --offset {number(pairs[0][1])}"
    return f"--scale {','.join(number(scale) for scale, _ in pairs)} --offset={','.join(number(offset) for _, offset in pairs)}"


def number(value: float) -> str:
    """A number as it is written in an option: no exponent, no zeros behind.

    >>> number(0.0000275), number(-3000.0), number(2.75)
    ('0.0000275', '-3000', '2.75')
    """
    if abs(value) >= 1e9 or 0 < abs(value) < 1e-9:
        return f"{value:g}"
    return np.format_float_positional(float(f"{value:.6g}") if not float(value).is_integer() else value, trim="-")


def percent(share: float) -> str:
    """A share in per cent; never 0 of what is there."""
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"


def _missing(raster: Raster, fill: float, nodata: float | None) -> str:
    if raster.asked_nodata is None:
        return f"fill that no tag names, or saturation; give --nodata {number(fill)}, which leaves these pixels out"
    kept = number(raster.asked_nodata if nodata is None else nodata)
    return (
        f"fill beside --nodata {number(raster.asked_nodata)}; make them one value, for example with "
        f'gdal_calc.py -A {raster.path.name} --allBands=A --calc="where(A=={number(fill)},{kept},A)" --outfile NEW.tif'
    )
