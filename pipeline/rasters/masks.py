"""Masks of a raster: mask bands inside the file or in a .msk beside it, of the whole file or of each band, and alpha bands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import ColorInterp, MaskFlags

from cropcam.pipeline.rasters.header import Header

Masked = Literal["", "whole", "bands", "alpha"]  # no mask, one for all bands, one for each band, an alpha band


def layer_places(header: Header) -> tuple[int, ...]:
    """Places, from 0, of the bands that hold values: all but alpha bands, which tell where there are any."""
    return tuple(place for place, color in enumerate(header.color_interpretations) if color != ColorInterp.alpha)


def masked(header: Header) -> Masked:
    """Which masks a file has beside its nodata values. GDAL gives a mask band precedence over nodata, so a file may have both."""
    flags = [header.mask_flags[place] for place in layer_places(header)]
    if any(not each for each in flags):  # GDAL's name for a mask of one band alone
        return "bands"
    if any(MaskFlags.per_dataset in each and MaskFlags.alpha not in each for each in flags):
        return "whole"
    return "alpha" if len(flags) < len(header.color_interpretations) else ""  # GDAL itself takes alpha as a mask of 1 and 3 bands alone


def read_valid(file: rasterio.DatasetReader, numbers: Sequence[int], kind: Masked, window: Any) -> npt.NDArray[np.bool_]:  # noqa: ANN401
    """Whether the masks of an open file leave each pixel valid: (band, y, x) for `kind` "bands", (1, y, x) for others; `numbers` from 1."""
    if kind == "alpha":
        alpha: npt.NDArray[np.bool_] = file.read([file.colorinterp.index(ColorInterp.alpha) + 1], window=window) > 0
        return alpha
    read = list(numbers if kind == "bands" else numbers[:1])
    is_valid: npt.NDArray[np.bool_] = file.read_masks(read, window=window) > 0
    return is_valid
