"""The arrays of a store: shape, type, zarr chunks and zarr shards of each, as its attributes make them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from cropcam.pipeline.store.schema import StoreInfo

Shape = tuple[int, ...]


@dataclass(frozen=True)
class ArraySpec:
    """One array; `files` is a zarr shard where the array has any, else a zarr chunk."""

    shape: Shape
    dtype: np.dtype[Any]
    chunk: Shape
    file: Shape

    def files(self) -> Shape:
        """How many files it has along each axis."""
        return tuple(math.ceil(length / of_file) for length, of_file in zip(self.shape, self.file, strict=True))

    def problem(self, expected: ArraySpec) -> str:
        """In what it is not as expected, in words; empty where it is. Chunks may be smaller: their size is memory."""
        if self.shape != expected.shape:
            return f"is of {self.shape}, its attributes make it {expected.shape}"
        if self.dtype != expected.dtype:
            return f"is of {self.dtype}, its attributes make it {expected.dtype}"
        for what, found, most in (("zarr chunks", self.chunk, expected.chunk), ("files", self.file, expected.file)):
            if any(one > other for one, other in zip(found, most, strict=True)):
                return f"has {what} of {found}, at most {most} are possible"
        return ""


def array_specs(info: StoreInfo) -> dict[str, ArraySpec]:
    """The pixels and tables of a store by name; not its coordinates."""
    grid, layout, bands = info.patch_grid, info.layout, len(info.bands)
    shape, size, side = grid.pixels.shape_yx, (grid.size_px,) * 2, (layout.block_px,) * 2
    specs = {"image": ArraySpec((bands, *shape), np.dtype(info.encoding.dtype), (bands, *size), (bands, *side))}
    if info.has_labels:
        specs["label"] = ArraySpec(shape, info.classes.table.dtype, size, side)
    if info.has_weight:
        specs["weight"] = ArraySpec(shape, np.dtype(np.uint8), size, side)
    table, block = (grid.rows, grid.columns), (layout.block_patches,) * 2
    for name, kind in (("valid", np.float32), ("split", np.uint8), ("reason", np.uint8)):
        specs[name] = ArraySpec(table, np.dtype(kind), block, block)
    if info.has_labels:
        classes = len(info.classes)
        specs["share"] = ArraySpec((*table, classes), np.dtype(np.float32), (*block, classes), (*block, classes))
    return specs
