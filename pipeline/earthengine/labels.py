"""Study to labels: a pure builder of an Earth Engine graph. Nothing here sends a request.

Source: Earth Engine Data Catalog, "USDA NASS Cropland Data Layers" (bands `cropland` and `confidence`).
"""

from __future__ import annotations

import ee

from cropcam.pipeline.earthengine.layers import CDL_BAND, LABEL_BAND, layer_band
from cropcam.pipeline.earthengine.region import region
from cropcam.pipeline.study.study import Study


def labels(study: Study) -> ee.Image:
    """Raw label codes, one band of the type that the legend's codes need; masked only outside the footprint of the asset.

    Codes whose `confidence` is below `labels.confidence_min_pct`, codes of `labels.nodata`, masked pixels and those outside
    `area.region` get the legend's fill, 0 as a rule.

    Raises:
        ConfigError: the study has no labels.
    """
    about, table = study.labels_for("the layer of labels"), study.table
    asset: ee.Image = ee.Image(about.asset)
    codes: ee.Image = asset.select([CDL_BAND]) if layer_band(study) == CDL_BAND else asset.select([_selector(about.band)], [LABEL_BAND])
    if about.confidence_min_pct > 0:
        codes = codes.updateMask(asset.select(["confidence"]).gte(about.confidence_min_pct))
    for value in about.nodata:
        codes = codes.updateMask(codes.neq(value))
    inside = region(study)
    kept: ee.Image = codes if inside is None else codes.clip(inside)
    filled: ee.Image = kept.unmask(table.fill)
    return filled.toUint8() if table.dtype == "uint8" else filled.toUint16()


def _selector(band: int | str) -> int | str:
    """The band of an asset: by name, or by its number from 0; the first where the study names none."""
    return band - 1 if isinstance(band, int) else band or 0
