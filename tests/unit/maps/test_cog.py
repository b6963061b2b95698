"""A layer as a Cloud Optimized GeoTIFF, published: what it says about itself, complete or absent."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.errors import RasterioIOError
from rio_cogeo import cog_validate

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import Window
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.maps import cog
from cropcam.pipeline.maps.cog import convert, disk_errors, is_class_map, is_layer, is_metadata_of_map, metadata_path, publish
from cropcam.pipeline.maps.window_files import Layer
from cropcam.pipeline.maps.window_job import geotiff
from support.maps import TAGS, retag, write_map
from support.memory_source import LEGEND, make_grid
from support.windows import random_classes


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_map_says_everything_about_itself(tmp_path: Path) -> None:
    path, classes = tmp_path / "new" / "map.tif", random_classes(900, 700)
    path.parent.mkdir()
    write_map(path, classes)
    grid = make_grid(*classes.shape)
    with rasterio.open(path) as file:
        np.testing.assert_array_equal(file.read(1), classes)
        assert (file.crs.to_string(), tuple(file.transform)[:6]) == (grid.crs, grid.transform)
        assert (file.count, file.dtypes[0], file.nodata, file.descriptions) == (1, "uint8", 255, ("class",))
        assert file.profile["compress"] == "deflate"
        assert [file.colormap(1)[index][:3] for index in range(len(LEGEND))] == [c.color for c in LEGEND.classes]
        tags = file.tags()
    assert json.loads(tags["classes"]) == {str(index): name for index, name in enumerate(LEGEND.names)}
    assert TAGS.items() <= tags.items()
    assert left(path.parent) == {"map.tif", "map.tif.aux.xml"}
    assert is_class_map(path)


def test_a_map_is_a_valid_cog_whose_overviews_hold_only_its_classes(tmp_path: Path) -> None:
    path, classes = tmp_path / "map.tif", random_classes(1100, 1300)
    write_map(path, classes)
    assert cog_validate(path, strict=True, quiet=True) == (True, [], [])
    with rasterio.open(path) as file:
        assert file.overviews(1) == [2, 4]
        small = file.read(1, out_shape=(275, 325))
    assert set(np.unique(small)) <= set(np.unique(classes))
    assert (small[:90, :80] == 255).all()


@settings(max_examples=8)
@given(height=st.integers(1, 90), width=st.integers(1, 90), seed=st.integers(0, 9))
def test_pixels_come_back(height: int, width: int, seed: int) -> None:
    classes = random_classes(height, width, seed)
    classes[-1, -1] = 0
    with tempfile.TemporaryDirectory() as folder:
        write_map(Path(folder, "map.tif"), classes)
        with rasterio.open(Path(folder, "map.tif")) as file:
            np.testing.assert_array_equal(file.read(1), classes)


def test_class_names_stand_where_gdal_looks_for_them(tmp_path: Path) -> None:
    legend = Legend.from_codes({"corn & <soy>": [1], "wäld": [63]})
    write_map(tmp_path / "map.tif", np.zeros((8, 8), np.uint8), legend)
    text = (tmp_path / "map.tif.aux.xml").read_text("utf-8")
    assert re.findall("<Category>(.*)</Category>", text) == ["background", "corn &amp; &lt;soy&gt;", "wäld"]
    rasterio.shutil.copy(tmp_path / "map.tif", tmp_path / "map.vrt", driver="VRT")  # what GDAL makes of it
    assert "<Category>corn &amp; &lt;soy&gt;</Category>" in (tmp_path / "map.vrt").read_text("utf-8")


LAYERS = {
    "class": Layer((1,), ("class",), {}, colors={0: (1, 2, 3, 255), 255: (0, 0, 0, 0)}),
    "bytes": Layer((1, 2), ("a", "b"), {}, scale=0.004),
    "numbers": Layer((1,), ("numbers",), {}, is_numbers=True),
}


def raw(path: Path, layer: Layer, size: int = 600) -> Path:
    """A raster of a layer's kind."""
    random = np.random.default_rng(0)
    values = random.integers(0, 250, (len(layer.bands), size, size), dtype=np.uint8)
    if layer.is_numbers:
        values = random.gamma(2, 1, values.shape).astype(np.float32)
        values[:, :50, :50] = np.nan
    path.write_bytes(geotiff(values, make_grid(size, size), np.nan if layer.is_numbers else 255))
    return path


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS.keys())
def test_every_kind_of_layer_is_a_valid_cog_of_the_same_pixels(tmp_path: Path, layer: Layer) -> None:
    convert(raw(tmp_path / "raw.tif", layer), tmp_path / "cog.tif", layer)
    assert cog_validate(tmp_path / "cog.tif", strict=True, quiet=True) == (True, [], [])
    with rasterio.open(tmp_path / "raw.tif") as before, rasterio.open(tmp_path / "cog.tif") as after:
        np.testing.assert_array_equal(after.read(), before.read())
        assert after.overviews(1) == [2]
        np.testing.assert_equal(after.nodata, before.nodata)
        half = after.read(1, out_shape=(300, 300))
        mean = before.read(1).reshape(300, 2, 300, 2).mean(axis=(1, 3))
    if layer.colors is None:
        np.testing.assert_allclose(half[30:], mean[30:], atol=1e-5 if layer.is_numbers else 0.51)


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS.keys())
def test_what_arrived_is_compared_with_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layer: Layer) -> None:
    copy = rasterio.shutil.copy
    raster = raw(tmp_path / "raw.tif", layer)

    def damaged(source: Path, made: Path, **options: object) -> None:
        other = Path(source).with_name("other.tif")
        other.write_bytes(Path(source).read_bytes())
        with rasterio.open(other, "r+") as file:
            place = ((500, 501), (500, 501))
            file.write(file.read(len(layer.bands), window=place) // 2 + 1, len(layer.bands), window=place)
        copy(other, made, **options)

    monkeypatch.setattr(cog.rasterio.shutil, "copy", damaged)
    with pytest.raises(DataError, match=r"made\.tif: what arrived on the disk is not what was written; check the disk"):
        convert(raster, tmp_path / "made.tif", layer)


def test_a_cog_of_another_place_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = rasterio.shutil.copy

    def moved(source: Path, made: Path, **options: object) -> None:
        other = Path(source).with_name("other.tif")
        other.write_bytes(geotiff(np.zeros((1, 600, 600), np.uint8), make_grid(1200, 600).window(Window(600, 0, 600, 600)), 255))
        copy(other, made, **options)

    (tmp_path / "raw.tif").write_bytes(geotiff(np.zeros((1, 600, 600), np.uint8), make_grid(600, 600), 255))
    monkeypatch.setattr(cog.rasterio.shutil, "copy", moved)
    with pytest.raises(DataError, match="what arrived on the disk is not what was written"):
        convert(tmp_path / "raw.tif", tmp_path / "made.tif", LAYERS["class"])


def test_class_names_of_an_older_map_go(tmp_path: Path) -> None:
    write_map(tmp_path / "map.tif", random_classes(8, 8))
    assert "corn" in (tmp_path / "map.tif.aux.xml").read_text()
    (tmp_path / "new.tif").write_bytes(b"another layer")
    publish(tmp_path / "new.tif", tmp_path / "map.tif")
    assert left(tmp_path) == {"map.tif"}
    assert (tmp_path / "map.tif").read_bytes() == b"another layer"


def test_the_deepest_cause_is_named_in_one_line(tmp_path: Path) -> None:
    def fail() -> None:
        try:
            raise OSError(28, "No space left\non device.")
        except OSError as error:
            raise RasterioIOError("see previous exception") from error

    with (
        pytest.raises(
            DataError, match=r"map.tif: cannot be written: \[Errno 28\] No space left; check the disk's free space and permissions"
        ),
        disk_errors(tmp_path / "map.tif"),
    ):
        fail()
    with pytest.raises(DataError, match="cannot be written: OSError; check"), disk_errors(tmp_path / "map.tif"):
        raise OSError
    with pytest.raises(DataError, match=r"^as it was$"), disk_errors(tmp_path / "map.tif"):
        raise DataError("as it was")


def test_maps_layers_and_other_files_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "text.tif").write_text("no raster")
    made = write_map(tmp_path / "map.tif", random_classes(8, 8))
    layer = retag(write_map(tmp_path / "layer.tif", random_classes(8, 8)), layer="entropy")
    others = (tmp_path / "text.tif", tmp_path / "absent.tif", raw(tmp_path / "raw.tif", LAYERS["class"]))
    assert [is_class_map(path) for path in (made, layer, *others)] == [True, False, False, False, False]
    assert [is_layer(path) for path in (made, layer, *others)] == [False, True, False, False, False]


