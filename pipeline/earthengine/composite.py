"""Study to composite: pure builders of Earth Engine graphs. Nothing here sends a request.

The numpy twin is `oracles.composite.compose`: the graph, evaluated, equals it to the pixel.

Source: Earth Engine guides "Compositing and Mosaicking", "Filtering an ImageCollection"; USGS LSDS-1619, tables of
QA_PIXEL and QA_RADSAT.
"""

from __future__ import annotations

from functools import reduce

import ee

from cropcam.pipeline.earthengine.layers import count_bands
from cropcam.pipeline.earthengine.region import region, search_area
from cropcam.pipeline.study.study import Study

QA_PIXEL_BITS = {"fill": 0, "dilated_cloud": 1, "cirrus": 2, "cloud": 3, "shadow": 4, "snow": 5}
_ALL_CLOUD_COVER_PCT = 100.0


def composite(study: Study) -> ee.Image:
    """Median composite of every season: uint16 DN, bands named `study.image.layers`, 0 = nodata; masked only outside the footprint of the assets.

    Per band floor(median + 0.5) of the observations that QA and DN 0 (fill) let through. Pixels are computed on the
    grid a request names, resampled from each scene by nearest neighbour.
    """
    layers, width = study.image.layers, len(study.image.bands)
    medians = []
    for number, season in enumerate(study.image.seasons):
        median = scenes(study, season).map(lambda scene: clean(scene, study)).median()
        medians.append(median.rename(list(layers[number * width : (number + 1) * width])) if layers != study.image.bands else median)
    return _finished(_stack(medians).add(0.5).floor(), study).toUint16()


def count(study: Study) -> ee.Image:
    """Observations per pixel and season that are valid in every band: uint16, bands named `layers.count_bands`."""
    names = count_bands(study)
    counts = [
        scenes(study, season).map(lambda scene: _whole(clean(scene, study), study)).count().rename([name])
        for name, season in zip(names, study.image.seasons, strict=True)
    ]
    return _finished(_stack(counts), study).toUint16()


def scenes(study: Study, season: tuple[str, str]) -> ee.ImageCollection:
    """Scenes of all collections that intersect the grid's bounds, start within the half-open season and are below the cloud limit.

    Args:
        study: the study.
        season: first day and the day after the last, UTC.
    """
    collections: list[ee.ImageCollection] = []
    for name in study.image.collections:
        collection: ee.ImageCollection = ee.ImageCollection(name).filterBounds(search_area(study)).filterDate(*season)
        if study.image.cloud_cover_max_pct < _ALL_CLOUD_COVER_PCT:
            collection = collection.filter(ee.Filter.lte("CLOUD_COVER", study.image.cloud_cover_max_pct))
        collections.append(collection)
    return reduce(lambda first, second: first.merge(second), collections)


def clean(scene: ee.Image, study: Study) -> ee.Image:
    """One scene's bands of the study, masked by QA_PIXEL and QA_RADSAT and, band by band, where DN is 0."""
    scene = ee.Image(scene)
    bands = scene.select(list(study.image.bands))
    kept: ee.Image = bands.updateMask(bands.eq(0).eq(0))
    pixel_bits = sum(1 << QA_PIXEL_BITS[flag] for flag in study.image.mask if flag in QA_PIXEL_BITS)
    if pixel_bits:
        kept = kept.updateMask(scene.select(["QA_PIXEL"]).bitwiseAnd(pixel_bits).eq(0))
    saturation_bits = sum(1 << (int(band.removeprefix("SR_B")) - 1) for band in study.image.bands if band.startswith("SR_B"))
    if "saturated" in study.image.mask and saturation_bits:
        kept = kept.updateMask(scene.select(["QA_RADSAT"]).bitwiseAnd(saturation_bits).eq(0))
    return kept


def _whole(scene: ee.Image, study: Study) -> ee.Image:
    """One band, valid where every band of a cleaned scene is."""
    first, *others = study.image.bands
    kept: ee.Image = scene.select([first])
    for band in others:
        kept = kept.updateMask(scene.select([band]))
    return kept


def _stack(images: list[ee.Image]) -> ee.Image:
    return reduce(lambda first, second: first.addBands(second), images)


def _finished(image: ee.Image, study: Study) -> ee.Image:
    """Nodata outside `area.region`, and 0 for nodata."""
    inside = region(study)
    return (image if inside is None else image.clip(inside)).unmask(0)
