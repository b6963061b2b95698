"""The methods of a run: which is the default, when they are fitted, when read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from cropcam.model.runs.checkpoint import BEST, load_network
from cropcam.model.segmentation import methods as segment
from cropcam.model.segmentation.fitting import default_method, fitted_segmenter, method_of
from cropcam.model.segmentation.predictions import forward_batches
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.runtime.hashing import file_sha256
from cropcam.pipeline.store.patch_store import open_store
from cropcam.pipeline.store.schema import StoreInfo
from support.runs import make_config, make_run

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("model", "labels", "loss", "prior", "expected"),
    [
        ("baseline", "presence", "bce", (), "cam-argmax"),
        ("fcn", "presence", "lse", (), "spectral"),
        ("unet", "presence", "lse", (), "score-argmax"),
        ("fcn", "shares", "shares", (), "spectral"),
        ("fcn", "pixels", "cross-entropy", (), "score-argmax"),
        ("fcn", "presence", "lse", (0.2,) * 5, "prior-matched"),
        ("fcn", "shares", "shares", (0.2,) * 5, "spectral"),
    ],
)
def test_the_default_method_follows_from_network_labels_and_prior(
    store: Path, info: StoreInfo, model: str, labels: str, loss: str, prior: tuple[float, ...], expected: str
) -> None:
    config = make_config(store, info, model=model, labels=labels, loss=loss, class_prior=prior)
    assert default_method(config) == expected


def test_fitted_methods_are_kept_with_the_checkpoint(tmp_path: Path, store: Path, info: StoreInfo) -> None:
    run = tmp_path / "run"
    make_run(run, store, info, model="fcn", loss="lse", class_prior=(0.1, 0.3, 0.2, 0.2, 0.2))
    network, config = load_network(run, CPU)
    opened = open_store(store)
    with pytest.raises(DataError, match=r"its segmentation \(prior-matched\) is not fitted yet; run: cropcam evaluate"):
        method_of(run, network, config)
    with pytest.raises(ConfigError, match=r"^--method best: no such method; choose one of cam-argmax, score-argmax, .*spectral$"):
        method_of(run, network, config, "best")
    fitted = fitted_segmenter(run, network, config, opened, CPU)
    assert {"cam-argmax", "score-argmax", "spectral", "prior-matched"} <= set(fitted.methods)
    assert fitted.default == "prior-matched"
    assert segment.load(run, file_sha256(run / BEST)) == fitted
    shutil.copytree(store, tmp_path / "blind.zarr")
    shutil.rmtree(tmp_path / "blind.zarr" / "image" / "c")
    assert fitted_segmenter(run, network, config, open_store(tmp_path / "blind.zarr"), CPU) == fitted, "read, not fitted again"
    assert method_of(run, network, config) == fitted.method


def test_methods_of_a_version_without_calibration_are_fitted_again(tmp_path: Path, store: Path, info: StoreInfo) -> None:
    run = tmp_path / "run"
    make_run(run, store, info, model="fcn", labels="shares", loss="shares")
    network, config = load_network(run, CPU)
    fitted = fitted_segmenter(run, network, config, open_store(store), CPU)
    assert fitted.calibration.startswith("fitted to ")
    assert fitted.method.temperature != 1.0
    kept, old = (json.loads((run / segment.SEGMENT).read_text()) for _ in range(2))
    del old["calibration"]
    for method in old["methods"].values():
        del method["temperature"]
    (run / segment.SEGMENT).write_text(json.dumps(old))
    with pytest.raises(DataError, match=r"its segmentation \(spectral\) is not fitted yet; run: cropcam evaluate"):
        method_of(run, network, config)
    assert fitted_segmenter(run, network, config, open_store(store), CPU) == fitted
    assert json.loads((run / segment.SEGMENT).read_text()) == kept


def test_a_method_without_fitted_numbers_needs_no_store(tmp_path: Path, store: Path, info: StoreInfo) -> None:
    make_run(tmp_path / "run", store, info)
    network, config = load_network(tmp_path / "run", CPU)
    method = method_of(tmp_path / "run", network, config)
    assert (method.name, method.offset_K) == ("cam-argmax", (0.0,) * 5)


def test_matched_shares_are_those_of_the_training_patches(tmp_path: Path, store: Path, info: StoreInfo) -> None:
    run, prior = tmp_path / "run", (0.1, 0.3, 0.2, 0.2, 0.2)
    make_run(run, store, info, model="fcn", loss="lse", class_prior=prior)
    network, config = load_network(run, CPU)
    opened = open_store(store)
    method = fitted_segmenter(run, network, config, opened, CPU).method
    train = opened.split_indices("train")
    with torch.inference_mode():
        ((_, x, outputs),) = forward_batches(network, config, opened, train, CPU)
        classes = method(outputs.cams_BKHW, x, outputs.valid_BHW)[outputs.valid_BHW].numpy()
    np.testing.assert_allclose(np.bincount(classes, minlength=5) / len(classes), prior, atol=0.05)


@pytest.mark.parametrize("damage", ["absent", "{", "NaN", "0.0"])
def test_probabilities_without_calibration_are_announced(tmp_path: Path, store: Path, info: StoreInfo, damage: str) -> None:
    run, lines = tmp_path / "run", list[str]()
    make_run(run, store, info)
    network, config = load_network(run, CPU)
    if damage != "absent":
        fitted = fitted_segmenter(run, network, config, open_store(store), CPU)
        assert method_of(run, network, config, None, lines.append) == fitted.method
        assert not lines
        text = json.dumps(json.loads((run / segment.SEGMENT).read_text()))
        temperature = f'"temperature": {fitted.method.temperature}'
        assert temperature in text
        (run / segment.SEGMENT).write_text(damage if damage == "{" else text.replace(temperature, f'"temperature": {damage}'))
    assert method_of(run, network, config, None, lines.append).temperature == 1.0
    why = "is absent" if damage == "absent" else "is of another checkpoint or version, or damaged"
    assert lines == [f"warning: probabilities are not calibrated, {run / segment.SEGMENT} {why}; run: cropcam evaluate {run}"]
