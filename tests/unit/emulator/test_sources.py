"""Bands of the archive at coarse scales, through the real client's objects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ee
import numpy as np
import pytest

from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.emulator import pyramids
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.grid import PixelGrid, Window, nearest_index, resample_nearest
from support import scenes
from support.scenes import Client, write_asset

GRID = PixelGrid("EPSG:32616", (30.0, 0.0, 400_000.0, 0.0, -30.0, 4_500_000.0), 601, 530)
ASSET = "T/large"
RNG = np.random.default_rng(7)
RED = (RNG.integers(1, 9000, GRID.shape_yx) * (RNG.random(GRID.shape_yx) > 0.4)).astype(np.uint16)  # 0 = nodata
QA = RNG.integers(1, 60_000, GRID.shape_yx).astype(np.uint16)
CODES = RNG.integers(1, 4, GRID.shape_yx).astype(np.uint8)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pyramids")
    bands = {"red": RED, "QA_PIXEL": QA, "codes": CODES}
    write_asset(folder / ASSET, bands, GRID, {"red": 0}, **{"system:time_start": 0})
    about = json.loads((folder / ASSET / "asset.json").read_text())
    about["bands"][2] = {"id": "codes", "pyramidingPolicy": "MODE"}
    (folder / ASSET / "asset.json").write_text(json.dumps(about))
    return folder


@pytest.fixture(scope="module")
def client(archive: Path) -> Iterator[Client]:
    with scenes.client(archive) as found:
        yield found


def coarse(step: int) -> PixelGrid:
    """The pixels of a level, as far as the raster reaches."""
    return PixelGrid(
        GRID.crs, (30.0 * step, 0.0, 400_000.0, 0.0, -30.0 * step, 4_500_000.0), -(-GRID.width // step), -(-GRID.height // step)
    )


def means(step: int) -> np.ma.MaskedArray:
    """Rounded means of the valid red values below each pixel of a level."""
    grid = coarse(step)
    full = np.zeros((grid.height * step, grid.width * step))
    full[: GRID.height, : GRID.width] = RED
    cells = full.reshape(grid.height, step, grid.width, step)
    count = (cells > 0).sum((1, 3))
    return np.ma.masked_array(np.floor(cells.sum((1, 3)) / np.maximum(count, 1) + 0.5), count == 0)


@pytest.mark.parametrize("step", [2, 4])
def test_a_request_at_a_levels_scale_gets_means_and_samples(client: Client, step: int) -> None:
    found = client.pixels(ee.Image(ASSET), coarse(step))
    np.testing.assert_array_equal(found[0].filled(0), means(step).filled(0))
    np.testing.assert_array_equal(np.ma.getmaskarray(found)[0], np.ma.getmaskarray(means(step)))
    np.testing.assert_array_equal(found.data[1], QA[::step, ::step])
    assert not np.ma.getmaskarray(found)[1].any()


def test_the_policy_of_the_asset_goes_before_the_rule(client: Client) -> None:
    grid = PixelGrid(GRID.crs, coarse(2).transform, 300, 265)
    cells = CODES[:, :600].reshape(265, 2, 300, 2).swapaxes(1, 2).reshape(265, 300, 4)
    counts = np.stack([(cells == code).sum(-1) for code in (1, 2, 3)])
    np.testing.assert_array_equal(client.pixels(ee.Image(ASSET).select("codes"), grid).data[0], counts.argmax(0) + 1)


def test_between_levels_the_nearest_pixel_of_the_finer_one_is_taken(client: Client) -> None:
    x, y = transform_points(GRID.crs, "EPSG:5070", [409_000.0], [4_492_000.0])
    grid = PixelGrid("EPSG:5070", (100.0, 0.0, float(x[0]) - 4000, 0.0, -100.0, float(y[0]) + 4000), 80, 80)
    row, col = nearest_index(coarse(2), grid)
    assert (row >= 0).all()
    found = client.pixels(ee.Image(ASSET).select("red"), grid)[0]
    np.testing.assert_array_equal(found.filled(0), means(2).filled(0)[row, col])


def test_below_twice_the_native_scale_pixels_are_native(client: Client) -> None:
    grid = PixelGrid(GRID.crs, (59.99, 0.0, 400_000.0, 0.0, -59.99, 4_500_000.0), 250, 240)
    np.testing.assert_array_equal(client.pixels(ee.Image(ASSET), grid)[0].filled(0), resample_nearest(RED, GRID, grid, 0))


def test_windows_and_strips_give_the_same_pixels(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = client.pixels(ee.Image(ASSET), coarse(2))
    monkeypatch.setattr(pyramids, "_STRIP_PX", 5_000)
    for window in (Window(0, 0, 7, 301), Window(131, 17, 134, 90), Window(264, 300, 1, 1)):
        part = client.pixels(ee.Image(ASSET), coarse(2).window(window))
        rows, cols = window.slices
        np.testing.assert_array_equal(part.filled(0), whole[:, rows, cols].filled(0))
        np.testing.assert_array_equal(np.ma.getmaskarray(part), np.ma.getmaskarray(whole)[:, rows, cols])


def test_an_aggregation_on_purpose_reads_native_pixels(client: Client) -> None:
    """reduceResolution takes the input at the scale of its default projection, whatever the request's."""
    grid = PixelGrid(GRID.crs, coarse(4).transform, 150, 132)
    cells = QA[:528, :600].reshape(132, 4, 150, 4).astype(float)
    made = ee.Image(ASSET).select("QA_PIXEL").reduceResolution(ee.Reducer.mean())
    np.testing.assert_allclose(client.pixels(made, grid)[0].filled(0), cells.mean((1, 3)))
    masked = ee.Image(ASSET).select("red").updateMask(ee.Image(ASSET).select("QA_PIXEL").gt(30_000)).reduceResolution(ee.Reducer.mean())
    kept = np.ma.masked_array(RED, (RED == 0) | (QA <= 30_000)).astype(float)[:528, :600].reshape(132, 4, 150, 4)
    np.testing.assert_allclose(client.pixels(masked, grid)[0].filled(0), kept.mean((1, 3)).filled(0))


