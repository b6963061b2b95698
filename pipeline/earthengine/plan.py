"""What an export will do, before the first request: tasks = layers x cells of the grid, within every documented limit.

Pure: a plan needs no client and no credentials.

Source: Earth Engine REST reference, "projects.image/export" and "ImageFileExportOptions"; guides "Exporting images",
"Earth Engine quotas", "Processing environments".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from cropcam.pipeline.earthengine.destinations import Asset, Destination, check_name
from cropcam.pipeline.earthengine.layers import Layer, layers_of
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.grid import Window, tiles
from cropcam.pipeline.study.polygons import meets
from cropcam.pipeline.study.study import Study

TILE_PX = 256  # file dimensions are multiples of it
SHARD_SIZES_PX = (16, 32, 64, 128, 256)  # sides of the tiles in which the service computes; they divide those of the files
CELL_PX = 8192  # a cell is one task: 67 M pixels, about 1 GB of seven bands, an hour or less of the service's time
FILE_BYTES_LIMIT = 17_179_869_184  # limit of one file, uncompressed
FILE_SIDE_LIMIT_PX = 131_072
MAX_PIXELS = 10_000_000_000_000  # generous: the size is that of the named grid; without it the service refuses more than 1e8
BANDS_LIMIT = 1024  # of a task and of a pixel request
QUEUE_LIMIT = 3000  # tasks a project may have waiting
PRIORITY_LIMITS = (0, 9999)
PRIORITY = 100
DESCRIPTION_LENGTH = 100
_STEM_LENGTH = 80  # leaves room for the key and the attempt


@dataclass(frozen=True)
class Task:
    """One export task: one layer on one cell of the grid.

    `name` is the prefix of its files, `file_px` the side of one file in pixels (a multiple of 256; 0 where an asset is written).
    """

    layer: Layer
    cell: Window
    name: str
    file_px: int

    @property
    def pixels(self) -> int:
        """Pixels of the cell."""
        return self.cell.height * self.cell.width

    @property
    def bytes(self) -> int:
        """Uncompressed bytes of all bands."""
        return self.pixels * self.layer.bytes_per_px

    @property
    def files(self) -> int:
        """How many GeoTIFFs the service writes."""
        return self.file_px and math.ceil(self.cell.height / self.file_px) * math.ceil(self.cell.width / self.file_px)


@dataclass(frozen=True)
class Plan:
    """All tasks of one study to one destination.

    `shard_px` is the side of the tiles in which the service computes, `cog` whether it writes Cloud Optimized GeoTIFFs, `overwrite`
    whether an asset that exists is replaced.
    """

    study: Study
    destination: Destination
    tasks: tuple[Task, ...]
    cell_px: int = CELL_PX
    priority: int = PRIORITY
    shard_px: int = TILE_PX
    cog: bool = False
    overwrite: bool = False

    @property
    def pixels(self) -> int:
        """Pixels of all tasks."""
        return sum(task.pixels for task in self.tasks)

    @property
    def bytes(self) -> int:
        """Uncompressed bytes of all tasks."""
        return sum(task.bytes for task in self.tasks)

    @property
    def files(self) -> int:
        """GeoTIFFs of all tasks."""
        return sum(task.files for task in self.tasks)

    def layer_pixels(self) -> dict[str, int]:
        """Pixels of all tasks of each layer, by its name."""
        pixels: dict[str, int] = {}
        for task in self.tasks:
            pixels[task.layer.name] = pixels.get(task.layer.name, 0) + task.pixels
        return pixels

    def geometry(self) -> dict[str, Any]:
        """What decides which file holds which pixel, as JSON values."""
        return {"cell_px": self.cell_px, "file_px": {task.layer.name: task.file_px for task in self.tasks}}

    def rows(self) -> list[dict[str, Any]]:
        """One mapping per task, for a table or JSON."""
        return [
            {
                "task": task.name, "layer": task.layer.name, "row": task.cell.row, "col": task.cell.col, "height": task.cell.height,
                "width": task.cell.width, "pixels": task.pixels, "bytes": task.bytes, "files": task.files,
            }
            for task in self.tasks
        ]  # fmt: skip

    def facts(self) -> dict[str, Any]:
        """The plan as JSON values: tasks and their sums."""
        return {"tasks": self.rows(), "requests": None, "pixels": self.pixels, "bytes": self.bytes, "files": self.files}

    def text(self) -> str:
        """The plan as text: one line per task, then the sum."""
        width = max(len(task.name) for task in self.tasks)
        lines = [
            f"{task.name:<{width}}  rows {task.cell.row}..{task.cell.row + task.cell.height}  columns {task.cell.col}..{task.cell.col + task.cell.width}"
            f"  {task.pixels:>13,} px  {task.bytes / 1e6:>9,.1f} MB  {self._made_of(task.files)}"
            for task in self.tasks
        ]
        total = f"{len(self.tasks)} task{'s' * (len(self.tasks) > 1)} to {self.destination}: {self.pixels:,} px, {self.bytes / 1e9:,.2f} GB uncompressed, {self._made_of(self.files)}"
        return "\n".join((*lines, total))

    def _made_of(self, files: int) -> str:
        return "1 asset" if isinstance(self.destination, Asset) else f"{files} file{'s' * (files != 1)}"


def plan(
    study: Study,
    destination: Destination,
    *,
    cell_px: int = CELL_PX,
    file_px: int | None = None,
    priority: int = PRIORITY,
    shard_px: int = TILE_PX,
    cog: bool = False,
    overwrite: bool = False,
) -> Plan:
    """The tasks that bring every layer of a study to a destination; to an asset, the image layer as one task.

    Cells that lie outside `area.region` get no task: their pixels have no data.

    Args:
        study: the study.
        destination: Drive folder, Cloud Storage prefix or asset.
        cell_px: side of a cell, a multiple of 256.
        file_px: side of one file, a multiple of 256; by default that of a cell, if it stays below the limit.
        priority: 0 to 9999, of the tasks within the project.
        shard_px: side of the tiles in which the service computes: 16 to 256, a power of two. Smaller ones need less memory.
        cog: write Cloud Optimized GeoTIFFs.
        overwrite: replace an asset that exists.

    Raises:
        ConfigError: a documented limit would be broken, the message names it; or no cell meets `area.region`.
    """
    _check_side("--cell-px", cell_px)
    if not PRIORITY_LIMITS[0] <= priority <= PRIORITY_LIMITS[1]:
        raise ConfigError(f"--priority {priority}: 0 to 9999 are allowed")
    if shard_px not in SHARD_SIZES_PX:
        raise ConfigError(f"--shard-size {shard_px}: choose one of {', '.join(map(str, SHARD_SIZES_PX))} px")
    if overwrite and not isinstance(destination, Asset):
        raise ConfigError("--overwrite goes with --to asset:PATH; files at another destination are never replaced")
    to_asset = isinstance(destination, Asset)
    if to_asset and cog:
        raise ConfigError("--cog goes with drive: and gs://; an asset is no file")
    if to_asset:
        cell_px = max(study.grid.shape_yx)  # an asset is one cell, whatever the option, and its manifest stays the same
    numbered, columns = cells(study, cell_px)
    tasks = []
    for layer in layers_of(study):
        if len(layer.bands) > BANDS_LIMIT:
            raise ConfigError(f"{layer.name}: {len(layer.bands)} bands; Earth Engine allows {BANDS_LIMIT}; use fewer seasons or bands")
        if to_asset and layer.name != "image":
            continue
        side = 0 if to_asset else _file_side(layer, cell_px, file_px, study)
        for number, cell in numbered:
            place = f"-r{number // columns:02d}c{number % columns:02d}" if study.grid.shape_yx != (cell.height, cell.width) else ""
            name = f"{study.name}-{layer.name}{place}"
            check_name("task name", name, _STEM_LENGTH)
            tasks.append(Task(layer, cell, name, side))
    if len(tasks) > QUEUE_LIMIT:
        raise ConfigError(f"{len(tasks):,} tasks; Earth Engine lets {QUEUE_LIMIT:,} wait: use larger cells than --cell-px {cell_px}")
    return Plan(study, destination, tuple(tasks), cell_px, priority, shard_px, cog, overwrite)


def cells(study: Study, side_px: int) -> tuple[list[tuple[int, Window]], int]:
    """The cells of a study's grid that may hold a pixel of `area.region`, each with its number in the whole grid, and the grid's columns of cells.

    Raises:
        ConfigError: none does.
    """
    whole = tiles(study.grid.shape_yx, (side_px, side_px))
    found = [(number, cell) for number, cell in enumerate(whole) if meets(study.area.region, study.grid, cell)]
    if not found:
        raise ConfigError("area.region: no polygon meets area.bounds; there is nothing to export")
    return found, math.ceil(study.grid.width / side_px)


def _check_side(option: str, side_px: int) -> None:
    if side_px < TILE_PX or side_px % TILE_PX:
        raise ConfigError(f"{option} {side_px}: file dimensions are multiples of {TILE_PX} px")
    if side_px > FILE_SIDE_LIMIT_PX:
        raise ConfigError(f"{option} {side_px}: Earth Engine writes files of at most {FILE_SIDE_LIMIT_PX:,} px a side")


def _file_side(layer: Layer, cell_px: int, requested: int | None, study: Study) -> int:
    """Side of one file: as requested, else that of the cell or the grid, reduced until a file fits the limit."""
    if requested is not None:
        _check_side("--file-px", requested)
        if requested * requested * layer.bytes_per_px >= FILE_BYTES_LIMIT:
            raise ConfigError(
                f"--file-px {requested}: a file of {layer.name} would hold {requested * requested * layer.bytes_per_px:,} bytes; Earth Engine allows less than {FILE_BYTES_LIMIT:,}"
            )
        return requested
    needed = min(cell_px, math.ceil(max(study.grid.shape_yx) / TILE_PX) * TILE_PX)
    fitting = math.isqrt((FILE_BYTES_LIMIT - 1) // layer.bytes_per_px) // TILE_PX * TILE_PX
    return min(needed, fitting)
