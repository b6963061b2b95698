"""Windows of a map, and options that are not possible; from run to map: tests/integration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.model.inference.predictor import Predictor
from cropcam.model.inference.wall_to_wall import BLOCK_BYTES, Outputs, _block_px, fitting_block, map_raster
from cropcam.model.inference.windows import window_px
from cropcam.model.segmentation.methods import unfitted
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.maps.window_job import ACTIVATION, ENTROPY, LAYER, PROBABILITY
from support.map_runs import OF_PATCHES, as_trained, make_config
from support.memory_source import LEGEND, Memory


@given(st.integers(1, 5000), st.integers(1, 100))
def test_a_fitting_block_lies_on_the_lattice_and_near_what_was_asked(block_px: int, stride_px: int) -> None:
    fitting = fitting_block(block_px, stride_px)
    assert fitting % stride_px == 0
    assert fitting <= max(1.5 * block_px, block_px + stride_px)
    assert fitting >= 0.6 * block_px


@pytest.mark.parametrize("model", ["fcn", "unet", "baseline", OF_PATCHES])
def test_a_block_fills_the_memory_set_aside_with_whole_windows(model: str) -> None:
    config = make_config(16, model=model)
    predictor = Predictor(config, as_trained(config).state_dict(), unfitted([0.0] * len(LEGEND))["cam-argmax"], "cpu")
    side = _block_px(config, predictor)
    one = window_px(predictor.network_halo_px) if model != OF_PATCHES else predictor.step_px
    assert side % one == 0
    assert 4 * len(config.store.bands) * side**2 <= max(BLOCK_BYTES, 4 * len(config.store.bands) * one**2)
    assert side >= one


def test_outputs_by_layer() -> None:
    assert Outputs().paths == {}
    files = [Path(name) for name in "puas"]
    assert Outputs(*files, Path("o.gpkg"), 3.0).paths == dict(zip((PROBABILITY, ENTROPY, ACTIVATION, LAYER), files, strict=True))


@pytest.mark.parametrize("options", [{"sieve_ha": -1.0}, {"smoothness": -1.0}, {"smoothness": float("nan")}, {"sieve_ha": float("inf")}])
def test_numbers_below_0_are_refused(tmp_path: Path, options: dict[str, float]) -> None:
    source = Memory(np.ones((3, 8, 8), np.uint16))
    with pytest.raises(ConfigError, match=r"^(sieve_ha|smoothness) .*: give a number of 0 or more; 0 = none$"):
        map_raster(tmp_path / "run", source, tmp_path / "map.tif", **options)  # type: ignore[arg-type]


def test_a_patch_as_large_as_the_raster_is_no_small_patch(tmp_path: Path) -> None:
    source = Memory(np.ones((3, 8, 8), np.uint16))
    with pytest.raises(ConfigError, match=r"sieve_ha 1e\+09: is [\d,]+ pixels, the whole raster has 64; give the area of a small patch"):
        map_raster(tmp_path / "run", source, tmp_path / "map.tif", sieve_ha=1e9)
