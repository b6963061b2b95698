"""What a study exports, as values: its layers, their bands and types. Imports no ee."""

from __future__ import annotations

from dataclasses import dataclass

from cropcam.pipeline.study.study import Study

DTYPE_BYTES = {"uint16": 2, "uint8": 1}


@dataclass(frozen=True)
class Layer:
    """One kind of shard: its name ("image", "labels", "count"), its bands in order, the type of each pixel."""

    name: str
    bands: tuple[str, ...]
    dtype: str

    @property
    def bytes_per_px(self) -> int:
        """Uncompressed bytes of one pixel, all bands."""
        return len(self.bands) * DTYPE_BYTES[self.dtype]


def layers_of(study: Study) -> tuple[Layer, ...]:
    """Image, labels and, if the study has `image.count`, count: in the order of export."""
    layers = [Layer("image", study.image.layers, "uint16"), Layer("labels", ("cropland",), "uint8")]
    if study.image.count:
        layers.append(Layer("count", count_bands(study), "uint16"))
    return tuple(layers)


def count_bands(study: Study) -> tuple[str, ...]:
    """Names of the count layer: `count`; with several seasons `SEASON_count` ("1_count")."""
    seasons = len(study.image.seasons)
    return ("count",) if seasons == 1 else tuple(f"{season}_count" for season in range(1, seasons + 1))
