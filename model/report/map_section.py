"""The report's part about a map of the run: its picture, its uncertainty, and hectares of each class."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import rasterio

from cropcam.model.report.composites import NODATA_RGB
from cropcam.model.report.figures import png
from cropcam.model.report.gallery import class_picture
from cropcam.model.runs.checkpoint import BEST
from cropcam.pipeline.crs import is_geographic
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.maps.area_report import map_areas
from cropcam.pipeline.maps.class_map import FinishedMap, open_map
from cropcam.pipeline.maps.quantised import STEPS
from cropcam.pipeline.maps.windows import NODATA_CLASS
from cropcam.pipeline.raster_errors import UNREADABLE
from cropcam.pipeline.runtime.hashing import file_sha256
from cropcam.pipeline.runtime.progress import Progress, silent
from cropcam.pipeline.runtime.terminal import quoted

LONGEST_PX = 1100  # side of a picture
UNCERTAINTY_COLORS = "viridis"
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class MapSection:
    """A map in the report.

    Attributes:
        name: file name.
        pictures: title and address of each picture.
        areas: as of `map_areas`.
        tags: of the map.
        pixels_per_cell: pixels of the map for each pixel of the picture, along the side where they are more.
    """

    name: str
    pictures: tuple[tuple[str, str], ...]
    areas: dict[str, Any]
    tags: dict[str, str]
    pixels_per_cell: float


def map_section(run: Path, path: Path, reference: Path | None = None, progress: Progress = silent) -> MapSection:
    """Read a map that the run made; with reference points its areas are adjusted for its errors.

    Raises:
        DataError: no map, a map of another run or checkpoint, or reference points that cannot be used.
    """
    opened = open_map(path)
    made_by, own = opened.tags.get("checkpoint_digest", ""), file_sha256(run / BEST)
    if made_by != own:
        raise DataError(
            f"{path}: was made by the checkpoint {made_by[:12] or 'of an unknown run'}, that of {run} is {own[:12]}; "
            f"map again with this run: cropcam map {quoted(run)} ... --out MAP.tif"
        )
    shape_yx = _picture_shape(opened.grid)
    pictures = [("Classes", png(class_picture(_reduced(path, shape_yx), opened.legend)))]
    if (uncertainty := _beside(opened, "uncertainty")) is not None:
        title = "Uncertainty: entropy of the probabilities, dark = certain, yellow = all classes alike"
        pictures.append((title, png(_ramp(_reduced(uncertainty, shape_yx)))))
    per_cell = max(length / cells for length, cells in zip(opened.grid.shape_yx, shape_yx, strict=True))
    return MapSection(path.name, tuple(pictures), map_areas(path, None, reference, progress=progress), dict(opened.tags), per_cell)


def _beside(opened: FinishedMap, tag: str) -> Path | None:
    """A file that the map's tag names, where it is there."""
    found = opened.path.parent / opened.tags[tag] if opened.tags.get(tag) else None
    return found if found is not None and found.is_file() else None


def _reduced(path: Path, shape_yx: tuple[int, int]) -> Bytes:
    """The first band in another shape, the nearest pixel of the overviews."""
    try:
        with rasterio.open(path) as dataset:
            found: Bytes = dataset.read(1, out_shape=shape_yx)
            return found
    except UNREADABLE as error:
        raise DataError(f"{path}: cannot be read ({str(error).splitlines()[0]}); make the map again") from None


def _ramp(values_YX: Bytes) -> Bytes:
    """Colours of 0 to 250; pixels without data as in the gallery."""
    rgb_YX3 = (mpl.colormaps[UNCERTAINTY_COLORS](np.minimum(values_YX / STEPS, 1.0))[..., :3] * 255).round().astype(np.uint8)
    rgb_YX3[values_YX == NODATA_CLASS] = NODATA_RGB
    return np.asarray(rgb_YX3)


def _picture_shape(grid: PixelGrid) -> tuple[int, int]:
    """Rows and columns of a picture that has the map's shape on the ground, at its middle, and at most its pixels."""
    a, _, _, _, e, f = grid.transform
    ratio = abs(a * grid.width / (e * grid.height))  # width over height
    if is_geographic(grid.crs):
        ratio *= math.cos(math.radians(f + e * grid.height / 2))
    height = min(LONGEST_PX, LONGEST_PX / ratio, grid.height, grid.width / ratio)
    return max(round(height), 1), max(round(height * ratio), 1)
