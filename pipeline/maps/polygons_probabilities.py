"""The probability of each pixel's own class, from the class probabilities made with a map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from rasterio.io import DatasetReader

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import Window
from cropcam.pipeline.maps.class_map import FinishedMap
from cropcam.pipeline.maps.cog import raster_window
from cropcam.pipeline.maps.quantised import STEPS
from cropcam.pipeline.maps.windows import NODATA_CLASS, Classes
from cropcam.pipeline.raster_errors import UNREADABLE


def open_probabilities(path: Path, opened: FinishedMap) -> DatasetReader:
    """The class probabilities of a map: uint8 round(250 p), nodata 255, a band a class. The caller closes the file.

    Raises:
        DataError: no raster, or one of another grid, of other classes or of another kind.
    """
    step = "give the probabilities made with this map"
    try:
        dataset = rasterio.open(path)
    except UNREADABLE:
        raise DataError(f"{path}: cannot be read as a raster; {step}") from None
    grid, names = opened.grid, opened.legend.names
    place = dataset.crs == rasterio.CRS.from_user_input(grid.crs) and np.allclose(tuple(dataset.transform)[:6], grid.transform, rtol=1e-12)
    if not place or dataset.shape != grid.shape_yx:
        found = f"{dataset.width:,} x {dataset.height:,} px in {dataset.crs}"
        dataset.close()
        raise DataError(
            f"{path}: {found}, on another grid than {opened.path} with {grid.width:,} x {grid.height:,} px in {grid.crs}; {step}"
        )
    kind = set(dataset.dtypes), dataset.nodata, dataset.descriptions
    if kind != ({"uint8"}, NODATA_CLASS, names):
        found = f"{dataset.count} bands ({', '.join(map(str, dataset.descriptions))}) of {dataset.dtypes[0]}, nodata {dataset.nodata}"
        dataset.close()
        raise DataError(f"{path}: has {found}; class probabilities have a band of uint8 for each of {', '.join(names)}, nodata 255; {step}")
    return dataset


def own_probabilities(dataset: DatasetReader, opened: FinishedMap, window: Window, classes_YX: Classes) -> Classes:
    """round(250 p) (Y, X) of each pixel's own class in a window of the map; 255 or any other number where the pixel has none.

    Raises:
        DataError: the file is damaged, or lacks the probability of a pixel that has a class.
    """
    try:
        stored_KYX = dataset.read(window=raster_window(window))
    except UNREADABLE as error:
        raise DataError(f"{dataset.name}: cannot be read ({str(error).splitlines()[0]}); make it again with the map") from None
    mapped_YX = classes_YX != NODATA_CLASS
    index_YX = np.where(mapped_YX, classes_YX, 0).astype(np.intp)
    own_YX: Classes = np.take_along_axis(stored_KYX, index_YX[None], axis=0)[0]
    if (wrong := mapped_YX & (own_YX > STEPS)).any():
        raise DataError(
            f"{dataset.name}: {int(wrong.sum()):,} pixels near row {window.row}, column {window.col} have a class in {opened.path} "
            "and no probability here; give the probabilities made with this map"
        )
    return own_YX
