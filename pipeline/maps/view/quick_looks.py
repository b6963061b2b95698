"""Quick looks of a patch store, which has no overviews: one Cloud Optimized GeoTIFF a season, one of the truth, one of the splits.

They are made window by window, in the memory of one block of the store, in one pass over its pixels. Axis suffixes: C bands, Y/X rows and columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.io import DatasetWriter

from cropcam.pipeline import __version__
from cropcam.pipeline.colours import BRIGHTER
from cropcam.pipeline.encoding import BandEncoding
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.maps.cog import TILE_PX, convert, disk_errors, raster_window
from cropcam.pipeline.maps.map_layers import class_layer
from cropcam.pipeline.maps.view.palettes import SPLIT_COLORS
from cropcam.pipeline.maps.window_files import Layer
from cropcam.pipeline.maps.windows import NODATA_CLASS
from cropcam.pipeline.runtime.atomic import atomic_path
from cropcam.pipeline.runtime.hashing import json_sha256
from cropcam.pipeline.runtime.progress import Progress, silent
from cropcam.pipeline.sensor import packaged, packaged_names
from cropcam.pipeline.store.compatible import class_numbers
from cropcam.pipeline.store.patch_store import PatchStore
from cropcam.pipeline.store.percentiles import percentiles
from cropcam.pipeline.study.image import Image
from cropcam.pipeline.study.study import parse_study

VERSION = 2  # of the files; another version makes them again
COLOURS = ("red", "green", "blue", "nir")
TRUTH, SPLITS = "truth.tif", "splits.tif"
_LOW, _HIGH = 0.02, 0.98  # shares of the pixels that the stretch cuts off
_DEVIATIONS = 2.0  # the stretch of a store without a histogram


@dataclass(frozen=True)
class Look:
    """The picture of one season.

    Attributes:
        season: START/END.
        path: a file of uint8, 0 = nodata.
        names: the store's band of each of the file's.
        low, high: of each, the physical values that are black and white.
        is_colour: whether the first three are red, green and blue, and a fourth near infrared.
    """

    season: str
    path: Path
    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    is_colour: bool

    @property
    def gamma(self) -> float:
        """The root of the stretched values that is shown."""
        return BRIGHTER if self.is_colour else 1.0


@dataclass(frozen=True)
class QuickLooks:
    """The files of a store: pictures by season, truth (None without labels), splits."""

    seasons: tuple[Look, ...]
    truth: Path | None
    splits: Path


def make_quick_looks(store: PatchStore, legend: Legend, cache: Path, *, progress: Progress = silent) -> QuickLooks:
    """The quick looks of a store, from the cache if they are there.

    Args:
        store: one store.
        legend: whose classes the truth has.
        cache: an existing folder; they lie in a folder of it that is named after the store's digest and the legend.
        progress: called after each block.

    Raises:
        DataError: a chunk of the store is damaged, it has other classes than the legend, the disk refuses, or another process makes them.
    """
    numbers = class_numbers(store.info.classes, legend, str(store.path)) if store.info.has_labels else None
    key = json_sha256([VERSION, store.info.digest, legend.attrs(), legend.table_attrs()])[:24]
    folder = cache / f"store-{key}"
    looks = _looks(store, folder)
    found = QuickLooks(looks, folder / TRUTH if store.info.has_labels else None, folder / SPLITS)
    if all(path.is_file() for path in (*(look.path for look in looks), found.splits, *([found.truth] if found.truth else []))):
        return found
    with atomic_path(folder) as unfinished:
        unfinished.mkdir()
        _write(store, legend, numbers, _looks(store, unfinished), unfinished, progress)
    return found


def common_bands(image: Image) -> dict[str, str]:
    """The study's names of red, green, blue and nir, as far as it has them; found by the collection's band where it has names of its own.

    >>> common_bands(Image(bands=("SR_B2", "SR_B4"), seasons=(("2016-05-01", "2016-10-01"),)))
    {'red': 'SR_B4', 'blue': 'SR_B2'}
    """
    collection = image.collections[0]
    assets = image.table.collection(collection).bands
    found = {}
    for name in COLOURS:
        others = [packaged(sensor) for sensor in packaged_names() if collection in packaged(sensor).ids]
        known = {other.collection(collection).bands.get(name) for other in others} - {None}
        own = next((band for band in image.bands if band == name or assets.get(band) in known), None)
        if own:
            found[name] = own
    return found


def _looks(store: PatchStore, folder: Path) -> tuple[Look, ...]:
    image = parse_study(store.info.study, str(store.path)).image
    common = common_bands(image)
    is_colour = set(COLOURS[:3]) <= common.keys()
    bands = [common[name] for name in COLOURS if name in common] if is_colour else list(dict.fromkeys(store.bands))[:3]
    low_C, high_C = _stretch(store)
    looks = []
    for number, (start, end) in enumerate(image.seasons, 1):
        several = len(image.seasons) > 1
        if is_colour:
            names = [f"{number}_{band}" if several else band for band in bands]
        else:
            names = [band for band in store.bands if not several or band.startswith(f"{number}_")][:3]
        at = [store.bands.index(name) for name in names]
        low, high = (tuple(float(values_C[index]) for index in at) for values_C in (low_C, high_C))
        looks.append(Look(f"{start}/{end}", folder / f"season-{number}.tif", tuple(names), low, high, is_colour))
    return tuple(looks)


def _stretch(store: PatchStore) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The physical values (C,) that are black and white: the 2nd and 98th percentile; two deviations about the mean without a histogram."""
    statistics = store.info.statistics
    if "histogram" in statistics and all(map(sum, statistics["histogram"]["counts"])):
        low_C, high_C = np.array(percentiles(statistics, store.encoding, (_LOW, _HIGH))).T
    else:
        mean_C, std_C = np.array(statistics["mean"]), np.array(statistics["std"])
        low_C, high_C = mean_C - _DEVIATIONS * std_C, mean_C + _DEVIATIONS * std_C
    return low_C, np.maximum(high_C, low_C + 1e-6)


