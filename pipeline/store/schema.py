"""The patch store's format: the contract between the data plane and the learning plane.

A zarr v3 group, the region as one georeferenced cube; a patch is a zarr chunk, a block of patches a zarr shard:

    image (band, y, x)                   the source's dtype; nodata as fill value
    label (y, x)                uint8, uint16  raw codes, of the type that the legend's codes need; absent in a store of images alone
    weight (y, x)               uint8    per cent, how much each label counts, 0 without a label; only where the study names a weight
    x, y                        float64  pixel centres in the CRS of `spatial_ref`
    band, season (band)         text     names, START/END
    valid (patch_row, patch_col)  float32  share of pixels valid in every band and, if there are labels, labelled
    share (.., class)           float32  of labelled pixels, NaN without one; absent without labels
    split (..)                  uint8    0 train, 1 validation, 2 test, 255 not used
    reason (..)                 uint8    0 kept, 1 image, 2 label, 3 gap, 255 not measured

Pixels at the right and bottom that fill no patch are in the cube and in no table. Every chunk inside the cube is stored, also one of
nodata alone: a missing chunk is damage, not nodata. The root `zarr.json` is written last: before it there is no group to open.
"""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorstore as ts

from cropcam.pipeline.encoding import BandEncoding
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PatchGrid, PixelGrid, Window
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.runtime.hashing import sha256
from cropcam.pipeline.store.attributes import check_attributes

SCHEMA_VERSION = 2
ROOT = "zarr.json"
BUILD, PENDING = ".build", f"{ROOT}.partial"  # of a store that is being built: the folder of work, the root of what is done
BLOCK_PATCHES, BLOCK_BYTES = 32, 128 * 2**20
SPLITS = ("train", "validation", "test")
REASONS = ("kept", "image", "label", "gap")
KEPT, IMAGE, LABEL, GAP = range(4)
MOST_PCT = 100  # of a weight
NOT_USED = NOT_MEASURED = 255  # in `split` and in `reason`