def test_a_reprojection_fixes_the_level(client: Client) -> None:
    made = ee.Image(ASSET).select("red").reproject(GRID.crs, list(coarse(2).transform))
    fine = client.pixels(made, GRID)[0]
    expected = means(2).filled(0).repeat(2, 0).repeat(2, 1)[: GRID.height, : GRID.width]
    np.testing.assert_array_equal(fine[:528, :600].filled(0), expected[:528, :600])


@pytest.mark.usefixtures("client")
def test_a_damaged_band_is_named_at_every_level(tmp_path: Path) -> None:
    write_asset(tmp_path / "T/damaged", {"red": RED}, GRID, {"red": 0})
    broken = Client(tmp_path)
    lazy = broken.image(ee.Image("T/damaged"))
    assert lazy.names == ("red",)
    (tmp_path / "T/damaged/red.tif").write_bytes(b"no raster")
    for grid in (GRID, coarse(2)):
        with pytest.raises(EngineError, match="asset 'damaged' of the archive is damaged: band 'red'"):
            lazy.read(grid)


@pytest.mark.usefixtures("client")
def test_an_unknown_policy_is_refused(tmp_path: Path) -> None:
    write_asset(tmp_path / "T/odd", {"red": RED[:4, :4]}, PixelGrid(GRID.crs, GRID.transform, 4, 4), {})
    (tmp_path / "T/odd/asset.json").write_text(json.dumps({"bands": [{"id": "red", "pyramidingPolicy": "NICE"}], "properties": {}}))
    made: Any = Client(tmp_path).image(ee.Image("T/odd"))
    with pytest.raises(EngineError, match="Invalid pyramiding policy 'NICE'"):
        made.read(GRID)
