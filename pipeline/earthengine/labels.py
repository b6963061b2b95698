"""Study to labels: a pure builder of an Earth Engine graph. Nothing here sends a request.

Source: Earth Engine Data Catalog, "USDA NASS Cropland Data Layers" (bands `cropland` and `confidence`); guides "Compositing and
Mosaicking", "Resampling and Reducing Resolution"; API reference, "ee.Reducer.mode".
"""

from __future__ import annotations

from functools import partial

import ee

from cropcam.pipeline.earthengine.crs_texts import service_crs
from cropcam.pipeline.earthengine.layers import CDL_BAND, LABEL_BAND, WEIGHT_BAND, label_bands, layer_band
from cropcam.pipeline.earthengine.nearby import images_near
from cropcam.pipeline.earthengine.region import region, search_area
from cropcam.pipeline.earthengine.scenes import MAX_RAW, largest_input_px
from cropcam.pipeline.study.study import Study


def labels(study: Study, area: ee.Geometry | None = None) -> ee.Image:
    """Raw label codes, one band of the type that the legend's codes need; masked nowhere.

    Codes whose `confidence` is below `labels.confidence_min_pct`, codes of `labels.nodata`, masked pixels and those outside
    `area.region` get the legend's fill, 0 as a rule. A second band, `weight`, has per cents where the study names one: 0 without a label.
    Of a collection the codes are those of the image on top, or the commonest. Label pixels finer than the study's become the code
    with the largest area in each pixel of the grid, and the mean of their weights; coarser ones are resampled to the nearest.

    Args:
        study: the study.
        area: from `nearby.nearby`: only pixels of that window are asked for.

    Raises:
        ConfigError: the study has no labels, or its pixels hold too many label pixels.
    """
    about, table = study.labels_for("the layer of labels"), study.table
    codes = _mosaic(study, area) if about.is_collection else _codes(ee.Image(about.asset), study)
    if about.resolution_m and about.resolution_m < study.area.scale_m:
        codes = _coarser(codes, study, about.resolution_m)
    inside = region(study)
    kept: ee.Image = codes if inside is None else codes.clip(inside)
    if about.weight:
        filled: ee.Image = kept.select([layer_band(study)]).unmask(table.fill, False).addBands(kept.select([WEIGHT_BAND]).unmask(0, False))
    else:
        filled = kept.unmask(table.fill, False)
    return filled.toUint8() if table.dtype == "uint8" else filled.toUint16()


def label_images(study: Study, area: ee.Geometry | None = None) -> ee.ImageCollection:
    """The images of a collection of labels that the study's `filter` and `dates` let through and that meet its grid's bounds, and an area."""
    about = study.labels_for("the layer of labels")
    images: ee.ImageCollection = ee.ImageCollection(about.asset).filterBounds(search_area(study))
    if area is not None:
        images = images.filterBounds(area)
    for name in sorted(about.filter):
        images = images.filter(ee.Filter.eq(name, about.filter[name]))
    return images.filterDate(*about.dates) if about.dates else images


def label_band_of(study: Study) -> ee.Image:
    """The band of codes as the asset has it; of a collection that of its first image."""
    about = study.labels_for("the layer of labels")
    image = ee.Image(label_images(study).first()) if about.is_collection else ee.Image(about.asset)
    band: ee.Image = image.select([CDL_BAND if layer_band(study) == CDL_BAND else _selector(about.band)])
    return band


def _codes(asset: ee.Image, study: Study) -> ee.Image:
    """Codes, and weights where the study names a band of them, of one image; masked where there is no label."""
    about = study.labels_for("the layer of labels")
    codes: ee.Image = asset.select([CDL_BAND]) if layer_band(study) == CDL_BAND else asset.select([_selector(about.band)], [LABEL_BAND])
    if about.confidence_min_pct > 0:
        codes = codes.updateMask(asset.select(["confidence"]).gte(about.confidence_min_pct))
    for value in about.nodata:
        codes = codes.updateMask(codes.neq(value))
    if about.weight:
        codes = codes.addBands(asset.select([_selector(about.weight)], [WEIGHT_BAND]).updateMask(codes.mask()))
    return codes


def _mosaic(study: Study, area: ee.Geometry | None) -> ee.Image:
    """The images of a collection as one: the last or the first valid pixel, or the commonest code."""
    about = study.labels_for("the layer of labels")
    codes = images_near(area, partial(label_images, study), lambda images: images.map(lambda image: _codes(image, study)))
    if about.mosaic == "mode":
        commonest: ee.Image = codes.reduce(ee.Reducer.mode(maxRaw=MAX_RAW)).rename(list(label_bands(study)))
        return commonest
    if about.mosaic == "first":
        first: ee.Image = codes.reduce(ee.Reducer.firstNonNull()).rename(list(label_bands(study)))
        return first
    last: ee.Image = codes.mosaic()
    return last


def _coarser(codes: ee.Image, study: Study, resolution_m: float) -> ee.Image:
    """The code of the largest area in each pixel of the study's grid, and the mean weight of the label pixels inside.

    A mosaic has no pixels of its own: it takes those of the first image of the study's whole collection.
    """
    about, grid = study.labels_for("the layer of labels"), study.grid
    most = largest_input_px(study.area.scale_m, resolution_m, "label pixels")
    if about.is_collection:
        codes = codes.setDefaultProjection(label_band_of(study).projection())
    place = (service_crs(grid.crs), list(grid.transform))
    mode: ee.Image = (
        codes.select([layer_band(study)]).reduceResolution(ee.Reducer.mode(maxRaw=max(MAX_RAW, most)), False, most).reproject(*place)
    )
    if not about.weight:
        return mode
    weight = codes.select([WEIGHT_BAND]).toDouble().reduceResolution(ee.Reducer.mean(), False, most).reproject(*place)
    return mode.addBands(weight.add(0.5).floor())


def _selector(band: int | str) -> int | str:
    """The band of an asset: by name, or by its number from 0; the first where the study names none."""
    return band - 1 if isinstance(band, int) else band or 0
