"""An image whose values are checked against the sensor before the first patch is cut."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cropcam.pipeline.encoding import NODATA_PHYSICAL, BandEncoding, held
from cropcam.pipeline.rasters.mosaic import RasterMosaic
from cropcam.pipeline.rasters.plausible import Meaning, first_fault, mends, stored_limits
from cropcam.pipeline.rasters.raster import Raster
from cropcam.pipeline.rasters.refusals import options, refusal
from cropcam.pipeline.rasters.samples import WINDOWS, sample
from cropcam.pipeline.sensor import Range
from cropcam.pipeline.study.image import Image


def meaning_of(image: Image, bands: tuple[str, ...], *, is_export: bool = False) -> Meaning:
    """What the values of a study's layers are: `bands` are those of `image`, with or without derived ones, which have no range."""
    table, seasons = image.table, len(image.seasons)
    derived = (None,) * (len(bands) // seasons - len(image.bands))
    own = table.encoding(image.bands)
    pairs = (*zip(own.scale, own.offset, strict=True), *((1.0, 0.0) for _ in derived))
    ranges = (*table.ranges(image.bands), *derived)
    return Meaning(bands, ranges * seasons, pairs * seasons, table.title, table.baseline_offset, float(table.nodata), is_export)


def checked(source: RasterMosaic, meaning: Meaning) -> RasterMosaic:
    """The image with that meaning, after a look at some windows of each file.

    Raises:
        DataError: its values are not what the sensor has; names band, share, the values found and the options that mend it.
    """
    if all(limits is None for limits in meaning.ranges):
        return source
    pieces = tuple((_with_fills(raster, meaning, bands.start), place, bands) for raster, place, bands in source.pieces)
    source = replace(source, pieces=pieces, meaning=meaning)
    encoding, of_files = source.encoding, [bands.start for _, _, bands in pieces]
    parts: list[list[np.ndarray]] = [[] for _ in meaning.bands]
    for raster, _, bands in pieces:
        found = sample(raster, -(-WINDOWS // of_files.count(bands.start)))
        for place, values in enumerate(found, bands.start):
            parts[place].append(values)
    stored = [np.concatenate(values) for values in parts]
    valid = [values[encoding.valid_of(band, values)] for band, values in enumerate(stored)]
    if (fault := first_fault(valid, encoding, meaning.ranges)) is not None:
        pieces_of = [(raster, bands, None) for raster, _, bands in pieces]
        pairs = mends(valid, meaning) if np.dtype(encoding.dtype).itemsize > 1 else None  # bytes are a picture, whatever fits
        raise refusal(source.file_of(fault.band, pieces_of), fault, encoding, meaning, pairs=pairs)
    return source


def own_options(raster: Raster, meaning: Meaning) -> str:
    """The options, with a space before them, with which --image reads a file of another type as the sensor has it; empty where its values are physical."""
    values = [band[np.isfinite(band) & (band != meaning.nodata)] for band in sample(raster)]
    pairs = mends(values, meaning)
    return f" {options(pairs)}" if pairs and set(pairs) != {(1.0, 0.0)} else ""


def _with_fills(raster: Raster, meaning: Meaning, start: int) -> Raster:
    """The raster with further values of missing pixels: its tag's beside --nodata, and the sensor's own fill, also scaled by hand, where they are no values."""
    also = []
    for place, tagged in enumerate(raster.tagged):
        limits, (own_scale, own_offset) = meaning.ranges[start + place], meaning.own[start + place]
        scale, offset = raster.encoding.scale[place], raster.encoding.offset[place]
        scaled = (meaning.nodata * own_scale + own_offset - offset) / scale
        tried = [tagged[2], NODATA_PHYSICAL, round(scaled) if raster.dtype.kind in "iu" else scaled]
        also.append(tuple(dict.fromkeys(value for value in tried if value is not None and _is_fill(value, limits, raster.encoding, place))))
    return replace(raster, also_missing=tuple(also)) if any(also) else raster


def _is_fill(value: float, limits: Range | None, encoding: BandEncoding, place: int) -> bool:
    if limits is None or value == encoding.nodata[place] or not held(value, np.dtype(encoding.dtype)):
        return False
    low, high = stored_limits(limits, encoding.scale[place], encoding.offset[place])
    return not low <= value <= high
