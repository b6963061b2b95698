"""A layer of numbers as a file: what was written, complete or absent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rio_cogeo import cog_validate

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import tiles
from cropcam.pipeline.maps import layer
from cropcam.pipeline.maps.layer import written_layer
from support.memory_source import make_grid


def make_layer(path: Path, height: int = 700, width: int = 600, block_px: int = 256) -> np.ndarray:  # type: ignore[type-arg]
    values = np.random.default_rng(0).gamma(2, 1, (height, width)).astype(np.float32)
    values[:100, :50] = np.nan
    with written_layer(path, make_grid(height, width), "distance", {"seed": "3"}, block_px) as write:
        for window in tiles((height, width), (block_px, block_px)):
            write(window, values[window.slices])
    return values


def test_the_file_holds_what_was_written(tmp_path: Path) -> None:
    values = make_layer(tmp_path / "layer.tif")
    assert cog_validate(tmp_path / "layer.tif", strict=True, quiet=True) == (True, [], [])
    with rasterio.open(tmp_path / "layer.tif") as file:
        np.testing.assert_array_equal(file.read(1), np.round(values, 3))
        assert (file.dtypes, file.descriptions, file.tags()["seed"]) == (("float32",), ("distance",), "3")
        assert np.isnan(file.nodata)
        assert tuple(file.transform)[:6] == make_grid(1, 1).transform
    assert {file.name for file in tmp_path.iterdir() if file.suffix == ".tif"} == {"layer.tif"}


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="stop"), written_layer(tmp_path / "layer.tif", make_grid(40, 40), "distance", {}, 16):
        raise KeyError("stop")
    assert not list(tmp_path.glob("**/*.tif"))


def test_what_arrived_is_compared_with_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    convert = layer.convert

    def damage(raw: Path, made: Path, **options: str) -> None:
        with rasterio.open(raw, "r+") as file:
            file.write(np.zeros((1, 1), np.float32), 1, window=((300, 301), (300, 301)))
        convert(raw, made, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(layer, "convert", damage)
    with pytest.raises(DataError, match=r"layer\.tif: what arrived on the disk is not what was written"):
        make_layer(tmp_path / "layer.tif")
    assert not (tmp_path / "layer.tif").exists()


def test_a_folder_is_no_place_for_a_layer(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder; give the file name of the layer"):
        make_layer(tmp_path)
