"""A sensor's scenes: searched, linked to their cloud scores, masked, and brought to the study's grid. Pure builders of Earth Engine graphs.

Source: Earth Engine guides "Filtering an ImageCollection", "Resampling and Reducing Resolution"; API reference,
"ee.ImageCollection.linkCollection" (a scene without a score is fully masked); USGS LSDS-1619, tables of QA_PIXEL and QA_RADSAT.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial, reduce
from itertools import groupby

import ee

from cropcam.pipeline.earthengine.crs_texts import service_crs
from cropcam.pipeline.earthengine.nearby import images_near
from cropcam.pipeline.earthengine.region import search_area
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.sensor import Flag, band_number
from cropcam.pipeline.study.study import Study

# "For larger numbers of inputs (above maxRaw) the median will be derived from a histogram" (API reference, ee.Reducer.median), the mode
# too, and the limit where none is named is not documented. No pixel has so many observations: all satellites together make some
# hundreds a year.
MAX_RAW = 4096
_MOST_INPUT_PX = 65_536  # of an output pixel, in the service
_ALL_CLOUD_COVER_PCT = 100.0


def scenes(study: Study, season: tuple[str, str], ids: Sequence[str] = (), area: ee.Geometry | None = None) -> ee.ImageCollection:
    """Scenes that intersect the grid's bounds, start within the half-open season and are below the cloud limit.

    Args:
        study: the study.
        season: first day and the day after the last, UTC.
        ids: of the collections; all of the study's by default.
        area: scenes intersect it too.
    """
    collections: list[ee.ImageCollection] = []
    for name in ids or study.image.collections:
        collection: ee.ImageCollection = ee.ImageCollection(name).filterBounds(search_area(study))
        if area is not None:
            collection = collection.filterBounds(area)
        collection = collection.filterDate(*season)
        if study.image.cloud_cover_max_pct < _ALL_CLOUD_COVER_PCT:
            collection = collection.filter(ee.Filter.lte(study.image.table.cloud_cover, study.image.cloud_cover_max_pct))
        collections.append(collection)
    return _merged(collections)


def clean_scenes(
    study: Study,
    season: tuple[str, str],
    then: Callable[[ee.Image], ee.Image] | None = None,
    area: ee.Geometry | None = None,
) -> ee.ImageCollection:
    """The scenes of a season, cleaned (`clean`), each with `then` applied. Collections whose bands have the same names are merged first.

    With an area the scenes near it, and one without a valid pixel (`nearby.images_near`).
    """
    groups = []
    for assets, ids in groupby(study.image.collections, key=lambda asset_id: _assets(study, asset_id)):

        def prepare(found: ee.ImageCollection, assets: tuple[str, ...] = assets) -> ee.ImageCollection:
            for collection, band in dict.fromkeys((flag.collection, flag.band) for flag in _flags(study) if flag.collection):
                found = found.linkCollection(ee.ImageCollection(collection), [band])
            cleaned: ee.ImageCollection = found.map(lambda scene: (then or ee.Image)(clean(scene, study, assets)))
            return cleaned

        groups.append(images_near(area, partial(scenes, study, season, list(ids)), prepare))
    return _merged(groups)


def native_bands(study: Study, season: tuple[str, str]) -> ee.Image:
    """The study's bands of the first scene of a season, as the asset has them: for their pixels' size."""
    groups = [
        scenes(study, season, list(ids)).select(list(assets), list(study.image.bands))
        for assets, ids in groupby(study.image.collections, key=lambda asset_id: _assets(study, asset_id))
    ]
    first: ee.Image = ee.Image(_merged(groups).first())
    return first


def clean(scene: ee.Image, study: Study, assets: Sequence[str]) -> ee.Image:
    """One scene's bands of the study, without its masked pixels.

    A band finer than the study's grid becomes the mean of its valid pixels inside each pixel of the grid, weighted by area; the
    others are resampled to the nearest pixel when they are requested.

    Args:
        scene: the scene.
        study: the study.
        assets: the scene's own names of the study's bands.
    """
    scene, names = ee.Image(scene), study.image.bands
    groups = [(resolution, [names.index(name) for name in group]) for resolution, group in finer_bands(study).items()]
    parts = []
    for resolution_m, places in groups:
        kept = _masked(
            scene, study, [assets[place] for place in places], [names[place] for place in places], resolution_m or study.area.scale_m
        )
        parts.append(kept if resolution_m is None else _coarser(kept, study, resolution_m))
    joined: ee.Image = reduce(lambda first, second: first.addBands(second), parts)
    joined = joined if len(parts) == 1 else joined.select(list(names))
    is_mean = any(resolution_m is not None for resolution_m, _ in groups)
    if study.image.table.unit_length and is_mean and set(names) != set(study.image.table.bands):
        raise ConfigError(
            f"image.bands: the mean of vectors of {study.image.table.title} needs all {len(study.image.table.bands)} bands, the study has {len(names)}; "
            f"leave bands out, or set area.scale_m to {study.image.table.resolution_m:g}"
        )
    return _unit_length(joined) if study.image.table.unit_length and is_mean else joined


def finer_bands(study: Study) -> dict[float | None, list[str]]:
    """The study's bands by their resolution in metres where it is finer than the grid's pixels, else under None."""
    table, found = study.image.table, dict[float | None, list[str]]()
    for name in study.image.bands:
        resolution_m = table.resolution(name)
        found.setdefault(resolution_m if resolution_m is not None and resolution_m < study.area.scale_m else None, []).append(name)
    return found


def _assets(study: Study, asset_id: str) -> tuple[str, ...]:
    """A collection's own names of the study's bands."""
    bands = study.image.table.collection(asset_id).bands
    if unknown := [name for name in study.image.bands if name not in bands]:
        raise ConfigError(f"image.bands: {asset_id} has no band {unknown[0]}; it has {', '.join(bands)}")
    return tuple(bands[name] for name in study.image.bands)


def _flags(study: Study) -> list[Flag]:
    return [study.image.table.flags[name] for name in study.image.mask]


def _masked(scene: ee.Image, study: Study, assets: list[str], names: list[str], scale_m: float) -> ee.Image:
    """Bands of a scene under new names, masked by the study's flags and, band by band, where they hold the value for "no data".

    A flag counts by its own pixels. Where the bands are evaluated in pixels of twice the size or more (`scale_m`), the service would take
    it from a level of the pyramid: a sample of bits, a mean of scores.
    """
    missing, finest_m = study.image.table.missing, study.image.table.resolution_m
    kept: ee.Image = scene.select(assets) if assets == names else scene.select(assets, names)
    if missing is not None:
        kept = kept.updateMask(kept.eq(whole_number(missing)).eq(0))

    flags, tests = _flags(study), list[tuple[str, ee.Image]]()
    for band, of_band in groupby(
        sorted((flag for flag in flags if flag.bit is not None), key=lambda flag: flag.band), key=lambda flag: flag.band
    ):
        bits = sum(1 << (flag.bit or 0) for flag in of_band)
        tests.append((band, scene.select([band]).bitwiseAnd(bits).eq(0)))
    for flag in flags:
        if flag.saturation:
            if bits := sum(1 << (number - 1) for asset in assets if (number := band_number(asset))):
                tests.append((flag.band, scene.select([flag.band]).bitwiseAnd(bits).eq(0)))
        elif flag.classes:
            tests.append((flag.band, scene.select([flag.band]).remap(list(flag.classes), [0] * len(flag.classes), 1)))
        elif flag.min is not None:
            least = flag.min if study.image.score_min is None else study.image.score_min
            tests.append((flag.band, scene.select([flag.band]).gte(least)))
    for band, holds in tests:
        is_coarse = finest_m is not None and scale_m >= 2 * finest_m
        kept = kept.updateMask(holds.reproject(scene.select([band]).projection()) if is_coarse else holds)
    return kept


def _coarser(image: ee.Image, study: Study, resolution_m: float) -> ee.Image:
    """The mean of the valid pixels inside each pixel of the study's grid, in double precision."""
    grid = study.grid
    mean = image.toDouble().reduceResolution(ee.Reducer.mean(), False, largest_input_px(study.area.scale_m, resolution_m))
    averaged: ee.Image = mean.reproject(service_crs(grid.crs), list(grid.transform))
    return averaged


