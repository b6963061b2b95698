"""The pixels of a study's scenes and labels as the service has them, against the sizes that the study's graphs count on.

From twice a band's pixel size on the service reads a level of the asset's pyramid: means over clouds that are not masked yet, or samples
of codes. So graphs combine finer pixels on purpose, after the mask, and for this need their size. Below a band's pixel size the service
reads the pixels themselves, so the nearest pixel is what it is called.

Source: Earth Engine guides "Scale" ("the pyramid level with the closest scale less than or equal to" the output's), "Resampling and
Reducing Resolution".
"""

from __future__ import annotations

from collections.abc import Mapping

import ee

from cropcam.pipeline.earthengine.labels import label_band_of
from cropcam.pipeline.earthengine.scenes import native_bands
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.sensor import DEFAULT
from cropcam.pipeline.study.study import Study

LABELS = "labels"
_SAME = 1.5  # sizes within this factor are the same: 10 m are 9.3 m in degrees
_PYRAMID = 2.0 * (1 - 1e-9)


def pixel_sizes(study: Study) -> ee.Dictionary:
    """Metres per pixel: of one band for each size that the sensor's table has, by the band's name, and of the labels under "labels"."""
    image, found = native_bands(study, study.image.seasons[0]), {}
    for name in {study.image.table.resolution(name): name for name in reversed(study.image.bands)}.values():
        found[name] = image.select([name]).projection().nominalScale()
    if study.labels:
        found[LABELS] = label_band_of(study).projection().nominalScale()
    sizes: ee.Dictionary = ee.Dictionary(found)
    return sizes


def check_pixel_sizes(study: Study, found_m: Mapping[str, float]) -> None:
    """Compare the sizes of `pixel_sizes` with the study.

    Raises:
        ConfigError: a size differs from that of the sensor's table or the legend, or is unknown to them and at most half of `area.scale_m`.
    """
    scale_m, where = study.area.scale_m, ", ".join(study.image.collections)
    for name, size_m in found_m.items():
        if name == LABELS:
            continue
        expected_m = study.image.table.resolution(name)
        if expected_m is None and scale_m >= _PYRAMID * size_m:
            way = (
                'take the sensor "landsat-4-9", which takes means after the mask'
                if study.image.sensor == DEFAULT
                else "add resolution_m to the sensor's table, so that means are taken after the mask"
            )
            raise ConfigError(
                f"area.scale_m {scale_m:g}: {name} of {where} has pixels of {size_m:.4g} m, and from twice their size on Earth Engine gives means over clouds; "
                f"{way}, or set scale_m below {2 * size_m:.4g}"
            )
        if expected_m is not None and not expected_m / _SAME < size_m < expected_m * _SAME:
            raise ConfigError(
                f"image.sensor: {name} of {where} has pixels of {size_m:.4g} m, the sensor's table has {expected_m:g} m; correct its resolution_m"
            )
    if study.labels is None or LABELS not in found_m:
        return
    size_m, expected_m = found_m[LABELS], study.labels.resolution_m
    is_other = expected_m is not None and not expected_m / _SAME < size_m < expected_m * _SAME
    if is_other or (expected_m is None and scale_m >= _PYRAMID * size_m):
        known = f"the study counts on {expected_m:g} m" if expected_m is not None else f"the grid has {scale_m:g} m"
        raise ConfigError(f"labels.asset {study.labels.asset}: its pixels have {size_m:.4g} m, {known}; set labels.scale_m = {size_m:.4g}")
