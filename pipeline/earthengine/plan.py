"""What an export will do, before the first request: tasks = layers x cells of the grid, within every documented limit.

Pure: a plan needs no client and no credentials.

Source: Earth Engine REST reference, "projects.image/export" and "ImageFileExportOptions"; guides "Exporting images",
"Earth Engine quotas", "Processing environments".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from cropcam.pipeline.earthengine.destinations import Destination, check_name
from cropcam.pipeline.earthengine.layers import Layer, layers_of
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.grid import Window, tiles
from cropcam.pipeline.study.study import Study

TILE_PX = 256  # file dimensions are multiples of it
CELL_PX = 8192  # a cell is one task: 67 M pixels, about 1 GB of seven bands, an hour or less of the service's time
FILE_BYTES_LIMIT = 17_179_869_184  # limit of one file, uncompressed
FILE_SIDE_LIMIT_PX = 131_072
MAX_PIXELS = 100_000_000  # the service's default; larger cells set it explicitly
BANDS_LIMIT = 1024
QUEUE_LIMIT = 3000  # tasks a user may have waiting
PRIORITY_LIMITS = (0, 9999)
PRIORITY = 100
DESCRIPTION_LENGTH = 100
_STEM_LENGTH = 80  # leaves room for the key and the attempt


@dataclass(frozen=True)
class Task:
    """One export task: one layer on one cell of the grid.

    `name` is the prefix of its files, `file_px` the side of one file in pixels (a multiple of 256).
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
        return math.ceil(self.cell.height / self.file_px) * math.ceil(self.cell.width / self.file_px)

    @property
    def max_pixels(self) -> int:
        """The pixels to allow, named in the request."""
        return max(MAX_PIXELS, self.pixels)


@dataclass(frozen=True)
class Plan:
    """All tasks of one study to one destination."""

    study: Study
    destination: Destination
    tasks: tuple[Task, ...]
    cell_px: int
    priority: int

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

    def text(self) -> str:
        """The plan as text: one line per task, then the sum."""
        width = max(len(task.name) for task in self.tasks)
        lines = [
            f"{task.name:<{width}}  rows {task.cell.row}..{task.cell.row + task.cell.height}  columns {task.cell.col}..{task.cell.col + task.cell.width}"
            f"  {task.pixels:>13,} px  {task.bytes / 1e6:>9,.1f} MB  {task.files} file{'s' * (task.files > 1)}"
            for task in self.tasks
        ]
        total = f"{len(self.tasks)} tasks to {self.destination}: {self.pixels:,} px, {self.bytes / 1e9:,.2f} GB uncompressed, {self.files} files"
        return "\n".join((*lines, total))


def plan(study: Study, destination: Destination, *, cell_px: int = CELL_PX, file_px: int | None = None, priority: int = PRIORITY) -> Plan:
    """The tasks that bring every layer of a study to a destination.

    Args:
        study: the study.
        destination: Drive folder or Cloud Storage prefix.
        cell_px: side of a cell, a multiple of 256.
        file_px: side of one file, a multiple of 256; by default that of a cell, if it stays below the limit.
        priority: 0 to 9999, of the tasks within the project.

    Raises:
        ConfigError: a documented limit would be broken; the message names it.
    """
    _check_side("--cell-px", cell_px)
    if not PRIORITY_LIMITS[0] <= priority <= PRIORITY_LIMITS[1]:
        raise ConfigError(f"--priority {priority}: 0 to 9999 are allowed")
    cells = list(tiles(study.grid.shape_yx, (cell_px, cell_px)))
    columns = math.ceil(study.grid.width / cell_px)
    tasks = []
    for layer in layers_of(study):
        if len(layer.bands) > BANDS_LIMIT:
            raise ConfigError(f"{layer.name}: {len(layer.bands)} bands; Earth Engine allows {BANDS_LIMIT}; use fewer seasons or bands")
        side = _file_side(layer, cell_px, file_px, study)
        for number, cell in enumerate(cells):
            place = f"-r{number // columns:02d}c{number % columns:02d}" if len(cells) > 1 else ""
            name = f"{study.name}-{layer.name}{place}"
            check_name("task name", name, _STEM_LENGTH)
            tasks.append(Task(layer, cell, name, side))
    if len(tasks) > QUEUE_LIMIT:
        raise ConfigError(f"{len(tasks):,} tasks; Earth Engine lets {QUEUE_LIMIT:,} wait: use larger cells than --cell-px {cell_px}")
    return Plan(study, destination, tuple(tasks), cell_px, priority)


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
