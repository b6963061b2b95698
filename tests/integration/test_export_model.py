"""A run as ONNX and as a torch program: the same answers, for any number of patches, with nothing of ours needed."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cropcam.model.data.normalization import Normalization, standardise
from cropcam.model.inference import export
from cropcam.model.inference.export import Exported, export_model
from cropcam.model.networks import build
from cropcam.model.runs.checkpoint import load_network
from cropcam.model.segmentation.methods import Segmenter, unfitted
from cropcam.model.segmentation.predictions import predict_patches
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.store.patch_store import open_store
from support.runs import make_run
from support.stores import make_store


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    info = make_store(folder / "patches.zarr", count=12, size_px=9)
    torch.manual_seed(3)
    make_run(folder / "run", folder / "patches.zarr", info, build("unet", 7, 5), model="unet")
    return folder / "run"


def expected(run: Path, patches: int) -> tuple[torch.Tensor, list[np.ndarray]]:
    network, config = load_network(run, torch.device("cpu"))
    dn_BCHW = torch.randint(0, 60000, (patches, 7, 9, 9), generator=torch.Generator().manual_seed(1)).float()
    with torch.no_grad():
        return dn_BCHW, [tensor.numpy() for tensor in Exported(network, config)(dn_BCHW)]


def test_the_file_standardises_as_the_run_does(run: Path) -> None:
    network, config = load_network(run, torch.device("cpu"))
    dn_BCHW, (logits_BK, _) = expected(run, 3)
    with torch.no_grad():
        expected_BK = network(standardise(dn_BCHW, Normalization.of(config, "cpu"))[0]).logits_BK.numpy()
    np.testing.assert_allclose(logits_BK, expected_BK, rtol=1e-5)


@pytest.mark.parametrize(
    ("labels", "loss"),
    [("presence", "bce"), ("presence", "lse"), ("shares", "shares")],
)
def test_the_file_says_of_presence_what_evaluate_says(labels: str, loss: str, tmp_path: Path) -> None:
    info = make_store(tmp_path / "patches.zarr", count=12, size_px=9, nodata_share=0.3)
    torch.manual_seed(3)
    settings = {"model": "fcn", "labels": labels, "loss": loss}
    config = make_run(tmp_path / "run", tmp_path / "patches.zarr", info, build("fcn", 7, 5), **settings)
    store = open_store(tmp_path / "patches.zarr")
    network, _ = load_network(tmp_path / "run", torch.device("cpu"))
    segmenter = Segmenter(unfitted(network.dense.bias.tolist()), "cam-argmax")
    ours = next(iter(predict_patches(network, config, store, np.arange(12), torch.device("cpu"), segmenter)))
    assert ours.nodata_BHW.any()
    export_model(tmp_path / "run", tmp_path / "model.pt2")
    program = torch.export.load(io.BytesIO((tmp_path / "model.pt2").read_bytes()))
    dn_BCHW = torch.from_numpy(store.images(np.arange(12)).astype(np.float32))
    with torch.no_grad():
        logits_BK, maps_BKHW = program.module()(dn_BCHW)
    np.testing.assert_allclose(logits_BK.numpy(), ours.logits_BK, atol=1e-3)
    np.testing.assert_allclose(maps_BKHW.numpy(), ours.cams_BKHW, atol=1e-4)


def test_onnx(run: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    line = export_model(run, tmp_path / "model.onnx")
    assert line.startswith(f"{tmp_path / 'model.onnx'}: ")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map["classes"] == "background,corn,soybean,forest,grassland"
    dn_BCHW, outputs = expected(run, 5)
    for ours, theirs in zip(outputs, session.run(["logits", "maps"], {"dn": dn_BCHW.numpy()}), strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=1e-3, atol=1e-3 * np.abs(ours).max())


def test_program(run: Path, tmp_path: Path) -> None:
    export_model(run, tmp_path / "model.pt2")
    extra = {"cropcam.json": ""}
    program = torch.export.load(io.BytesIO((tmp_path / "model.pt2").read_bytes()), extra_files=extra)
    assert json.loads(extra["cropcam.json"])["model"] == "unet"
    dn_BCHW, outputs = expected(run, 4)
    with torch.no_grad():
        for ours, theirs in zip(outputs, program.module()(dn_BCHW), strict=True):
            np.testing.assert_allclose(theirs.numpy(), ours, rtol=1e-4, atol=1e-4 * np.abs(ours).max())


def test_an_export_that_answers_otherwise_is_not_written(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_program", lambda model, _dn, _about: (b"x", lambda dn: (model(dn)[0] + 1, model(dn)[1])))
    with pytest.raises(DataError, match=r"model\.pt2: its outputs differ from the network.*; nothing was written"):
        export_model(run, tmp_path / "model.pt2")
    assert not list(tmp_path.iterdir())


def test_another_ending_and_no_run(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--to model\.h5: name a file that ends in \.onnx or \.pt2"):
        export_model(run, Path("model.h5"))
    with pytest.raises(DataError, match=r"no run folder"):
        export_model(tmp_path / "nowhere", tmp_path / "model.pt2")
