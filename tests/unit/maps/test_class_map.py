"""A finished map, read: the classes of pixels, its legend, and files that are no map."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st

from cropcam.pipeline.code_table import Code, CodeTable
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.maps import class_map
from cropcam.pipeline.maps.class_map import FinishedMap, open_map
from support.maps import retag, write_map
from support.memory_source import LEGEND, make_grid


@pytest.fixture(scope="module")
def classes() -> npt.NDArray[np.uint8]:
    values = np.random.default_rng(0).integers(0, len(LEGEND), (90, 70), dtype=np.uint8)
    values[:30, :20] = 255
    return values


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, classes: npt.NDArray[np.uint8]) -> FinishedMap:
    return open_map(write_map(tmp_path_factory.mktemp("map") / "map.tif", classes))


def test_grid_legend_and_provenance_come_back(made: FinishedMap, classes: npt.NDArray[np.uint8]) -> None:
    assert made.grid == make_grid(*classes.shape)
    assert made.legend == LEGEND
    assert {name: made.tags[name] for name in ("study", "seed")} == {"study": "made-up", "seed": "3"}
    assert not {"classes", "legend", "AREA_OR_POINT"} & set(made.tags)


def test_a_legend_of_another_table_comes_back(tmp_path: Path) -> None:
    table = CodeTable("mine", (Code(0, "clouds", None, is_label=False), Code(300, "Maize", (1, 2, 3)), Code(400, "Wheat")))
    legend = Legend.from_codes({"corn": [300]}, table)
    found = open_map(write_map(tmp_path / "map.tif", np.zeros((4, 4), np.uint8), legend)).legend
    assert found == legend
    assert found.index_of(300) == 1


def test_an_older_map_has_class_names_alone(tmp_path: Path, classes: npt.NDArray[np.uint8]) -> None:
    path = retag(write_map(tmp_path / "map.tif", classes), legend=None)
    assert open_map(path).legend == Legend.of_names(LEGEND.names)


@settings(max_examples=30, deadline=None)
@given(places=st.lists(st.tuples(st.integers(0, 89), st.integers(0, 69)), max_size=40), block=st.sampled_from([7, 32, 512]))
def test_classes_of_pixels_are_those_of_the_array(
    made: FinishedMap, classes: npt.NDArray[np.uint8], places: list[tuple[int, int]], block: int
) -> None:
    row, col = np.array(places, np.int64).reshape(-1, 2).T
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(class_map, "BLOCK_PX", block)
        np.testing.assert_array_equal(made.classes_at(row, col), classes[row, col])


def test_what_is_no_map_is_named(tmp_path: Path, classes: npt.NDArray[np.uint8]) -> None:
    with pytest.raises(DataError, match=r"absent\.tif: no such map; give a map that cropcam map wrote"):
        open_map(tmp_path / "absent.tif")
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(DataError, match=r"text\.tif: cannot be read as a raster"):
        open_map(tmp_path / "text.tif")
    profile = {"driver": "GTiff", "width": 70, "height": 90, "count": 1, "dtype": "uint8", "crs": "EPSG:32616"}
    with rasterio.open(tmp_path / "other.tif", "w", **profile, transform=rasterio.Affine(*make_grid(90, 70).transform)) as file:
        file.write(classes, 1)
    with pytest.raises(DataError, match=r"other\.tif: no class map of cropcam, its tags name no classes"):
        open_map(tmp_path / "other.tif")
    retag(tmp_path / "other.tif", classes=json.dumps({"0": "background"}), TIFFTAG_SOFTWARE="cropcam 0")
    with pytest.raises(DataError, match=r"has one band of uint8, nodata 255 and a CRS, this file has 1 bands of uint8, nodata None"):
        open_map(tmp_path / "other.tif")


@pytest.mark.parametrize(
    ("tags", "match"),
    [
        ({"classes": "{"}, r"tags classes or legend are damaged"),
        ({"classes": "[]"}, r"tags differ: classes has "),
        ({"classes": '{"1": "corn"}'}, r"tags classes or legend are damaged"),
        ({"legend": '{"classes": []}'}, r"tags classes or legend are damaged"),
        ({"classes": '{"0": "background", "1": "maize"}'}, r"classes has background, maize, legend background, corn"),
    ],
)
def test_damaged_tags_are_named(tmp_path: Path, classes: npt.NDArray[np.uint8], tags: dict[str, str], match: str) -> None:
    path = retag(write_map(tmp_path / "map.tif", classes), **tags)
    with pytest.raises(DataError, match=match):
        open_map(path)


def test_an_index_that_is_no_class_is_refused(tmp_path: Path) -> None:
    made = open_map(write_map(tmp_path / "map.tif", np.full((4, 4), 9, np.uint8)))
    with pytest.raises(DataError, match=r"map\.tif: holds the class 9, but has 5 classes"):
        made.classes_at(np.array([1]), np.array([2]))
    made.path.write_bytes(made.path.read_bytes()[:300])
    with pytest.raises(DataError, match=r"map\.tif: cannot be read"):
        made.classes_at(np.array([1]), np.array([2]))


def test_blocks_cover_the_map_once(made: FinishedMap, classes: npt.NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_map, "BLOCK_PX", 32)
    found = np.full(classes.shape, 99, np.uint8)
    for window, values in made.blocks():
        assert (found[window.slices] == 99).all()
        found[window.slices] = values
    np.testing.assert_array_equal(found, classes)
