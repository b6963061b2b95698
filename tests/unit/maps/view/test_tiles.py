"""Tiles, against the pixels of the files."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import morecantile
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from cropcam.pipeline.crs import transform_bounds, transform_points
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid, resample_nearest
from cropcam.pipeline.maps.view import tiles
from cropcam.pipeline.maps.view.layers import Layer, Scene
from cropcam.pipeline.maps.view.scenes import of_map, with_store
from cropcam.pipeline.maps.view.tiles import TILE_PX, Tiles, exists
from support.maps import write_map
from support.views import Artefacts

WEB = morecantile.tms.get("WebMercatorQuad")


def found(scene: Scene, name: str) -> Layer:
    layer = scene.layer(name)
    assert layer is not None
    return layer


def tile_of(scene: Scene, zoom: int) -> tuple[int, int, int]:
    """The tile that holds the middle of the scene."""
    south, west, north, east = scene.bounds
    tile = WEB.tile((west + east) / 2, (south + north) / 2, zoom)
    return tile.z, tile.x, tile.y


def rgba(png: bytes) -> npt.NDArray[np.uint8]:
    image = Image.open(io.BytesIO(png))
    assert image.size == (TILE_PX, TILE_PX)
    return np.asarray(image.convert("RGBA"))


def pixels_of(scene: Scene, place: tuple[int, int, int]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Row and column of the scene's grid under each pixel's centre of a tile; -1 outside."""
    zoom, col, row = place
    box = WEB.xy_bounds(morecantile.Tile(col, row, zoom))
    step = (box.right - box.left) / TILE_PX
    x, y = np.meshgrid(box.left + step * (np.arange(TILE_PX) + 0.5), box.top - step * (np.arange(TILE_PX) + 0.5))
    return scene.grid.index(*transform_points("EPSG:3857", scene.grid.crs, x, y))


@pytest.mark.parametrize("closer", [1, 2])
def test_classes_are_the_nearest_pixels_in_the_colours_of_the_legend(scene: Scene, artefacts: Artefacts, closer: int) -> None:
    place = tile_of(scene, scene.native_zoom + closer)
    layer = found(scene, "classes")
    assert layer.palette is not None
    row_YX, col_YX = pixels_of(scene, place)
    expected = layer.palette[np.where(row_YX >= 0, artefacts.classes_YX[row_YX, col_YX], 255)]
    same = (rgba(tiles.render(layer, *place)) == expected).all(axis=-1)
    assert same.mean() > 0.97  # GDAL's transformer is exact to an eighth of a pixel


def test_errors_are_where_map_and_truth_differ(scene: Scene, artefacts: Artefacts) -> None:
    place = tile_of(scene, scene.native_zoom + 1)
    layer = found(scene, "errors")
    assert layer.palette is not None
    row_YX, col_YX = pixels_of(scene, place)
    values = tiles.differences(artefacts.classes_YX, artefacts.truth_YX)
    expected = layer.palette[np.where(row_YX >= 0, values[row_YX, col_YX], 255)]
    shown = rgba(tiles.render(layer, *place))
    assert (shown == expected).all(axis=-1).mean() > 0.94
    assert 0.1 < (shown[..., 0] == 196).sum() / (shown[..., 3] == 255).sum() < 0.2  # every seventh column differs


def test_map_and_truth_may_lie_on_grids_of_different_crs(artefacts: Artefacts, tmp_path: Path) -> None:
    store = artefacts.opened()
    west, south, east, north = transform_bounds(store.grid.crs, "EPSG:32615", store.grid.bounds_xyxy)
    grid = PixelGrid("EPSG:32615", (20.0, 0.0, west, 0.0, -20.0, north), int((east - west) / 20), int((north - south) / 20))
    classes_YX = resample_nearest(artefacts.truth_YX, store.grid, grid, 255)
    scene = with_store(of_map(write_map(tmp_path / "utm.tif", classes_YX.astype(np.uint8), store.info.classes, grid)), store, tmp_path)
    shown = rgba(tiles.render(found(scene, "errors"), *tile_of(scene, scene.native_zoom + 1)))
    known = shown[..., 3] == 255
    assert known.mean() > 0.5
    assert (shown[known][:, 0] == 196).mean() < 0.05  # the map is the truth, but for pixels along the borders of fields


