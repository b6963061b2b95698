"""What a study exports, as values: its layers, their bands and types. Imports no ee."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cropcam.pipeline.code_table import DEFAULT
from cropcam.pipeline.study.study import Study

CDL_BAND, LABEL_BAND = "cropland", "label"  # the labels' band in an export: CDL's own name, else one for all legends
WEIGHT_BAND = "weight"  # behind it, where the labels have weights


@dataclass(frozen=True)
class Layer:
    """One kind of shard: its name ("image", "labels", or "count"), its bands in order, the type of each pixel and its value without data.

    The last `zero_bands` bands, counts and weights, are 0 without data.
    """

    name: str
    bands: tuple[str, ...]
    dtype: str
    nodata: float = 0
    zero_bands: int = 0

    @property
    def empty(self) -> tuple[float, ...]:
        """The value of each band without data."""
        valued = len(self.bands) - self.zero_bands
        return (self.nodata,) * valued + (0,) * self.zero_bands

    @property
    def bytes_per_px(self) -> int:
        """Uncompressed bytes of one pixel, all bands."""
        return len(self.bands) * np.dtype(self.dtype).itemsize


def layers_of(study: Study) -> tuple[Layer, ...]:
    """The image, with counts of observations behind its bands if the study has `image.count`, and the labels if it has any.

    Counts are a layer of their own, "count", where the image cannot have them (`counts_in_image`).
    """
    encoding = study.image.encoding
    nodata = encoding.fill if encoding.dtype == "float32" else int(encoding.fill)
    counts = count_bands(study) if counts_in_image(study) else ()
    layers = [Layer("image", study.image.layers + counts, encoding.dtype, nodata, len(counts))]
    if study.labels:
        layers.append(Layer("labels", label_bands(study), study.table.dtype.name, study.table.fill, len(label_bands(study)) - 1))
    if study.image.count and not counts:
        layers.append(Layer("count", count_bands(study), "uint16"))
    return tuple(layers)


def counts_in_image(study: Study) -> bool:
    """Whether counts are further bands of the image: its scenes are then read once, by one task.

    All bands of an export have one type. One of 8 bits holds no count of some hundreds, so there counts stay a layer of their own,
    as where a band of the study has their name.
    """
    is_wide = np.dtype(study.image.encoding.dtype).itemsize > 1
    return study.image.count and is_wide and not set(count_bands(study)) & set(study.image.layers)


def layer_band(study: Study) -> str:
    """Name of the band of the labels in an export."""
    is_cdl = study.labels is not None and study.labels.legend == DEFAULT and study.labels.band in ("", CDL_BAND)
    return CDL_BAND if is_cdl else LABEL_BAND


def label_bands(study: Study) -> tuple[str, ...]:
    """Bands of the layer of labels: the codes and, where the study names one, the weight in per cent."""
    weighted = study.labels is not None and study.labels.weight
    return (layer_band(study), WEIGHT_BAND) if weighted else (layer_band(study),)


def count_bands(study: Study) -> tuple[str, ...]:
    """Names of the bands of counts: `count`; with several seasons `SEASON_count` ("1_count")."""
    seasons = len(study.image.seasons)
    return ("count",) if seasons == 1 else tuple(f"{season}_count" for season in range(1, seasons + 1))
