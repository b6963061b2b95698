"""The methods of a run are fitted once per checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from cropcam.model.networks import build
from cropcam.model.runs.checkpoint import BEST, load_network, save_tensors
from cropcam.model.segmentation.fitting import default_method, fitted_segmenter, method_of
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.store.schema import StoreInfo, open_store
from support.runs import make_config, make_run

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"model": "baseline"}, "cam-argmax"),
        ({"model": "unet", "loss": "threshold"}, "score-argmax"),
        ({"model": "fcn", "labels": "shares", "loss": "shares"}, "spectral"),
        ({"model": "fcn", "labels": "pixels", "loss": "cross-entropy"}, "score-argmax"),
        ({"model": "fcn", "loss": "lse", "class_prior": (0.2,) * 5}, "prior-matched"),
        ({"model": "fcn", "loss": "threshold", "class_prior": (0.2,) * 5}, "spectral"),
    ],
)
def test_the_default_method_follows_the_settings(store: Path, info: StoreInfo, settings: dict[str, object], name: str) -> None:
    assert default_method(make_config(store, info, **settings)) == name


def test_a_fit_is_stored_and_read_again_until_the_checkpoint_changes(store: Path, info: StoreInfo, tmp_path: Path) -> None:
    run, dataset = tmp_path / "run", open_store(store)[0]
    make_run(run, store, info, model="fcn", labels="shares", loss="shares", network=build("fcn", 7, 5))
    network, config = load_network(run, CPU)
    segmenter = fitted_segmenter(run, network, config, dataset, CPU)
    assert segmenter.default == "spectral"
    assert len(segmenter.method.mean_KC) == 5
    assert method_of(run, network, config) == segmenter.method
    assert fitted_segmenter(run, network, config, None, CPU) == segmenter  # type: ignore[arg-type] # read, not fitted
    save_tensors(run / BEST, dict(network.state_dict()), {"epoch": "9"})
    with pytest.raises(DataError, match=r"its segmentation \(spectral\) is not fitted yet; run: cropcam evaluate"):
        method_of(run, network, config)


def test_a_prior_is_matched_over_the_training_pixels(store: Path, info: StoreInfo, tmp_path: Path) -> None:
    run, dataset = tmp_path / "run", open_store(store)[0]
    prior = (0.4, 0.3, 0.1, 0.1, 0.1)
    torch.manual_seed(2)
    make_run(run, store, info, model="fcn", loss="lse", class_prior=prior, network=build("fcn", 7, 5))
    network, config = load_network(run, CPU)
    segmenter = fitted_segmenter(run, network, config, dataset, CPU)
    assert segmenter.default == "prior-matched"
    assert json.loads((run / "segment.json").read_text())["default"] == "prior-matched"
    assert set(segmenter.methods) >= {"cam-argmax", "score-argmax", "spectral", "prior-matched"}


def test_a_method_without_a_fit_needs_no_store(store: Path, info: StoreInfo, tmp_path: Path) -> None:
    make_run(tmp_path / "run", store, info)
    network, config = load_network(tmp_path / "run", CPU)
    method = method_of(tmp_path / "run", network, config)
    assert (method.name, method.scale_K, method.offset_K) == ("cam-argmax", (1.0,) * 5, (0.0,) * 5)
