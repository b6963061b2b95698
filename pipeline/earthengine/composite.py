"""Study to composite: pure builders of Earth Engine graphs. Nothing here sends a request.

The numpy twins are `oracles.composite.compose` and `oracles.sensors`: the graph, evaluated, equals them to the pixel.

Source: Earth Engine guide "Compositing and Mosaicking"; API reference, "ee.Reducer.median".
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial, reduce

import ee

from cropcam.pipeline import band_expressions
from cropcam.pipeline.earthengine.layers import count_bands, counts_in_image
from cropcam.pipeline.earthengine.region import region
from cropcam.pipeline.earthengine.scenes import MAX_RAW, clean_scenes, whole_number
from cropcam.pipeline.study.study import Study


def composite(study: Study, area: ee.Geometry | None = None) -> ee.Image:
    """Composite of every season: bands named `study.image.layers`, of the type and with the nodata value of `study.image.encoding`.

    Masked nowhere. Per band the median of the observations that the mask lets through (of a type of integers floor(median + 0.5)), or the last image
    on top. Pixels are computed on the grid a request names, resampled from each scene by nearest neighbour or averaged (`scenes.clean`).
    With derived bands all layers are in the physical unit, and derived bands are of the composite's values.
    Behind them, where `layers.counts_in_image`, the observations per pixel and season that are valid in every band: 0 where there is none.

    Args:
        study: the study.
        area: from `nearby.nearby`: only pixels of that window are asked for.
    """
    image = study.image
    layers, width, counted = image.source_layers, len(image.bands), counts_in_image(study)
    seasons, counts = [], []
    for number, (season, name) in enumerate(zip(image.seasons, count_bands(study), strict=True)):
        found = clean_scenes(study, season, partial(_with_count, study, name) if counted else None, area)
        if counted:
            counts.append(found.select([name]).count())
            found = found.select(list(image.bands))
        is_median = image.table.composite == "median"
        whole = found.reduce(ee.Reducer.median(maxRaw=MAX_RAW)) if is_median else found.mosaic()
        seasons.append(whole.rename(list(layers[number * width : (number + 1) * width])) if is_median or layers != image.bands else whole)
    stacked = _stack(seasons)
    if image.table.dtype != "float32":
        stacked = stacked.add(0.5).floor()
    if image.derived:
        stacked = _physical(stacked, study)
    finished = _finished(stacked, study, image.encoding.fill)
    return _typed(finished.addBands(_finished(_stack(counts), study, 0)) if counted else finished, image.encoding.dtype)


def count(study: Study, area: ee.Geometry | None = None) -> ee.Image:
    """The counts of `composite` as an image of their own: uint16, bands named `layers.count_bands`; `area` as there."""
    names = count_bands(study)
    counts = [
        clean_scenes(study, season, partial(_whole, study), area).count().rename([name])
        for name, season in zip(names, study.image.seasons, strict=True)
    ]
    return _finished(_stack(counts), study, 0).toUint16()


def _with_count(study: Study, name: str, scene: ee.Image) -> ee.Image:
    """A cleaned scene and behind it a band to be counted."""
    counted: ee.Image = scene.addBands(_whole(study, scene).rename([name]))
    return counted


def _whole(study: Study, scene: ee.Image) -> ee.Image:
    """One band, valid where every band of a cleaned scene is."""
    first, *others = study.image.bands
    kept: ee.Image = scene.select([first])
    for band in others:
        kept = kept.updateMask(scene.select([band]))
    return kept


def _physical(stacked: ee.Image, study: Study) -> ee.Image:
    """Bands in the physical unit, in double precision, and the derived bands behind the bands of each season."""
    image, encoding = study.image, study.image.source_encoding
    parts, width = [], len(image.bands)
    for number in range(len(image.seasons)):
        names = image.source_layers[number * width : (number + 1) * width]
        values = {
            band: stacked.select([name]).toDouble().multiply(encoding.scale[place]).add(encoding.offset[place])
            for place, (band, name) in enumerate(zip(image.bands, names, strict=True))
        }
        prefix = names[0].removesuffix(image.bands[0])
        parts += list(values.values())
        parts += [_evaluated(term, values).rename([prefix + name]) for name, term in image.terms.items()]
    return _stack(parts)


def _evaluated(term: band_expressions.Term, values: Mapping[str, ee.Image]) -> ee.Image:
    """An expression of images: masked where a band is, and where a divisor is 0; the service itself divides by 0 to 0.

    Source: Earth Engine API reference, "ee.Image.divide".
    """

    def operation(operator: str, first: ee.Image, second: ee.Image) -> ee.Image:
        if operator == "/":
            quotient: ee.Image = first.divide(second).updateMask(second.neq(0))
            return quotient
        combined: ee.Image = getattr(first, {"+": "add", "-": "subtract", "*": "multiply"}[operator])(second)
        return combined

    result: ee.Image = band_expressions.reduce(term, values.__getitem__, lambda number: ee.Image.constant(number).toDouble(), operation)
    return result


def _stack(images: list[ee.Image]) -> ee.Image:
    return reduce(lambda first, second: first.addBands(second), images)


def _typed(image: ee.Image, dtype: str) -> ee.Image:
    casts = {"float32": "toFloat", "uint8": "toUint8", "int8": "toInt8", "uint16": "toUint16", "int16": "toInt16"}
    cast: ee.Image = getattr(image, casts[dtype])()
    return cast


def _finished(image: ee.Image, study: Study, nodata: float) -> ee.Image:
    """Nodata outside `area.region`, and where nothing was observed.

    Also outside the footprint, which a clip narrows: a masked pixel of computePixels has the value 0, whatever nodata is.
    """
    inside = region(study)
    return (image if inside is None else image.clip(inside)).unmask(whole_number(nodata), False)
