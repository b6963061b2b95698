"""GeoTIFFs for tests: small, seeded, with true CRS, type and nodata."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio

from cropcam.pipeline.grid import PixelGrid, study_grid
from cropcam.pipeline.rasters.mosaic import RasterMosaic, image_of
from cropcam.pipeline.rasters.raster import open_stored
from cropcam.pipeline.rasters.values import ValueEncoding

UTM = PixelGrid("EPSG:32616", (30.0, 0.0, 410_000.0, 0.0, -30.0, 4_475_700.0), 120, 90)
ALBERS_ORIGIN = (667_005.0, 1_961_715.0)  # the same place on CDL's lattice


def write_raster(path: Path, values: npt.NDArray[Any], grid: PixelGrid, *, names: tuple[str, ...] = (), **profile: Any) -> Path:
    """Write (band, y, x) or (y, x) values on a grid; `names` become band descriptions."""
    values = values if values.ndim == 3 else values[None]
    path.parent.mkdir(parents=True, exist_ok=True)
    transform = rasterio.Affine(*grid.transform)
    shape = {"count": values.shape[0], "height": values.shape[1], "width": values.shape[2]}
    with rasterio.open(path, "w", driver="GTiff", dtype=values.dtype, transform=transform, **shape, **{"crs": grid.crs, **profile}) as file:
        file.write(values)
        for number, name in enumerate(names, 1):
            file.set_band_description(number, name)
    return path


def random_dn(shape_byx: tuple[int, int, int], seed: int = 0) -> npt.NDArray[np.uint16]:
    """DN of a plausible range, no nodata."""
    return np.random.default_rng(seed).integers(7_300, 30_000, shape_byx).astype(np.uint16)


def random_codes(shape_yx: tuple[int, int], seed: int = 0) -> npt.NDArray[np.uint8]:
    """CDL codes of all five classes, in fields of 10 px."""
    rng = np.random.default_rng(seed)
    fields = rng.choice(np.array([1, 5, 141, 176, 111, 122], np.uint8), (shape_yx[0] // 10 + 1, shape_yx[1] // 10 + 1))
    return np.kron(fields, np.ones((10, 10), np.uint8))[: shape_yx[0], : shape_yx[1]]


def albers_square(lon: float, lat: float, size_deg: float = 0.05) -> PixelGrid:
    """A grid in EPSG:5070 whose lower left corner lies at these degrees."""
    return study_grid((lon, lat, lon + size_deg, lat + size_deg), "EPSG:5070", 30.0)


def open_image(paths: Iterable[Path], bands: tuple[str, ...], encoding: ValueEncoding | None = None) -> RasterMosaic:
    """Files as one image, the meaning of their values by tags and type unless given."""
    return image_of([open_stored(path) for path in paths], bands, encoding)
