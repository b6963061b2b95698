"""Class maps of given arrays, written by the product's own writer; and their tags changed."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio

from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.maps.cog import convert, publish
from cropcam.pipeline.maps.map_layers import class_layer
from cropcam.pipeline.maps.window_files import WindowFiles
from cropcam.pipeline.maps.window_job import geotiff
from support.memory_source import LEGEND, make_grid

TAGS = {"TIFFTAG_SOFTWARE": "cropcam 0", "study": "made-up", "seed": "3"}


def write_map(path: Path, classes_YX: npt.NDArray[np.uint8], legend: Legend = LEGEND, grid: PixelGrid | None = None, **tags: str) -> Path:
    """A finished map of these class indices, with more tags."""
    grid = grid or make_grid(*classes_YX.shape)
    folder, layer = path.parent / f".{path.name}.test", class_layer(legend, TAGS | tags)
    folder.mkdir(parents=True)
    (folder / "all.tif").write_bytes(geotiff(classes_YX[None], grid, 255))
    convert(WindowFiles(folder, grid, [Window(0, 0, *grid.shape_yx)]).mosaic("all", layer, "all.tif"), folder / "map.tif", layer)
    publish(folder / "map.tif", path, legend)
    for left in folder.iterdir():
        left.unlink()
    folder.rmdir()
    return path


def retag(path: Path, **tags: str | None) -> Path:
    """Set tags of a raster, or remove those that are None."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the file is no longer laid out as a COG
        with rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as file:
            file.update_tags(**{name: text if text is not None else "" for name, text in tags.items()})
    return path


def write_probabilities(
    path: Path, classes_YX: npt.NDArray[np.uint8], own_YX: npt.NDArray[np.uint8], legend: Legend = LEGEND, grid: PixelGrid | None = None
) -> Path:
    """Class probabilities of a map: `own_YX` as stored for each pixel's class, 1 for the others; 255 where the map is 255."""
    grid = grid or make_grid(*classes_YX.shape)
    stored_KYX = np.ones((len(legend), *classes_YX.shape), np.uint8)
    for index in range(len(legend)):
        np.copyto(stored_KYX[index], own_YX, where=classes_YX == index)
    stored_KYX[:, classes_YX == 255] = 255
    transform = rasterio.Affine(*grid.transform)
    shape = {"count": len(legend), "height": grid.height, "width": grid.width}
    with rasterio.open(path, "w", "GTiff", **shape, dtype="uint8", nodata=255, crs=grid.crs, transform=transform) as file:
        file.write(stored_KYX)
        file.descriptions = legend.names
    return path
