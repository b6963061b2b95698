"""An image written as an asset: values, masks of each band, properties, and what is left of a failed one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cropcam.pipeline.emulator.archive import Archive
from cropcam.pipeline.emulator.asset_exports import write_asset
from cropcam.pipeline.emulator.asset_options import AssetOptions
from cropcam.pipeline.emulator.block_reader import Reader
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.geometry import Geometry
from cropcam.pipeline.emulator.images import Band, BandType, LazyImage
from cropcam.pipeline.emulator.own_assets import OwnAssets
from cropcam.pipeline.emulator.pixels import Node, Pixels, Reading
from cropcam.pipeline.emulator.projections import Projection
from cropcam.pipeline.grid import PixelGrid, Window

GRID = PixelGrid("EPSG:32616", (30.0, 0.0, 400_000.0, 0.0, -30.0, 4_500_000.0), 70, 60)
NAME = "projects/p/assets/x"


class Given(Node):
    """Values and mask on the test's grid, window by window."""

    def __init__(self, values: np.ndarray, mask: np.ndarray) -> None:
        self._values, self._mask = values, mask

    def evaluate(self, grid: PixelGrid, reading: Reading) -> Pixels:  # noqa: ARG002 - as every node
        col, row = round((grid.transform[2] - GRID.transform[2]) / 30), round((GRID.transform[5] - grid.transform[5]) / 30)
        part = slice(row, row + grid.height), slice(col, col + grid.width)
        return Pixels(self._values[part], self._mask[part])


@dataclass
class Progress:
    """Counts blocks; may end the export after some."""

    most: int = 10**6
    blocks: list[float] = field(default_factory=list)

    def add(self, cpu_s: float) -> None:
        self.blocks.append(cpu_s)
        if len(self.blocks) > self.most:
            raise EngineError("User memory limit exceeded.")


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    made = Reader(workers=2, block_px=32)
    yield made
    made.close()


def image(bands: dict[str, tuple[np.ndarray, np.ndarray]], **properties: Any) -> LazyImage:
    place = Projection(GRID.crs, GRID.transform)
    window = Window(0, 0, *GRID.shape_yx)
    return LazyImage(
        [Band(name, BandType.of(values.dtype), Given(values, mask), place, window) for name, (values, mask) in bands.items()], properties
    )


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hnp.arrays(np.bool_, (4, 4)), st.sampled_from(["uint8", "int16", "float32", "float64"]))
def test_values_and_masks_of_each_band_come_back(reader: Reader, tmp_path: Path, holes: np.ndarray, dtype: str) -> None:
    mask = np.kron(holes, np.ones((15, 18), np.bool_))[:60, :70]
    values = np.random.default_rng(1).integers(0, 250, GRID.shape_yx).astype(dtype)
    whole = np.ones(GRID.shape_yx, np.bool_)
    assets = OwnAssets(tmp_path / "assets")
    made = image({"a": (values, mask), "b": (RED, whole), "c": (values, ~mask)})
    write_asset(assets, AssetOptions(NAME, overwrite=True), made, GRID, reader, tmp_path / "partial", Progress())
    found = Archive(tmp_path, assets.folder).image(NAME)
    assert [band.type.dtype for band in found.bands] == [np.dtype(dtype), RED.dtype, np.dtype(dtype)]
    assert found.grid == GRID
    read, valid = found.read(GRID)
    np.testing.assert_array_equal(valid, [mask, whole, ~mask])
    np.testing.assert_array_equal(read, [np.where(mask, values, 0), RED, np.where(mask, 0, values)])


RED = np.random.default_rng(2).integers(0, 65_536, GRID.shape_yx).astype(np.uint16)


def test_the_description_carries_policies_and_plain_properties(reader: Reader, tmp_path: Path) -> None:
    assets = OwnAssets(tmp_path / "assets")
    whole = np.ones(GRID.shape_yx, np.bool_)
    outline = Geometry.rectangle(GRID.bounds_xyxy, GRID.crs)
    made = image(
        {"a": (RED, whole), "b": (RED, whole)}, **{"n": 1, "names": ["x", "y"], "system:footprint": outline, "system:index": "old"}
    )
    options = AssetOptions(NAME, policy="MODE", overrides=(("b", "SAMPLE"),))
    progress = Progress()
    address = write_asset(assets, options, made, GRID, reader, tmp_path / "partial", progress)
    assert address == f"https://code.earthengine.google.com/?asset={NAME}"
    about = json.loads((assets.path(NAME) / "asset.json").read_text())
    assert about["bands"] == [{"id": "a", "pyramidingPolicy": "MODE"}, {"id": "b", "pyramidingPolicy": "SAMPLE"}]
    assert about["properties"] == {"n": 1, "names": ["x", "y"]}
    assert about["made_by"] == {"CROPCAM_ENGINE": "embedded"}
    assert progress.blocks
    assert not (tmp_path / "partial").exists()


def test_nothing_appears_of_an_export_that_fails(reader: Reader, tmp_path: Path) -> None:
    assets = OwnAssets(tmp_path / "assets")
    made = image({"a": (RED, np.ones(GRID.shape_yx, np.bool_))})
    with pytest.raises(EngineError, match="User memory limit exceeded"):
        write_asset(assets, AssetOptions(NAME), made, GRID, reader, tmp_path / "partial", Progress(most=0))
    assert not assets.path(NAME).exists()


def test_an_export_that_may_not_overwrite_ends_before_it_computes(reader: Reader, tmp_path: Path) -> None:
    assets = OwnAssets(tmp_path / "assets")
    made = image({"a": (RED, np.ones(GRID.shape_yx, np.bool_))})
    write_asset(assets, AssetOptions(NAME), made, GRID, reader, tmp_path / "first", Progress())
    progress = Progress()
    with pytest.raises(EngineError, match="Cannot overwrite asset"):
        write_asset(assets, AssetOptions(NAME), made, GRID, reader, tmp_path / "second", progress)
    assert not progress.blocks