@dataclass(frozen=True)
class Layout:
    """Blocks of patches over a pixel grid, and the part of each table that belongs to a block."""

    grid: PatchGrid
    block_patches: int  # side of a block

    @classmethod
    def of(cls, grid: PatchGrid, bands: int, itemsize: int) -> Layout:
        """Blocks of 32 x 32 patches, halved until bands x (side in px)^2 x itemsize is at most 128 MiB."""
        side = BLOCK_PATCHES
        while side > 1 and bands * (side * grid.size_px) ** 2 * itemsize > BLOCK_BYTES:
            side //= 2
        return cls(grid, side)

    @property
    def block_px(self) -> int:
        """Side of a block in pixels."""
        return self.block_patches * self.grid.size_px

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of blocks."""
        height, width = self.grid.pixels.shape_yx
        return math.ceil(height / self.block_px), math.ceil(width / self.block_px)

    def window(self, block: tuple[int, int]) -> Window:
        """The pixels of a block."""
        (height, width), (row, col) = self.grid.pixels.shape_yx, (self.block_px * place for place in block)
        return Window(row, col, min(self.block_px, height - row), min(self.block_px, width - col))

    def rows(self, block: tuple[int, int]) -> tuple[slice, slice]:
        """The part of the tables of a block; empty where it holds no whole patch."""
        (top, left), side = (self.block_patches * place for place in block), self.block_patches
        return slice(top, max(top, min(top + side, self.grid.rows))), slice(left, max(left, min(left + side, self.grid.columns)))

    def blocks(self, abreast: int = 1) -> Iterator[tuple[int, int]]:
        """Every block: `abreast` rows of blocks at a time, column by column."""
        rows, cols = self.shape
        for first in range(0, rows, abreast):
            yield from ((row, col) for col in range(cols) for row in range(first, min(first + abreast, rows)))


@dataclass(frozen=True)
class StoreInfo:
    """Metadata of a store: its group attributes, typed.

    `statistics` are of the training split, per band in physical units: {"split", "pixels", "mean", "std", "histogram"}; and
    {"class_pixels", "valid_share"}. `dropped` counts patches that were not kept, by reason. `digests` are of the study and of the input files,
    `tables` (`table_digest`) of the tables; stores of earlier versions have none of these.
    """

    study: dict[str, Any]
    bands: tuple[str, ...]
    encoding: BandEncoding
    has_labels: bool
    classes: Legend
    crs: str
    transform: tuple[float, float, float, float, float, float]
    width: int
    height: int
    patch_size_px: int
    split_seed: int
    code_version: str
    digests: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    statistics: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)

    @property
    def pixel_grid(self) -> PixelGrid:
        """The grid of the cube."""
        return PixelGrid(self.crs, self.transform, self.width, self.height)

    @property
    def patch_grid(self) -> PatchGrid:
        """The grid of patches, `patch_row` and `patch_col` of the tables."""
        return PatchGrid(self.pixel_grid, self.patch_size_px)

    @cached_property
    def layout(self) -> Layout:
        """The blocks."""
        return Layout.of(self.patch_grid, len(self.bands), np.dtype(self.encoding.dtype).itemsize)

    @property
    def has_weight(self) -> bool:
        """Whether the labels have weights: the study names their band."""
        return self.has_labels and bool((self.study.get("labels") or {}).get("weight"))

    @property
    def seasons(self) -> list[str]:
        """START/END of each band's season."""
        named = ["/".join(season) for season in self.study["image"]["seasons"]]
        return [named[index * len(named) // len(self.bands)] for index in range(len(self.bands))]

    @property
    def season_days(self) -> list[int]:
        """The day of the year (1 to 366) in the middle of each season, in the study's order."""
        days = []
        for season in self.study["image"]["seasons"]:
            start, end = map(datetime.date.fromisoformat, season)
            days.append((start + (end - start) / 2).timetuple().tm_yday)
        return days

    @property
    def split_block_patches(self) -> tuple[int, int]:
        """Columns and rows of patches per spatial block of the splits, as the study's `splits.block_patches` has them."""
        columns, rows = self.study["splits"]["block_patches"]
        return int(columns), int(rows)

    @property
    def name(self) -> str:
        """The study's name."""
        return str(self.study["study"]["name"])

    @property
    def digest(self) -> str:
        """sha256 (hex) over all fields except the code version."""
        attrs = {key: value for key, value in self.attrs().items() if key != "code_version"}
        return sha256(json.dumps(attrs, sort_keys=True).encode())

    def attrs(self) -> dict[str, Any]:
        """The group attributes as JSON values; `legend`, the codes and names of the labels, only where it is not CDL's."""
        values = {**asdict(self), "encoding": self.encoding.attrs(), "classes": self.classes.attrs()}
        if not self.tables:
            del values["tables"]
        table = self.classes.table_attrs()
        named = {"legend": table} if table else {}
        return {"schema_version": SCHEMA_VERSION, **values, "bands": list(self.bands), "transform": list(self.transform), **named}

    @classmethod
    def from_attrs(cls, attrs: Mapping[str, Any], where: str) -> StoreInfo:
        """The inverse of `attrs`.

        Raises:
            DataError: not a patch store, or of another schema version.
        """
        version = attrs.get("schema_version")
        if version is None:
            raise DataError(f"{where}: no patch store (no schema_version among its attributes); make one with 'cropcam patches'")
        if version != SCHEMA_VERSION:
            raise DataError(
                f"{where}: schema version {version}, this cropcam reads {SCHEMA_VERSION}; delete it and build it again with 'cropcam patches'"
            )
        try:
            check_attributes(attrs)
            values = {item.name: attrs[item.name] for item in fields(cls) if item.name in attrs or item.default_factory is MISSING}
            typed = {
                "classes": Legend.from_attrs(values["classes"], attrs.get("legend")),
                "encoding": BandEncoding.from_attrs(values["encoding"]),
            }
            return cls(**{**values, **typed, **{key: tuple(values[key]) for key in ("bands", "transform")}})
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{where}: damaged patch store: attribute {error}; delete it and build it again with 'cropcam patches'"
            ) from None


def table_digest(values: npt.NDArray[Any]) -> str:
    """SHA-256 (hex) of a table's values, row by row."""
    return sha256(np.ascontiguousarray(values).tobytes())


def format_dropped(dropped: Mapping[str, int]) -> str:
    """Counts of dropped patches by reason, as text; "none" without any.

    >>> format_dropped({"image": 1234, "label": 5, "gap": 0})
    '1,234 image, 5 label'
    """
    return ", ".join(f"{count:,} {reason}" for reason, count in dropped.items() if count) or "none"


def opened(folder: Path, name: str, *, strict: bool = True, threads: int | None = None) -> Any:  # noqa: ANN401 - tensorstore.TensorStore
    """An array of a store, to be read and written.

    Args:
        folder: of the array's store.
        name: of the array.
        strict: reading a missing chunk fails; else it gives the fill value.
        threads: of the codec; every core by default.
    """
    context: dict[str, Any] = {"file_io_sync": False, **({"data_copy_concurrency": {"limit": threads}} if threads else {})}
    spec: dict[str, Any] = {
        "driver": "zarr3",
        "kvstore": {"driver": "file", "path": str((folder / name).resolve())},
    }  # tensorstore takes no ".."
    spec |= {"store_data_equal_to_fill_value": True, "fill_missing_data_reads": not strict, "context": context}
    return ts.open(spec, open=True).result()


def evenly(length: int, count: int) -> npt.NDArray[np.int64]:
    """At most `count` of `length` indices, evenly spaced from the first to the last.

    >>> evenly(10, 4).tolist(), evenly(3, 4).tolist()
    ([0, 3, 6, 9], [0, 1, 2])
    """
    return np.unique(np.linspace(0, length - 1, min(count, length)).astype(np.int64))
