"""A run as ONNX and as a torch program: the same answers, for any number of patches, with nothing of ours needed."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
import zarr

from cropcam.cli import main
from cropcam.model.data.normalization import Normalization, standardise
from cropcam.model.evaluation.evaluate import evaluate
from cropcam.model.inference import export
from cropcam.model.inference.export import export_model
from cropcam.model.inference.patch_program import PatchProgram
from cropcam.model.networks import build
from cropcam.model.runs.checkpoint import load_network
from cropcam.model.segmentation.methods import Segmenter, unfitted
from cropcam.model.segmentation.predictions import predict_patches
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.grid import Window
from cropcam.pipeline.store.patch_store import open_store
from support.rasters import write_raster
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
    dn_BCHW = torch.randint(0, 60000, (patches, 7, 9, 9), generator=torch.Generator().manual_seed(1)).to(torch.uint16)
    with torch.no_grad():
        return dn_BCHW, [tensor.numpy() for tensor in PatchProgram(network, config)(dn_BCHW)]


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
    export_model(tmp_path / "run", tmp_path / "model.pt2", outputs="patches")
    program = torch.export.load(io.BytesIO((tmp_path / "model.pt2").read_bytes()))
    dn_BCHW = torch.from_numpy(store.images(np.arange(12)))
    with torch.no_grad():
        logits_BK, maps_BKHW = program.module()(dn_BCHW)
    np.testing.assert_allclose(logits_BK.numpy(), ours.logits_BK, atol=1e-3)
    np.testing.assert_allclose(maps_BKHW.numpy(), ours.cams_BKHW, atol=1e-4)


def session_of(path: Path) -> Any:
    return pytest.importorskip("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])


def test_onnx_of_patches(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    line = export_model(run, tmp_path / "model.onnx", outputs="patches")
    assert line.startswith(f"{tmp_path / 'model.onnx'}: ")
    assert ", logits and maps, within " in line
    session = session_of(tmp_path / "model.onnx")
    assert session.get_modelmeta().custom_metadata_map["classes"] == "background,corn,soybean,forest,grassland"
    dn_BCHW, outputs = expected(run, 5)
    for ours, theirs in zip(outputs, session.run(["logits", "maps"], {"dn": dn_BCHW.numpy()}), strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=1e-3, atol=1e-3 * np.abs(ours).max())


def test_onnx_has_the_class_of_the_map_at_every_pixel_of_a_raster(tmp_path: Path) -> None:
    """The run's own method, refined at class boundaries and calibrated, over a raster whose sides are no multiple of anything."""
    pytest.importorskip("onnxscript")
    info = make_store(tmp_path / "patches.zarr", count=60, size_px=30, nodata_share=0.1)
    torch.manual_seed(3)
    make_run(tmp_path / "run", tmp_path / "patches.zarr", info, build("fcn", 7, 5), model="fcn", labels="shares", loss="shares")
    evaluate(tmp_path / "run", split="train", device="cpu")
    assert json.loads((tmp_path / "run" / "segment.json").read_text())["default"] == "spectral"
    window = Window(0, 0, 47, 418)  # 42 patches in a row
    dn_CYX = zarr.open_array(tmp_path / "patches.zarr" / "image", mode="r")[(slice(None), *window.slices)]
    image = write_raster(tmp_path / "image.tif", dn_CYX, info.patch_grid.pixels.window(window), nodata=0)
    words = [
        "map",
        str(tmp_path / "run"),
        "--image",
        str(image),
        "--out",
        str(tmp_path / "map.tif"),
        "--probabilities",
        str(tmp_path / "p.tif"),
    ]
    assert main([*words, "--device", "cpu"]) == 0
    export_model(tmp_path / "run", tmp_path / "model.onnx")
    session = session_of(tmp_path / "model.onnx")
    assert [(value.name, value.type, value.shape[1:]) for value in session.get_inputs()] == [
        ("dn", "tensor(uint16)", [7, "height", "width"])
    ]
    probability_BKYX, class_BYX = session.run(["probabilities", "classes"], {"dn": dn_CYX[None]})
    with rasterio.open(tmp_path / "map.tif") as file, rasterio.open(tmp_path / "p.tif") as shares:
        np.testing.assert_array_equal(class_BYX[0], file.read(1))
        per_cent = shares.read()
    assert len(np.unique(class_BYX)) > 2
    valid = class_BYX[0] != 255
    np.testing.assert_allclose(probability_BKYX[0][:, valid] * 250, per_cent[:, valid], atol=2.0)  # rounded so that the map is their argmax


def test_program(run: Path, tmp_path: Path) -> None:
    line = export_model(run, tmp_path / "model.pt2", outputs="patches")
    assert ", logits and maps, within 0 of" in line
    extra = {"cropcam.json": ""}
    program = torch.export.load(io.BytesIO((tmp_path / "model.pt2").read_bytes()), extra_files=extra)
    assert json.loads(extra["cropcam.json"])["model"] == "unet"
    dn_BCHW, outputs = expected(run, 4)
    with torch.no_grad():
        for ours, theirs in zip(outputs, program.module()(dn_BCHW), strict=True):
            np.testing.assert_allclose(theirs.numpy(), ours, rtol=1e-4, atol=1e-4 * np.abs(ours).max())


def test_an_export_that_answers_otherwise_is_not_written(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        export, "_torch_program", lambda program, _dn, _about: (b"x", lambda dn: (program.module(dn)[0] + 1, program.module(dn)[1]))
    )
    with pytest.raises(DataError, match=r"model\.pt2: its outputs differ from the network.*; nothing was written"):
        export_model(run, tmp_path / "model.pt2", outputs="patches")
    assert not list(tmp_path.iterdir())


def test_another_ending_and_no_run(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--to model\.h5: does not fit the kind of the file \(model\); end the name in \.onnx or \.pt2"):
        export_model(run, Path("model.h5"))
    with pytest.raises(DataError, match=r"no run folder"):
        export_model(tmp_path / "nowhere", tmp_path / "model.pt2")
