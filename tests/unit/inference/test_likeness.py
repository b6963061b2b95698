"""One line about an image before it is mapped: unlike the training data, elsewhere, or not measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cropcam.model.data.normalization import Normalization, physical_encoding
from cropcam.model.inference.layers import Layers
from cropcam.model.inference.likeness import likeness, seen_by_run
from cropcam.model.inference.survey import Survey
from cropcam.model.networks import Network
from cropcam.model.runs.checkpoint import load_network
from cropcam.model.runs.config import RunConfig
from cropcam.model.segmentation.fitting import fitted_segmenter
from cropcam.model.transfer.seen import SEEN, Seen, seen_by
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.maps.windows import Source
from cropcam.pipeline.store.patch_store import open_store
from support.map_runs import info_of, make_config, make_run, random_dn, random_network, with_attrs
from support.memory_source import Memory
from support.runs import train
from support.shifted import CHANGES, changed
from support.stores import make_store

CPU = torch.device("cpu")
Home = tuple[Path, Path, Network, RunConfig, Seen]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A store, a run that has learned it, and what it has seen."""
    folder = tmp_path_factory.mktemp("home")
    store, run = folder / "patches.zarr", folder / "run"
    make_store(store, count=80, size_px=16)
    train(store, run, device="cpu", model="fcn", labels="pixels", epochs=4, batch_size=8, precision="fp32")
    network, config = load_network(run, CPU)
    return store, run, network, config, seen_by(run, network, config, CPU)


def line_of(home: Home, source: Source, seen: Seen | None, unmeasured: str = "") -> str:
    store, run, network, config, _ = home
    method = fitted_segmenter(run, network, config, open_store(store), CPU).method
    normalization = Normalization.of(config, "cpu", physical_encoding(len(config.store.bands)))
    return likeness(config, source, Survey(source, config.store.size_px), Layers(network, method, normalization), seen, unmeasured)


def test_home_has_no_line_and_another_image_a_warning(home: Home, tmp_path: Path) -> None:
    assert line_of(home, open_store(home[0]), home[4]) == ""
    line = line_of(home, open_store(changed(home[0], tmp_path / "hazy.zarr", CHANGES["hazier"])), home[4])
    assert line.startswith("warning: ")
    assert "\n" not in line


def test_an_image_without_a_whole_patch_is_not_measured(home: Home) -> None:
    store = home[3].store
    source = Memory(np.zeros((len(store.bands), 40, 40), np.uint16))
    line = line_of(home, source, home[4])
    assert line.endswith(
        "whether the image is like the training data is not measured: no patch of it is as valid as those of the training data"
    )
    assert "of the image lies outside the area of the run's training data" in line


def test_the_reason_why_it_is_not_known_is_said(home: Home) -> None:
    assert line_of(home, open_store(home[0]), None, "the store is missing") == (
        "note: whether the image is like the training data is not measured: the store is missing"
    )


def test_what_was_seen_is_read_or_measured_or_the_reason(home: Home, tmp_path: Path) -> None:
    _, run, network, config, seen = home
    (run / SEEN).unlink(missing_ok=True)
    assert seen_by_run(run, network, config, None, needed=False)[0] == seen  # type: ignore[arg-type]
    lost = make_run(tmp_path / "run", random_network(), make_config())
    found, reason = seen_by_run(lost, random_network(), make_config(), None, needed=False)  # type: ignore[arg-type]
    assert found is None
    assert "made-up.zarr, which is missing" in reason
    with pytest.raises(DataError, match=r"made-up\.zarr, which is missing"):
        seen_by_run(lost, random_network(), make_config(), None, needed=True)  # type: ignore[arg-type]


def test_place_and_season_are_noted_with_it() -> None:
    from cropcam.pipeline.study.study import load_study

    config = with_attrs(make_config(), info_of(load_study("demo"), 16))
    source = Memory(random_dn(np.random.default_rng(0), 40, 40), ("scene_20190131_B4.tif",))
    survey = Survey(source, 16)
    layers = Layers(random_network(), None, None)  # type: ignore[arg-type]
    line = likeness(config, source, survey, layers, None, "the store is missing")
    assert line.startswith("note: ")
    assert "image date 2019-01-31" in line
    assert line.endswith("; whether the image is like the training data is not measured: the store is missing")
    assert "\n" not in line
    later = replace(source, names=("scene_20160831_B4.tif",))
    assert "image date" not in likeness(config, later, survey, layers, None, "x")
