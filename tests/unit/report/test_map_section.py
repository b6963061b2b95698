"""The report's part about a map: which map it takes, its pictures, its areas."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from cropcam.model.report.map_section import LONGEST_PX, map_section
from cropcam.model.runs.checkpoint import BEST
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.runtime.hashing import file_sha256
from support.maps import write_map
from support.memory_source import LEGEND


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / BEST).write_bytes(b"weights")
    return tmp_path / "run"


def picture(address: str) -> np.ndarray:  # type: ignore[type-arg]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGB"))


def test_the_picture_has_the_legends_colours_and_the_areas_are_those_of_the_map(tmp_path: Path, run: Path) -> None:
    classes = np.zeros((40, 60), np.uint8)
    classes[:10], classes[:, 50:] = 2, 255
    path = write_map(tmp_path / "map.tif", classes, checkpoint_digest=file_sha256(run / BEST))
    found = map_section(run, path)
    ((title, address),) = found.pictures
    assert title == "Classes"
    rgb = picture(address)
    assert rgb.shape == (40, 60, 3)
    assert tuple(rgb[0, 0]) == LEGEND.classes[2].color
    assert tuple(rgb[20, 0]) == LEGEND.classes[0].color
    assert tuple(rgb[20, 55]) == (232, 234, 231)
    assert [row["pixels"] for row in found.areas["classes"]] == [1500, 0, 500, 0, 0]
    assert found.pixels_per_cell == 1


def test_a_large_map_in_degrees_has_a_small_picture_of_its_shape_on_the_ground(tmp_path: Path, run: Path) -> None:
    grid = PixelGrid("EPSG:4326", (0.0003, 0.0, -90.0, 0.0, -0.0003, 60.15), 2000, 1000)  # half as wide on the ground at 60 degrees
    path = write_map(tmp_path / "map.tif", np.zeros((1000, 2000), np.uint8), grid=grid, checkpoint_digest=file_sha256(run / BEST))
    found = map_section(run, path)
    height, width, _ = picture(found.pictures[0][1]).shape
    assert max(height, width) <= LONGEST_PX
    assert abs(height - width) <= 2
    assert found.pixels_per_cell == pytest.approx(2000 / width)


def test_the_uncertainty_made_with_the_map_is_shown_where_it_is_there(tmp_path: Path, run: Path) -> None:
    digest = file_sha256(run / BEST)
    path = write_map(tmp_path / "map.tif", np.zeros((20, 20), np.uint8), checkpoint_digest=digest, uncertainty="u.tif")
    assert len(map_section(run, path).pictures) == 1
    write_map(tmp_path / "u.tif", np.full((20, 20), 3, np.uint8), checkpoint_digest=digest)
    pictures = map_section(run, path).pictures
    assert pictures[1][0].startswith("Uncertainty")
    assert picture(pictures[1][1])[0, 0].tolist() == [round(255 * value) for value in mpl.colormaps["viridis"](3 / 250)[:3]]


def test_a_map_of_another_run_is_refused(tmp_path: Path, run: Path) -> None:
    path = write_map(tmp_path / "map.tif", np.zeros((20, 20), np.uint8), checkpoint_digest="ab" * 32)
    with pytest.raises(DataError, match=r"map\.tif: was made by the checkpoint abababababab, that of .* is [0-9a-f]{12}; map again"):
        map_section(run, path)