def test_probabilities_are_coloured_by_the_ramp(scene: Scene, artefacts: Artefacts) -> None:
    place = tile_of(scene, scene.native_zoom + 2)
    layer = found(scene, "probability-2")
    assert layer.palette is not None
    row_YX, col_YX = pixels_of(scene, place)
    expected = layer.palette[np.where(row_YX >= 0, artefacts.probability_KYX[2][row_YX, col_YX], 255)]
    assert (rgba(tiles.render(layer, *place)) == expected).all(axis=-1).mean() > 0.97


def test_a_picture_is_transparent_where_it_has_no_data_and_false_colour_is_another(scene: Scene) -> None:
    place = tile_of(scene, scene.native_zoom - 1)
    true, false = (rgba(tiles.render(found(scene, f"{name}-colour-1"), *place)) for name in ("true", "false"))
    assert (true[..., 3] == 255).any()
    np.testing.assert_array_equal(true[..., 0][true[..., 3] == 255], false[..., 1][true[..., 3] == 255])  # red: first here, second there
    assert (true[..., :3] != false[..., :3]).any()


def test_a_picture_of_two_bands_is_grey(scene: Scene) -> None:
    layer = replace(found(scene, "true-colour-1"), bands=(1,))
    grey = rgba(tiles.render(layer, *tile_of(scene, scene.native_zoom)))
    assert (grey[..., 0] == grey[..., 1]).all()


def test_a_tile_beyond_the_layer_is_transparent(scene: Scene) -> None:
    for name in ("classes", "errors", "true-colour-1"):
        assert not rgba(tiles.render(found(scene, name), 8, 0, 0))[..., 3].any()


def test_the_scene_zoomed_out_has_all_of_its_pixels_in_a_few_tiles(scene: Scene) -> None:
    for name in ("classes", "errors", "true-colour-1", "splits"):
        place = tile_of(scene, scene.min_zoom)
        south, west, north, east = scene.bounds
        corners = {WEB.tile(lon, lat, scene.min_zoom) for lon in (west, east) for lat in (south, north)}
        shown = sum((rgba(tiles.render(found(scene, name), tile.z, tile.x, tile.y))[..., 3] > 0).sum() for tile in corners)
        pixels = np.prod(scene.grid.shape_yx) / 4 ** (scene.native_zoom - place[0])
        assert 0.4 < shown / pixels < 1.7, name


@pytest.mark.parametrize(
    ("place", "there"),
    [((0, 0, 0), True), ((0, 1, 0), False), ((3, 7, 7), True), ((3, 7, 8), False), ((23, 0, 0), False), ((22, 2**22 - 1, 0), True)],
)
def test_tiles_that_the_web_map_has(place: tuple[int, int, int], there: bool) -> None:
    assert exists(*place) is there


def test_tiles_are_kept_up_to_their_bytes(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[int, int, int]] = []
    monkeypatch.setattr(tiles, "render", lambda _layer, *place: made.append(place) or bytes(100))
    kept, layer = Tiles(250), found(scene, "classes")
    for col in (0, 1, 0, 2, 0, 1):
        kept.png(layer, 5, col, 0)
    assert [place[1] for place in made] == [0, 1, 2, 1]  # 0 was used again and stayed; 1 made room for 2


def test_many_threads_get_the_same_tile(scene: Scene) -> None:
    layer, place = found(scene, "errors"), tile_of(scene, scene.native_zoom)
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: tiles.render(layer, *place), range(24)))) == 1


def test_a_file_that_is_gone_is_one_line(scene: Scene, tmp_path: Path) -> None:
    layer = replace(found(scene, "classes"), raster=tmp_path / "gone.tif")
    with pytest.raises(DataError, match=r"^gone\.tif: cannot be read any more; start cropcam view again$"):
        tiles.render(layer, 0, 0, 0)
