"""Study to labels: a pure builder of an Earth Engine graph. Nothing here sends a request.

Source: Earth Engine Data Catalog, "USDA NASS Cropland Data Layers" (bands `cropland` and `confidence`).
"""

from __future__ import annotations

import ee

from cropcam.pipeline.earthengine.region import region
from cropcam.pipeline.study.study import Study


def labels(study: Study) -> ee.Image:
    """Raw CDL codes, one uint8 band `cropland`, 0 = nodata; masked only outside the footprint of the assets.

    Codes whose `confidence` is below `labels.confidence_min_pct` become 0, as do pixels outside `area.region`.
    """
    cdl: ee.Image = ee.Image(study.labels.asset)
    codes: ee.Image = cdl.select(["cropland"])
    if study.labels.confidence_min_pct > 0:
        codes = codes.updateMask(cdl.select(["confidence"]).gte(study.labels.confidence_min_pct))
    inside = region(study)
    kept: ee.Image = codes if inside is None else codes.clip(inside)
    return kept.unmask(0).toUint8()