def largest_input_px(scale_m: float, resolution_m: float, pixels: str = "pixels of a band") -> int:
    """How many pixels of a band may meet a pixel of the grid, at any angle; 64 is the service's own limit where none is named.

    Raises:
        ConfigError: more than the service reduces.

    >>> largest_input_px(30, 10), largest_input_px(100, 10)
    (64, 289)
    """
    most = max(64, (math.ceil(scale_m / resolution_m * math.sqrt(2)) + 2) ** 2)
    if most > _MOST_INPUT_PX:
        raise ConfigError(
            f"area.scale_m {scale_m:g}: a pixel may hold {most:,} {pixels} of {resolution_m:g} m, the service reduces {_MOST_INPUT_PX:,}; take smaller pixels"
        )
    return most


def whole_number(value: float) -> float:
    """A constant as it is written: 0 and not 0.0, which are different graphs."""
    return int(value) if float(value).is_integer() else value


def _unit_length(image: ee.Image) -> ee.Image:
    """Vectors scaled to length 1."""
    scaled: ee.Image = image.divide(image.multiply(image).reduce(ee.Reducer.sum()).sqrt())
    return scaled


def _merged(collections: list[ee.ImageCollection]) -> ee.ImageCollection:
    return reduce(lambda first, second: first.merge(second), collections)
