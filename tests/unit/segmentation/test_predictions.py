"""Predictions over patches of a store: order, nodata, truth, and the store of a run."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from cropcam.model.networks import Network, build
from cropcam.model.networks.cam import pixel_maps
from cropcam.model.runs.config import RunConfig
from cropcam.model.segmentation import predictions
from cropcam.model.segmentation.methods import Segmenter, unfitted
from cropcam.model.segmentation.predictions import open_trained_store, predict_patches
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.legend import UNLABELLED
from cropcam.pipeline.store.schema import StoreInfo, open_store
from support.runs import make_config
from support.stores import make_store

CPU = torch.device("cpu")


def untrained() -> Network:
    torch.manual_seed(0)
    return build("baseline", 7, 5).eval()


def segmenter_of(network: Network) -> Segmenter:
    return Segmenter(unfitted(network.dense.bias.tolist()), "cam-argmax")


def test_predictions_are_those_of_the_network_in_the_given_order(store: Path, info: StoreInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictions, "BATCH_PATCHES", 4)
    network, dataset, config = untrained(), open_store(store)[0], make_config(store, info)
    patches = np.array([7, 2, 3, 29, 0, 11])
    parts = list(predict_patches(network, config, dataset, patches, CPU, segmenter_of(network)))
    assert [part.patches_B.tolist() for part in parts] == [[7, 2, 3, 29], [0, 11]]
    dn = dataset["image"].to_numpy()[patches].astype(np.float64)
    mean, std = (np.array(values)[:, None, None] for values in (config.store.mean, config.store.std))
    x = torch.from_numpy(((dn * 2.75e-5 - 0.2 - mean) / std).clip(-6, 6) * (dn > 0)).float()
    with torch.no_grad():
        output = network(x, torch.from_numpy((dn > 0).all(axis=1)))
    logits_BK = np.concatenate([part.logits_BK for part in parts])
    np.testing.assert_allclose(logits_BK, output.logits_BK.numpy(), rtol=1e-3, atol=1e-4)
    cams = pixel_maps(network, output.maps_BFhw, 12, 12).detach().numpy()
    np.testing.assert_allclose(np.concatenate([part.cams_BKHW for part in parts]), cams, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(parts[0].segmentation_BHW["cam-argmax"], parts[0].cams_BKHW.argmax(axis=1))
    truth = info.classes.index(dataset["label"].to_numpy()[patches])
    np.testing.assert_array_equal(np.concatenate([part.truth_BHW for part in parts]), np.where((dn > 0).all(axis=1), truth, UNLABELLED))


def test_pixels_without_image_data_have_neither_truth_nor_class(tmp_path: Path) -> None:
    info = make_store(tmp_path / "s.zarr", count=12, size_px=8, nodata_share=0.5)
    dataset, network = open_store(tmp_path / "s.zarr")[0], untrained()
    (part,) = predict_patches(network, make_config(tmp_path / "s.zarr", info), dataset, np.arange(12), CPU, segmenter_of(network))
    nodata = (dataset["image"].to_numpy() == 0).any(axis=1)
    assert nodata.any()
    np.testing.assert_array_equal(part.nodata_BHW, nodata)
    assert (part.truth_BHW[nodata] == UNLABELLED).all()
    assert (part.segmented_BHW[nodata] == UNLABELLED).all()
    assert (part.segmented_BHW[~nodata] < 5).all()


def test_outputs_that_are_not_finite_are_refused(store: Path, info: StoreInfo) -> None:
    network = untrained()
    torch.nn.init.constant_(network.dense.bias, torch.nan)
    with pytest.raises(DataError, match=r"the network's outputs are not finite: its training diverged"):
        list(predict_patches(network, make_config(store, info), open_store(store)[0], np.arange(2), CPU, segmenter_of(untrained())))


def test_a_moved_store_is_opened_and_another_one_refused(store: Path, info: StoreInfo, tmp_path: Path) -> None:
    config: RunConfig = make_config(tmp_path / "gone.zarr", info)
    with pytest.raises(DataError, match=r"was trained on the store .*gone\.zarr, which is missing; pass its path with --store"):
        open_trained_store(tmp_path, config)
    shutil.copytree(store, tmp_path / "moved.zarr")
    assert open_trained_store(tmp_path, config, tmp_path / "moved.zarr")[1] == info
    make_store(tmp_path / "other.zarr", count=14, size_px=12)
    with pytest.raises(
        DataError, match=rf"was trained on store {info.digest[:12]}, .*other\.zarr is store .*: .* \(and \d+ more\); pass the right"
    ):
        open_trained_store(tmp_path, config, tmp_path / "other.zarr")
