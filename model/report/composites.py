"""Three bands of a patch as red, green and blue; one stretch for a whole scene.

Axis suffixes: N patch, C band, Y/X rows and columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.colours import BRIGHTER
from cropcam.pipeline.store.patch_store import PatchStore

BANDS = {  # red, green, blue: of Landsat 8 and 9, and by common name
    "true colour": (("B4", "B3", "B2"), ("red", "green", "blue")),
    "false colour": (("B5", "B6", "B4"), ("nir", "swir1", "red")),
}
STRETCH_PCT = (2.0, 98.0)
GAMMA = {"true colour": BRIGHTER}
NODATA_RGB = (232, 234, 231)
_PATCHES, _VALUES = 128, 2**25  # at most, of a scene's stretch
Reflectance = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Composite:
    """Three bands shown as red, green and blue, and the reflectances that become black and full colour in each."""

    title: str
    bands: tuple[int, ...]
    names: tuple[str, ...]
    limits: tuple[tuple[float, float], ...]

    @property
    def gamma(self) -> float:
        """The root of the stretched values that is shown."""
        return GAMMA.get(self.title, 1.0)

    @property
    def stretch(self) -> str:
        """The stretch in words."""
        return ", ".join(f"{name} {low:.3f} to {high:.3f}" for name, (low, high) in zip(self.names, self.limits, strict=True))

    def picture(self, reflectance_CYX: Reflectance) -> npt.NDArray[np.uint8]:
        """RGB (y, x, 3); pixels without data grey."""
        low, high = (np.array(limit, np.float32)[:, None, None] for limit in zip(*self.limits, strict=True))
        scaled = np.clip((reflectance_CYX[list(self.bands)] - low) / np.maximum(high - low, 1e-6), 0, 1) ** (1 / self.gamma)
        valid_YX1 = np.isfinite(np.moveaxis(reflectance_CYX, 0, -1)).all(axis=-1, keepdims=True)
        return np.where(valid_YX1, np.moveaxis(np.nan_to_num(scaled) * 255 + 0.5, 0, -1), NODATA_RGB).astype(np.uint8)


def composites(bands: Sequence[str], reflectance_NCYX: Reflectance) -> tuple[Composite, ...]:
    """True and false colour where the bands allow it, else the first three bands; the stretch is of all patches given.

    Bands are recognised by the end of their names; of several seasons the middle one is shown.
    """
    chosen: dict[str, tuple[int, ...]] = {}
    for title, alternatives in BANDS.items():
        for endings in alternatives:
            matches = [[index for index, name in enumerate(bands) if f"_{name}".endswith(f"_{ending}")] for ending in endings]
            if all(matches):
                chosen.setdefault(title, tuple(found[len(found) // 2] for found in matches))
    chosen = chosen or {"first bands": tuple(min(index, len(bands) - 1) for index in range(3))}
    stretch = {index: np.nanpercentile(reflectance_NCYX[:, index], STRETCH_PCT) for indices in chosen.values() for index in indices}
    limits = {index: (float(low), float(high)) for index, (low, high) in stretch.items()}
    return tuple(
        Composite(title, indices, tuple(bands[index] for index in indices), tuple(limits[index] for index in indices))
        for title, indices in chosen.items()
    )


def scene_composites(store: PatchStore) -> tuple[Composite, ...]:
    """The composites of a store, stretched over patches spread evenly over all that it keeps.

    Raises:
        DataError: a chunk is damaged or missing.
    """
    count = min(len(store), _PATCHES, max(_VALUES // int(np.prod(store.patch_shape)), 1))
    index_N = np.linspace(0, len(store) - 1, count).round().astype(np.int64)
    return composites(store.bands, store.encoding.physical(store.images(index_N)))
