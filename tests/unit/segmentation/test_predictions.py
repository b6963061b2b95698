"""Predictions over patches of a store: the network's own outputs, in order, with truth and nodata."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cropcam.model.data.normalization import Normalization, standardise
from cropcam.model.networks import Network
from cropcam.model.networks.cam import pixel_scores
from cropcam.model.runs.checkpoint import load_network
from cropcam.model.runs.config import RunConfig
from cropcam.model.segmentation import predictions
from cropcam.model.segmentation.methods import Segmenter, unfitted
from cropcam.model.segmentation.predictions import PatchPredictions, forward_batches, open_trained_store, predict_patches
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.store.patch_store import PatchStore
from cropcam.pipeline.store.schema import StoreInfo
from support.runs import make_run
from support.stores import make_store

CPU = torch.device("cpu")
Trained = tuple[Network, RunConfig, PatchStore, Path, StoreInfo]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("predictions")
    info = make_store(folder / "patches.zarr", count=20, size_px=12, nodata_share=0.3)
    make_run(folder / "run", folder / "patches.zarr", info)
    network, config = load_network(folder / "run", CPU)
    return network, config, open_trained_store(folder / "run", config), folder / "run", info


def predicted(trained: Trained, patches: list[int]) -> list[PatchPredictions]:
    network, config, store, _, _ = trained
    segmenter = Segmenter(unfitted(network.dense.bias.tolist()), "score-argmax")
    return list(predict_patches(network, config, store, np.array(patches), CPU, segmenter))


def test_predictions_are_those_of_the_network_in_the_given_order(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictions, "BATCH_PATCHES", 2)
    network, config, store, _, info = trained
    order = [7, 0, 3]
    batches = predicted(trained, order)
    assert [batch.patches_B.tolist() for batch in batches] == [[7, 0], [3]]
    for batch in batches:
        image = store.images(batch.patches_B)
        x, _ = standardise(torch.from_numpy(image), Normalization.of(config, "cpu"))
        _, cams = pixel_scores(network, x)
        np.testing.assert_allclose(batch.cams_BKHW, cams.numpy(), atol=1e-5)
        nodata = (image == 0).any(axis=1)
        np.testing.assert_array_equal(batch.nodata_BHW, nodata)
        truth = info.classes.index(store.labels(batch.patches_B))
        np.testing.assert_array_equal(batch.truth_BHW, np.where(nodata, 255, truth))
        logits = cams.numpy() + network.dense.bias.detach().numpy()[:, None, None]
        np.testing.assert_array_equal(batch.segmentation_BHW["score-argmax"], logits.argmax(axis=1))
        np.testing.assert_array_equal(batch.segmented_BHW, np.where(nodata, 255, logits.argmax(axis=1)))
    assert any(batch.nodata_BHW.any() for batch in batches)


def test_presence_is_the_logit_of_valid_pixels_alone(trained: Trained) -> None:
    network, config, store, _, _ = trained
    (batch,) = predicted(trained, [0, 1])
    (forward,) = forward_batches(network, config, store, np.array([0, 1]), CPU)
    np.testing.assert_array_equal(batch.logits_BK, forward[2].output.logits_BK.numpy())
    assert not forward[2].valid_BHW[0].all()


def test_outputs_that_are_not_finite_are_refused(trained: Trained) -> None:
    network, config, store, run, _ = trained
    broken, _ = load_network(run, CPU)
    torch.nn.init.constant_(broken.dense.weight, torch.inf)
    segmenter = Segmenter(unfitted(network.dense.bias.tolist()), "cam-argmax")
    with pytest.raises(DataError, match="outputs are not finite: its training diverged"):
        next(iter(predict_patches(broken, config, store, np.array([0]), CPU, segmenter)))
    method = replace(segmenter.method, temperature=1e-44)  # finite activations that overflow once they are calibrated
    with pytest.raises(DataError, match="outputs are not finite"):
        next(iter(predict_patches(network, config, store, np.array([0]), CPU, Segmenter({method.name: method}, method.name))))


def test_another_store_or_none_is_named(trained: Trained, tmp_path: Path) -> None:
    _, config, _, run, _ = trained
    with pytest.raises(DataError, match=r"the store .*gone.zarr, which is missing; pass its path with --store"):
        open_trained_store(run, config, tmp_path / "gone.zarr")
    make_store(tmp_path / "other.zarr", count=20, size_px=12, seed=4)
    with pytest.raises(DataError, match=r"other.zarr is store .*: split_seed: 0 against 4"):
        open_trained_store(run, config, tmp_path / "other.zarr")
