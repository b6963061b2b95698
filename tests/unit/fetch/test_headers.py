from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from cropcam.pipeline.earthengine.layers import layers_of
from cropcam.pipeline.errors import DataError, EarthEngineError
from cropcam.pipeline.fetch.headers import place_of, read_header
from cropcam.pipeline.fetch.media import ChangedError
from cropcam.pipeline.grid import PixelGrid, Window
from support.cutting_server import Place, served
from support.exports import STUDY
from support.homecoming import PATIENCE
from support.rasters import write_raster

IMAGE, LABELS = layers_of(STUDY)
CELL = Window(10, 20, 90, 80)


def tif(tmp_path: Path, grid: PixelGrid, bands: int = 2, dtype: str = "uint16", **options: object) -> bytes:
    rng = np.random.default_rng(0)
    path = write_raster(tmp_path / "x.tif", rng.integers(0, 200, (bands, *grid.shape_yx)).astype(dtype), grid, **options)
    return path.read_bytes()


@pytest.mark.parametrize("options", [{}, {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate"}, {"BIGTIFF": "YES"}])
def test_a_header_is_read_from_a_few_ranges(tmp_path: Path, options: dict[str, object]) -> None:
    content = tif(tmp_path, STUDY.grid.window(CELL), **options)
    with served(Place(content + b"\0" * 10**6, cuts=[100, 0])) as place:
        header = read_header(place, place.file("demo-image.tif"), PATIENCE)
        assert place_of(header, place.file(), STUDY.grid, IMAGE) == CELL
        assert len(place.seen) < 8
        with pytest.raises(DataError, match=r"f\.tif: 2 bands of uint16, the study's labels has 1 of uint8"):
            place_of(header, place.file(), STUDY.grid, LABELS)


def test_another_grid_is_refused(tmp_path: Path) -> None:
    shifted = dataclasses.replace(
        STUDY.grid, transform=tuple(value + 1e-4 * (number == 2) for number, value in enumerate(STUDY.grid.transform))
    )
    other = Place(tif(tmp_path, shifted.window(CELL)))
    with served(other) as place, pytest.raises(DataError, match=r"columns and .* rows from the grid's origin, not whole pixels"):
        place_of(read_header(place, place.file(), PATIENCE), place.file(), STUDY.grid, IMAGE)


def test_what_is_no_raster_has_a_reason() -> None:
    with served(Place(b"no TIFF" * 100)) as place, pytest.raises(DataError, match=r"f\.tif: it is no readable GeoTIFF"):
        place_of(read_header(place, place.file(), PATIENCE), place.file(), STUDY.grid, IMAGE)


def test_what_the_place_says_is_not_swallowed(tmp_path: Path) -> None:
    with served(Place(tif(tmp_path, STUDY.grid))) as place:
        place.status = 403
        with pytest.raises(EarthEngineError, match="the credentials may not read it"):
            read_header(place, place.file(), PATIENCE)
        place.status = 404
        with pytest.raises(ChangedError, match=r"f\.tif"):
            read_header(place, place.file(), PATIENCE)
        listed = place.file()
        place.content += b"more"
        with pytest.raises(ChangedError, match="were listed"):
            read_header(place, listed, PATIENCE)