def _write(
    store: PatchStore, legend: Legend, numbers: npt.NDArray[np.uint8] | None, looks: Sequence[Look], folder: Path, progress: Progress
) -> None:
    info, layout = store.info, store.info.layout
    blocks = [layout.window(block) for block in layout.blocks()]
    truth = class_layer(legend, {"TIFFTAG_SOFTWARE": f"cropcam {__version__}", "study": info.name})
    wanted = {look.path: Layer(tuple(range(1, len(look.names) + 1)), look.names, {}) for look in looks}
    wanted |= {folder / TRUTH: truth} if info.has_labels else {}
    steps = len(blocks) + len(wanted) + 1
    with ExitStack() as stack:
        with disk_errors(folder):
            files = {path: stack.enter_context(_raw(path, store.grid, layer)) for path, layer in wanted.items()}
        for done, block in enumerate(blocks):
            progress(done, steps, f"row {block.row}, column {block.col}")
            for window in block.cut(2 * TILE_PX):
                stored_CYX = store.read(window)
                made = {look.path: _stretched(store, stored_CYX, look) for look in looks}
                if info.has_labels:
                    codes_YX = store.read_labels(window)
                    made[folder / TRUTH] = (legend.index(codes_YX) if numbers is None else numbers[info.classes.index(codes_YX)])[None]
                with disk_errors(folder):
                    for path, values_CYX in made.items():
                        files[path].write(values_CYX, window=raster_window(window))
        progress(len(blocks), steps, "overviews")
        with disk_errors(folder):
            stack.close()  # the last bytes are written
    with disk_errors(folder):
        for done, (path, layer) in enumerate(wanted.items(), len(blocks) + 1):
            _finish(path, layer)
            progress(done, steps, "overviews")
        _write_splits(store, folder / SPLITS)
    progress(steps, steps, "")


def _stretched(store: PatchStore, values_CYX: npt.NDArray[Any], look: Look) -> npt.NDArray[np.uint8]:
    """Stored values as grey levels 1..255; 0 where one of the look's bands is missing."""
    at = [store.bands.index(name) for name in look.names]
    physical_CYX = _part(store.encoding, at).physical(values_CYX[at])
    low_C, high_C = (np.array(values, np.float32).reshape(-1, 1, 1) for values in (look.low, look.high))
    with np.errstate(invalid="ignore"):
        share_CYX = np.clip((physical_CYX - low_C) / (high_C - low_C), 0, 1) ** (1 / look.gamma)
        grey_CYX = np.round(1 + 254 * share_CYX)
    grey_CYX[:, np.isnan(physical_CYX).any(axis=0)] = 0
    return grey_CYX.astype(np.uint8)


def _part(encoding: BandEncoding, at: Sequence[int]) -> BandEncoding:
    scale, offset = (tuple(values[index] for index in at) for values in (encoding.scale, encoding.offset))
    return BandEncoding(encoding.dtype, scale, offset, tuple(encoding.nodata[index] for index in at))


def _raw(path: Path, grid: PixelGrid, layer: Layer) -> DatasetWriter:
    """A raster to be written in windows, with the colours, names and tags of the layer; 255 = nodata in one with colours, else 0."""
    file = rasterio.open(
        _raw_path(path),
        "w",
        driver="GTiff",
        dtype="uint8",
        count=len(layer.bands),
        nodata=NODATA_CLASS if layer.colors else 0,
        crs=grid.crs,
        transform=rasterio.Affine(*grid.transform),
        width=grid.width,
        height=grid.height,
        tiled=True,
        blockxsize=TILE_PX,
        blockysize=TILE_PX,
        compress="deflate",
        zlevel=1,
        bigtiff="if_safer",
        photometric="minisblack",
    )
    if layer.colors:
        file.write_colormap(1, dict(layer.colors))
    file.descriptions = layer.descriptions
    file.update_tags(**layer.tags)
    return file


def _finish(path: Path, layer: Layer) -> None:
    convert(_raw_path(path), path, layer)
    _raw_path(path).unlink()


def _raw_path(path: Path) -> Path:
    return path.with_name(f"raw-{path.name}")


def _write_splits(store: PatchStore, path: Path) -> None:
    """The split of each patch, one pixel a patch; 255 = not used."""
    patches = store.info.patch_grid
    a, b, c, d, e, f = store.grid.transform
    grid = PixelGrid(store.grid.crs, (a * patches.size_px, b, c, d, e * patches.size_px, f), patches.columns, patches.rows)
    layer = Layer((1,), ("split",), {}, colors={index: (*color, 255) for index, color in enumerate(SPLIT_COLORS)})
    with _raw(path, grid, layer) as file:
        file.write(store.table("split"), 1)
    _finish(path, layer)
