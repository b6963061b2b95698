"""One asset on disk: rasters written to a temporary folder, verified, described and published."""

from __future__ import annotations

import errno
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import rasterio
from rasterio.io import DatasetWriter
from rasterio.transform import Affine
from rasterio.windows import Window as RasterWindow

from cropcam.pipeline.code_table import DEFAULT
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.runtime.atomic import publish, temporary_path
from cropcam.pipeline.study.study import Study

Item = TypeVar("Item")
MAKER = "cropcam simulate"
WORLDCOVER = "worldcover"


def is_complete(folder: Path) -> bool:
    """Whether the asset is there, whole.

    Raises:
        DataError: a folder of that name is there, without asset.json.
    """
    if (folder / "asset.json").is_file():
        return True
    if folder.exists():
        raise DataError(f"{folder}: is there but holds no asset.json, so {MAKER} did not make it; remove it or use another archive")
    return False


@contextmanager
def asset_folder(final: Path) -> Iterator[Path]:
    """An empty temporary folder beside `final`, removed at the end unless `finish` has published it."""
    with temporary_path(final) as folder:
        folder.mkdir(parents=True)
        yield folder


def finish(folder: Path, final: Path, grids: Mapping[str, PixelGrid], properties: Mapping[str, Any], made_by: Mapping[str, Any]) -> None:
    """Read the rasters of each band back, on its grid, write asset.json and publish the folder.

    Raises:
        OSError: the disk lost data.
    """
    for band, grid in grids.items():
        with rasterio.open(folder / f"{band}.tif") as source:
            if source.shape != grid.shape_yx:
                raise OSError(errno.EIO, f"{source.shape} px against {grid.shape_yx}", source.name)
            for _, window in source.block_windows(1):
                source.read(1, window=window)
    text = json.dumps({"bands": list(grids), "properties": dict(properties), "made_by": dict(made_by)}, indent=1)
    (folder / "asset.json").write_text(text + "\n", "utf-8")
    publish(folder, final)


def create(folder: Path, band: str, grid: PixelGrid, dtype: str, nodata: int | None) -> DatasetWriter:
    """A new single-band GeoTIFF named after its band: tiled, deflated."""
    side = 256 if min(grid.shape_yx) >= 256 else 64
    predictor = 2 if band.startswith("SR_") else 1
    return rasterio.open(
        folder / f"{band}.tif", "w", driver="GTiff", width=grid.width, height=grid.height, count=1, dtype=dtype, nodata=nodata,
        crs=grid.crs, transform=Affine(*grid.transform), tiled=True, blockxsize=side, blockysize=side,
        compress="DEFLATE", zlevel=1, predictor=predictor, bigtiff="IF_SAFER",
    )  # fmt: skip


def raster_window(window: Window) -> RasterWindow:
    """The window as rasterio counts it."""
    return RasterWindow(window.col, window.row, window.width, window.height)


def block_count(grid: PixelGrid, block_px: int) -> int:
    """Blocks of a grid."""
    return math.ceil(grid.height / block_px) * math.ceil(grid.width / block_px)


def in_parts(items: Sequence[Item], count: int) -> list[Sequence[Item]]:
    """Consecutive parts of at most `count` items.

    >>> in_parts([1, 2, 3], 2)
    [[1, 2], [3]]
    """
    return [items[first : first + count] for first in range(0, len(items), count)]


def label_asset(study: Study) -> str:
    """The label asset of a study; empty without labels.

    Raises:
        ConfigError: labels of another legend than CDL's and WorldCover's.
    """
    labels = study.labels
    if labels is None:
        return ""
    if labels.legend not in (DEFAULT, WORLDCOVER):
        raise ConfigError(
            f"the study {study.name} has labels of {study.table.title}; simulate draws those of cdl and worldcover: name one of these under labels.legend, or leave out [labels]"
        )
    return labels.asset


def label_year(asset: str) -> int:
    """The year of a label asset; 0 without one.

    Raises:
        ConfigError: the id does not end in a year.
    """
    match = re.fullmatch(r"(?:[\w-]+/)+((?:19|20)\d\d)", asset)
    if asset and not match:
        raise ConfigError(f"labels.asset {asset!r} cannot be simulated: it must end in a year, such as USDA/NASS/CDL/2016")
    return int(match[1]) if match else 0