def test_metadata_of_a_map_is_known_by_the_map_or_by_itself(tmp_path: Path) -> None:
    made = write_map(tmp_path / "map.tif", random_classes(8, 8))
    metadata = metadata_path(made)
    assert metadata.name == "map.tif.aux.xml"
    whole = metadata.read_text()
    metadata.write_text("<PAMDataset></PAMDataset>")  # as GDAL leaves it: of a map that is there it is the map's own
    assert is_metadata_of_map(metadata)
    made.unlink()
    assert not is_metadata_of_map(metadata)
    metadata.write_text(whole)
    assert is_metadata_of_map(metadata)


def test_overviews_have_the_most_frequent_of_four_classes(tmp_path: Path) -> None:
    """Three of a class against one, in each of the four places: the pixel that is nearest does not decide."""
    cells = np.tile(np.arange(4), 600 * 600 // 4).reshape(600, 600)  # the odd pixel of each 2 x 2
    common = np.random.default_rng(0).integers(0, 3, (600, 600)).astype(np.uint8)
    classes = np.kron(common, np.ones((2, 2), np.uint8))
    rows, cols = np.mgrid[:600, :600] * 2
    classes[rows + cells // 2, cols + cells % 2] = 3
    write_map(tmp_path / "map.tif", classes)
    with rasterio.open(tmp_path / "map.tif") as file:
        np.testing.assert_array_equal(file.read(1, out_shape=(600, 600)), common)


def test_overviews_of_probabilities_have_the_mean(tmp_path: Path) -> None:
    values = np.kron(np.full((600, 600), 1, np.uint8), np.array([[0, 20], [100, 40]], np.uint8))
    grid = make_grid(*values.shape)
    (tmp_path / "all.tif").write_bytes(geotiff(values[None], grid, 255))
    convert(tmp_path / "all.tif", tmp_path / "layer.tif", Layer((1,), ("p",), tags={}))
    with rasterio.open(tmp_path / "layer.tif") as file:
        assert set(np.unique(file.read(1, out_shape=(600, 600)))) == {40}
