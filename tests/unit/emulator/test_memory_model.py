"""The model of an export's memory by tile: bands of scenes times pixels of a tile."""

from __future__ import annotations

import ee
import pytest

from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.limits import Limits
from cropcam.pipeline.emulator.memory_model import check_tile, inputs
from cropcam.pipeline.grid import PixelGrid
from support.scenes import EAST, WEST, Client, landsat

FAR = PixelGrid(EAST.crs, (30.0, 0.0, 900_000.0, 0.0, -30.0, 4_000_000.0), 10, 10)


def test_each_band_of_each_scene_that_lies_there_counts_once(client: Client) -> None:
    summer = landsat().filterDate("2016-05-01", "2016-10-01")  # five scenes, three of them in the east
    made = client.image(summer.select(["SR_B4", "SR_B5"]).median())
    meets = {grid: inputs(made, grid) for grid in (EAST, WEST, FAR)}
    assert meets[FAR] == 0
    assert all(number % 2 == 0 for number in meets.values())
    assert 2 * 3 <= meets[EAST] <= 2 * 6
    assert inputs(client.image(ee.Image(1)), EAST) == 0
    twice = client.image(summer.map(lambda scene: scene.select("SR_B4").add(scene.select("SR_B4"))).median())
    assert inputs(twice, EAST) == meets[EAST] // 2
    masked = client.image(summer.map(lambda scene: scene.select("SR_B4").updateMask(scene.select("QA_PIXEL").eq(64))).median())
    assert inputs(masked, EAST) == meets[EAST]


def test_a_smaller_tile_needs_less(client: Client) -> None:
    made = client.image(landsat().select(["SR_B4", "SR_B5"]).median())
    limits = Limits(tile_bytes=inputs(made, EAST) * 256**2 * 8 - 1)
    with pytest.raises(EngineError, match=r"^User memory limit exceeded\.$") as refused:
        check_tile(made, EAST, 256, limits)
    assert refused.value.status == "RESOURCE_EXHAUSTED"
    check_tile(made, EAST, 128, limits)
    check_tile(made, EAST, 256, Limits())
