"""A finished class map, read: its grid, its classes, what made it, and the classes of single pixels."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.windows import Window as RasterWindow

from cropcam.pipeline.crs import crs_text
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.grid import PixelGrid, Window, tiles
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.maps.windows import NODATA_CLASS, Classes
from cropcam.pipeline.raster_errors import UNREADABLE
from cropcam.pipeline.text_files import parse_json

BLOCK_PX = 512  # side of the windows that are read; that of the tiles in which maps are written
_MAKE_ONE = "give a map that cropcam map wrote"


@dataclass(frozen=True)
class FinishedMap:
    """A class map on the disk, uint8 class indices, 255 = nodata; pixels are read when they are asked for.

    Attributes:
        path: of the file.
        grid: its grid, in the map's CRS.
        legend: its classes in index order; of a map without the tag `legend` the names alone.
        tags: provenance, as `cropcam map` wrote it; without `classes` and `legend`.
    """

    path: Path
    grid: PixelGrid
    legend: Legend
    tags: Mapping[str, str]

    def classes_at(self, row_P: npt.NDArray[np.int64], col_P: npt.NDArray[np.int64]) -> Classes:
        """The class index (P,), uint8, of single pixels; 255 is nodata. Each block of 512 x 512 px is read once.

        Args:
            row_P: rows of the grid.
            col_P: columns of the grid.

        Raises:
            DataError: the file is damaged, or holds an index that is no class.
        """
        found_P = np.full(len(row_P), NODATA_CLASS, np.uint8)
        across = -(-self.grid.width // BLOCK_PX)
        block_P = row_P // BLOCK_PX * across + col_P // BLOCK_PX
        order_P = np.argsort(block_P, kind="stable")
        blocks_B, first_B = np.unique(block_P[order_P], return_index=True)
        try:
            with rasterio.open(self.path) as dataset:
                for block, members in zip(
                    blocks_B.tolist(), np.split(order_P, first_B[1:]), strict=False
                ):  # of no point: no block, one empty part
                    top, left = block // across * BLOCK_PX, block % across * BLOCK_PX
                    size = min(BLOCK_PX, self.grid.width - left), min(BLOCK_PX, self.grid.height - top)
                    values_YX = dataset.read(1, window=RasterWindow(left, top, *size))
                    found_P[members] = values_YX[row_P[members] - top, col_P[members] - left]
        except UNREADABLE as error:
            raise self._unreadable(error) from None
        self._check(found_P)
        return found_P

    def blocks(self) -> Iterator[tuple[Window, Classes]]:
        """Every window of 512 x 512 px, row by row, and its class indices (Y, X), uint8; 255 is nodata.

        Raises:
            DataError: the file is damaged, or holds an index that is no class.
        """
        try:
            with rasterio.open(self.path) as dataset:
                for window in tiles(self.grid.shape_yx, (BLOCK_PX, BLOCK_PX)):
                    values_YX = dataset.read(1, window=RasterWindow(window.col, window.row, window.width, window.height))
                    self._check(values_YX)
                    yield window, values_YX
        except UNREADABLE as error:
            raise self._unreadable(error) from None

    def _check(self, found: Classes) -> None:
        if (wrong := (found != NODATA_CLASS) & (found >= len(self.legend))).any():
            raise DataError(f"{self.path}: holds the class {found[wrong][0]}, but has {len(self.legend)} classes; make the map again")

    def _unreadable(self, error: Exception) -> DataError:
        return DataError(f"{self.path}: cannot be read ({str(error).splitlines()[0]}); make the map again")


def open_map(path: Path) -> FinishedMap:
    """Open a class map that `cropcam map` wrote.

    Raises:
        DataError: no such file, no raster, or no class map of this project; names what is missing.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such map; {_MAKE_ONE}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a raster without a place is refused below
            with rasterio.open(path) as dataset:
                tags, crs = dict(dataset.tags()), dataset.crs
                transform, shape = tuple(dataset.transform)[:6], (dataset.width, dataset.height)
                kind = (dataset.count, dataset.dtypes[0], dataset.nodata)
    except UNREADABLE:
        raise DataError(f"{path}: cannot be read as a raster; {_MAKE_ONE}") from None
    if not tags.get("TIFFTAG_SOFTWARE", "").startswith("cropcam") or "classes" not in tags:
        raise DataError(f"{path}: no class map of cropcam, its tags name no classes; {_MAKE_ONE}")
    if kind != (1, "uint8", NODATA_CLASS) or crs is None:
        found = f"{kind[0]} bands of {kind[1]}, nodata {kind[2]}, CRS {crs}"
        raise DataError(f"{path}: a class map has one band of uint8, nodata 255 and a CRS, this file has {found}; {_MAKE_ONE}")
    grid = PixelGrid(crs_text(crs), transform, *shape)
    legend = _legend(path, tags.pop("classes"), tags.pop("legend", ""))
    return FinishedMap(path, grid, legend, {name: text for name, text in tags.items() if name != "AREA_OR_POINT"})


def _legend(path: Path, classes: str, legend: str) -> Legend:
    """The legend of the tags; of an older map, which has no tag `legend`, the class names alone."""
    try:
        entries: Mapping[str, str] = parse_json(classes, "classes", error=ConfigError)
        names = tuple(str(entries[str(index)]) for index in range(len(entries)))
        if not legend:
            return Legend.of_names(names)
        values = parse_json(legend, "legend", error=ConfigError)
        found = Legend.from_attrs(values["classes"], values["table"])
    except (ConfigError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: its tags classes or legend are damaged ({error!r}); make the map again") from None
    if found.names != names:
        raise DataError(f"{path}: its tags differ: classes has {', '.join(names)}, legend {', '.join(found.names)}; make the map again")
    return found
