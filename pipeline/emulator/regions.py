"""Reductions of an image over a region, block by block."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.geometry import Geometry
from cropcam.pipeline.emulator.images import LazyImage
from cropcam.pipeline.emulator.nodes import Masked, Within
from cropcam.pipeline.emulator.projections import Projection
from cropcam.pipeline.emulator.reducers import Reducer, check_raw, reduce_numbers
from cropcam.pipeline.emulator.values import Value
from cropcam.pipeline.grid import PixelGrid, tiles

_BLOCK_PX = 512


def reduce_region(
    image: LazyImage, reducer: Reducer, region: Geometry, lattice: Projection, *, max_pixels: int, best_effort: bool
) -> dict[str, Any]:
    """The reducer's output for each band over the pixels of a lattice whose centres lie in a region.

    Returns:
        By band name a number, a dictionary for frequencyHistogram, None where no pixel is valid.

    Raises:
        EngineError: more pixels than `max_pixels`, unless `best_effort` may coarsen the lattice.

    Source: Earth Engine API, ee.Image.reduceRegion.
    """
    window = region.window(lattice)
    while window.width * window.height > max_pixels:
        if not best_effort:
            raise EngineError(
                f"Image.reduceRegion: Too many pixels in the region. Found {window.width * window.height}, but maxPixels allows only {max_pixels}."
            )
        a, b, c, d, e, f = lattice.transform
        lattice = Projection(lattice.crs, (a * 2, b * 2, c, d * 2, e * 2, f))
        window = region.window(lattice)
    values = _valid_values(image, region, lattice.grid(window))
    return {band.name: _reduced(reducer, samples, whole=band.type.is_int) for band, samples in zip(image.bands, values, strict=True)}


def _valid_values(image: LazyImage, region: Geometry, grid: PixelGrid) -> list[npt.NDArray[Any]]:
    within = Within(region)
    clipped = image.with_bands([band.computed(Masked(band.node, within)) for band in image.bands])
    samples: list[list[npt.NDArray[Any]]] = [[] for _ in image.bands]
    for block in tiles(grid.shape_yx, (_BLOCK_PX, _BLOCK_PX)):
        for band, values, mask in zip(samples, *clipped.read(grid.window(block)), strict=True):
            band.append(values[mask])
    return [np.concatenate(parts) for parts in samples]


def _reduced(reducer: Reducer, values: npt.NDArray[Any], *, whole: bool) -> Value:
    check_raw(reducer, values.size)
    if reducer.kind == "mode" and values.size:
        found, number = np.unique(values, return_counts=True)
        return found[number.argmax()].item()
    if reducer.kind in ("toList", "frequencyHistogram", "first", "last") or not values.size:
        return 0 if reducer.kind == "count" else reduce_numbers(reducer, values.tolist())
    functions: dict[str, Any] = {
        "mean": np.mean, "median": np.median, "min": np.min, "max": np.max, "sum": np.sum, "count": np.size, "stdDev": np.std,
        "variance": np.var,
    }  # fmt: skip
    if reducer.kind not in functions:
        return reduce_numbers(reducer, values.tolist())
    result = functions[reducer.kind](values if reducer.kind in ("min", "max", "count") else values.astype(np.float64))
    return int(result) if reducer.kind == "count" or (whole and reducer.kind in ("min", "max", "sum")) else float(result)
