"""Scenes for the tests of the map page: a small store, a map that differs from its truth in known pixels, and shares beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio

from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.maps.cog import convert
from cropcam.pipeline.maps.window_files import Layer
from cropcam.pipeline.store.patch_store import PatchStore, open_store
from support.maps import write_map
from support.stores import make_store, make_study

SIZE_PX, PATCHES = 24, 52 * 12 - 6  # twelve rows of patches, the last one not full


@dataclass(frozen=True)
class Artefacts:
    """A store, a map of its area, and what is true of both."""

    store: Path
    map: Path
    truth_YX: npt.NDArray[np.uint8]  # class index, 255 = no label
    classes_YX: npt.NDArray[np.uint8]  # of the map, 255 = nodata
    probability_KYX: npt.NDArray[np.uint8]  # round(250 p)
    uncertainty_YX: npt.NDArray[np.uint8]

    def opened(self) -> PatchStore:
        return open_store(self.store)


def make_artefacts(folder: Path) -> Artefacts:
    """A store and a map with probabilities and uncertainty; every seventh column of the map has the next class, and its first five rows are nodata."""
    make_store(folder / "demo.zarr", count=PATCHES, size_px=SIZE_PX, study=make_study(SIZE_PX))
    store = open_store(folder / "demo.zarr")
    legend, grid = store.info.classes, store.grid
    truth_YX = legend.index(store.read_labels(Window(0, 0, *grid.shape_yx)))
    classes_YX = np.where(truth_YX == 255, 0, truth_YX).astype(np.uint8)
    classes_YX[:, ::7] = (classes_YX[:, ::7] + 1) % len(legend)
    rng = np.random.default_rng(0)
    rest_KYX = rng.integers(0, 100, (len(legend), *grid.shape_yx)).astype(np.uint8)
    np.put_along_axis(rest_KYX, classes_YX[None], np.uint8(150), axis=0)
    uncertainty_YX = rng.integers(0, 251, grid.shape_yx).astype(np.uint8)
    classes_YX[:5], rest_KYX[:, :5], uncertainty_YX[:5] = 255, 255, 255
    beside = {"probabilities": "map-probabilities.tif", "uncertainty": "map-uncertainty.tif", "inputs": "demo.zarr"}
    path = write_map(folder / "map.tif", classes_YX, legend, grid, **beside)
    write_shares(folder / "map-probabilities.tif", rest_KYX, grid, legend)
    write_shares(folder / "map-uncertainty.tif", uncertainty_YX[None], grid)
    return Artefacts(folder / "demo.zarr", path, truth_YX, classes_YX, rest_KYX, uncertainty_YX)


def write_shares(path: Path, values_KYX: npt.NDArray[np.uint8], grid: PixelGrid, legend: Legend | None = None) -> Path:
    """A file of shares, round(250 x share), 255 = nodata."""
    raw = path.with_name(f"raw-{path.name}")
    with rasterio.open(
        raw,
        "w",
        driver="GTiff",
        dtype="uint8",
        count=len(values_KYX),
        nodata=255,
        crs=grid.crs,
        transform=rasterio.Affine(*grid.transform),
        width=grid.width,
        height=grid.height,
    ) as file:
        file.write(values_KYX)
        if legend:
            file.descriptions = legend.names
    convert(raw, path, Layer(tuple(range(1, len(values_KYX) + 1)), (), {}))
    raw.unlink()
    return path


def centre(grid: PixelGrid, row: int, col: int) -> tuple[float, float]:
    """Longitude and latitude of a pixel's centre, on a grid in degrees."""
    a, _, c, _, e, f = grid.transform
    return c + a * (col + 0.5), f + e * (row + 0.5)
