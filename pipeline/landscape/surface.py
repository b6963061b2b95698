"""Surface reflectance of the land at a date: calendar, field effects, texture and pixels; no air, no clouds."""

from __future__ import annotations

import datetime

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.landscape.cover import Cover
from cropcam.pipeline.landscape.noise import Floats, Metres, lattice_hash, octaves, salt, uniform_bytes
from cropcam.pipeline.landscape.spectra import BANDS, CLASSES, SHIFTS, SNOW, season, tables

_SNOW_SHOWS = {
    "deciduous": 0.45,
    "mixed": 0.35,
    "evergreen": 0.25,
    "woody_wetland": 0.45,
    "water": 0.6,
    "high": 0.5,
    "medium": 0.6,
    "low": 0.7,
}


class Surface:
    """The part of a block's reflectance that all dates share.

    Bands in Landsat order; `at(date)` gives float32 (BANDS, rows, columns) reflectance.
    """

    def __init__(self, cover: Cover, x_m: Metres, y_m: Metres, seed: int) -> None:
        table = tables()
        kind = table.class_of_code.take(cover.code)
        self.is_water = cover.code == 111
        self._at = kind.astype(np.int32) * np.int32(SHIFTS) + (cover.fields.shift_days + np.int32(SHIFTS // 2))
        self._kind = kind
        cells = lattice_hash(np.floor(x_m / 30).astype(np.int32), np.floor(y_m / 30).astype(np.int32), salt(seed, "pixel"))
        pixels = uniform_bytes(cells)
        field_share, texture_share, pixel_share = (share.take(kind) for share in table.shares)
        self._spread = np.zeros((BANDS, *x_m.shape), np.float32)
        for k in range(3):
            texture = octaves(x_m, y_m, (420.0, 150.0), salt(seed, "texture", k), 0.8)
            latent = field_share * cover.fields.traits[k]
            latent += texture_share * texture
            latent += pixel_share * pixels[k]
            for band in range(BANDS):
                self._spread[band] += latent * table.loadings[k, band].take(kind)
            if k == 0:
                self._soil = np.float32(0.09) * cover.fields.soil + np.float32(0.07) * texture + np.float32(0.03) * pixels[3]

    def at(self, date: datetime.date, snow: Floats | None = None) -> npt.NDArray[np.float32]:
        """Reflectance on one date; `snow` is its depth on open ground as a share of full cover, or None."""
        calendar = season(date)
        spread = calendar.spread.take(self._at)
        soil = calendar.soil.take(self._at)
        soil *= self._soil
        soil += np.float32(1)
        out = np.empty_like(self._spread)
        for band in range(BANDS):
            layer = calendar.mean[band].take(self._at)
            layer *= soil
            layer += spread * self._spread[band]
            np.maximum(layer, np.float32(0.001), out=out[band])
        if snow is not None:
            shows = np.array([_SNOW_SHOWS.get(name, 1.0) for name in CLASSES], np.float32).take(self._kind) * snow
            for band in range(BANDS):
                out[band] += shows * (np.float32(SNOW[band] * 1e-4) - out[band])
        return out


def blur(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """What the sensor mixes in from the neighbours: (BANDS, rows, columns) to two rows and two columns fewer.

    Weights 0.12, 0.76, 0.12 along each axis. Source: the OLI point spread at 30 m, about 0.3 at the pixel's edge
    (Knight, E. and Kvaran, G. (2014), Landsat-8 Operational Land Imager design, Remote Sens. 6(11)), rounded.
    """
    side, middle = np.float32(0.12), np.float32(0.76)
    rows = image[:, 1:-1] * middle
    rows += (image[:, :-2] + image[:, 2:]) * side
    out = rows[:, :, 1:-1] * middle
    out += (rows[:, :, :-2] + rows[:, :, 2:]) * side
    return np.asarray(out)
