"""The warning on made images: it comes for changed ones, and not for those like home."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cropcam.model.transfer.domain import Place
from cropcam.model.transfer.measure import measure_store
from cropcam.model.transfer.score import THRESHOLD
from cropcam.model.transfer.shift import Shift, band_distances
from cropcam.pipeline.store.patch_store import open_store
from support.shifted import CHANGES, changed
from support.stores import make_store

from .conftest import CPU, Home


def shift_of(home: Home, path: Path) -> Shift:
    store = open_store(path)
    return measure_store(home.run, home.network, home.config, store, np.arange(len(store)), CPU)


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_image_warns(home: Home, tmp_path: Path, change: str) -> None:
    found = shift_of(home, changed(home.store, tmp_path / "changed.zarr", CHANGES[change]))
    line = found.warning()
    assert found.warns
    assert line.startswith("warning: ")
    assert "%" in line
    assert "cropcam train STORE --init RUN --labels shares --areas FILE" in line
    assert "\n" not in line


def test_the_reason_is_named(home: Home, tmp_path: Path) -> None:
    found = shift_of(home, changed(home.store, tmp_path / "changed.zarr", CHANGES["hazier"]))
    assert "are brighter in SR_B" in found.warning()
    assert max(found.here.above_C[:4]) > 0.2 > max(found.here.above_C[4:])
    assert np.argmax(found.band_sd_C) < 4
    assert max(found.aligned_sd_C) < 0.2, "an offset is undone by the alignment"


def test_home_and_another_part_of_the_scene_do_not_warn(home: Home, tmp_path: Path) -> None:
    make_store(tmp_path / "part.zarr", count=80, size_px=16, seed=5)
    for path in (home.store, tmp_path / "part.zarr"):
        found = shift_of(home, path)
        assert found.score < THRESHOLD
        assert found.warning() == ""


def test_the_figures_are_json_and_lines(home: Home, tmp_path: Path) -> None:
    found = shift_of(home, changed(home.store, tmp_path / "changed.zarr", CHANGES["darker"]))
    values = json.loads(json.dumps(found.to_dict()))
    assert values["score"] == found.score >= values["threshold"]
    assert set(values["bands"]) == set(home.config.store.bands)
    assert sum(values["here"]["class_shares"].values()) == pytest.approx(1, abs=1e-4)
    assert sum(block["pixels"] for block in values["blocks"]) == values["here"]["pixels"]
    assert values["warning"] == found.warning()
    assert found.lines()[0].startswith("shift ")
    assert not any("\n" in line for line in found.lines())


def test_nothing_measured_is_no_shift(home: Home) -> None:
    assert Shift.of(home.seen, home.config.store.classes.names, home.seen.tally(), Place()) is None


@settings(max_examples=30)
@given(st.floats(0.5, 2), st.floats(-2, 2), st.integers(0, 99))
def test_a_gain_and_an_offset_are_undone_by_the_alignment(gain: float, offset: float, seed: int) -> None:
    home_CQ = np.sort(np.random.default_rng(seed).normal(size=(3, 9)), axis=1)
    raw, aligned = band_distances(home_CQ * gain + offset, home_CQ)
    np.testing.assert_allclose(raw, np.abs(home_CQ * (gain - 1) + offset)[:, 2:7].mean(axis=1), atol=1e-9)
    np.testing.assert_allclose(aligned, 0, atol=1e-9)
