"""The example of docs/networks.md, installed as a package: trained, resumed, evaluated, mapped, exported; one line where it is not as required."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from safetensors.torch import save_file

from cropcam.cli import main
from cropcam.model.networks import build
from cropcam.model.runs.checkpoint import BEST, LAST, load_network, load_tensors
from cropcam.model.runs.config import load_config
from support.packages import SMALL, forget, install
from support.stores import make_store

PAGE = (Path(__file__).parents[2] / "docs" / "networks.md").read_text("utf-8")


def block(kind: str) -> str:
    return PAGE.split(f"```{kind}\n")[1].split("```")[0]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where pip has installed the page's package."""
    source, target = tmp_path_factory.mktemp("cropnets"), tmp_path_factory.mktemp("site")
    (source / "cropnets.py").write_text(block("python"))
    (source / "pyproject.toml").write_text(block("toml"))
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
    ]
    subprocess.run([*pip, "--target", str(target), str(source)], check=True, timeout=300)
    return target


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "patches.zarr"
    make_store(path, count=30, size_px=13, nodata_share=0.3)
    return path


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget(monkeypatch, "cropnets")
    monkeypatch.syspath_prepend(site)


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """Weights of the example's encoder alone."""
    torch.manual_seed(9)
    block = [torch.nn.Conv2d(3, 16, 3, padding=1), torch.nn.BatchNorm2d(16), torch.nn.ReLU(), torch.nn.MaxPool2d(2)]
    layers = torch.nn.Sequential(*block, torch.nn.Conv2d(16, 32, 3, padding=1))
    save_file(layers.state_dict(), tmp_path / "encoder.safetensors")
    return tmp_path / "encoder.safetensors"


def call(*words: object) -> int:
    return main([str(word) for word in words])


def train(store: Path, run: Path, *words: object) -> int:
    return call("train", store, "--run", run, "--device", "cpu", "--batch-size", 9, *words)


def test_the_example_is_short() -> None:
    assert len([line for line in block("python").splitlines() if line.strip()]) <= 20


@pytest.mark.usefixtures("installed")
def test_the_whole_way(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    run = tmp_path / "run"
    words = re.search(r"--run RUN (--model encoded .*)", PAGE)
    assert words is not None
    assert train(store, run, *words[1].split()) == 0
    assert train(store, run, "--epochs", 2, "--resume") == 0
    config = load_config(run)
    assert (config.network.model, config.network.model_options, config.network_package) == ("encoded", "width=24", "cropnets==1.0")
    assert (config.optimizer.lr, config.optimizer.schedule, config.optimizer.epochs) == (0.003, "cosine", 2)
    assert call("evaluate", run, "--device", "cpu") == 0
    assert json.loads((run / "metrics.json").read_text())["segmentation"]["default"] == "score-argmax"
    assert call("map", run, "--store", store, "--out", tmp_path / "map.tif", "--device", "cpu") == 0
    with rasterio.open(tmp_path / "map.tif") as file:
        assert file.tags()["model"] == "encoded"
        assert set(np.unique(file.read(1))) <= {0, 1, 2, 3, 4, 255}
    for name, outputs in (("model.onnx", "patches"), ("model.pt2", "map")):
        assert call("export-model", run, "--to", tmp_path / name, "--outputs", outputs) == 0
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    assert {output.name: len(output.shape) for output in session.get_outputs()} == {"logits": 2, "maps": 4}
    assert call("report", run) == 0
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.usefixtures("installed")
def test_a_pretrained_encoder_stays_frozen_through_a_resumed_run(
    store: Path, tmp_path: Path, encoder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    words = ("--model", "cropnets:Encoded", "--init", encoder, "--freeze", "encoder", "--labels", "pixels")
    assert train(store, run, *words, "--epochs", 1) == 0
    err = capsys.readouterr().err
    assert f"--init {encoder}: 9 of the network's 23 tensors taken, below encoder; new: stem.layers.0.0.weight, " in err
    assert "--freeze encoder: " in err
    before, _ = load_tensors(run / BEST)
    pretrained, _ = load_tensors(encoder)
    encoder.unlink()
    assert train(store, run, *words, "--epochs", 2, "--resume") == 0
    assert "tensors taken" not in capsys.readouterr().err
    after, _ = load_tensors(run / LAST)
    for name, tensor in pretrained.items():
        assert torch.equal(after[f"network.encoder.{name}"], tensor), name
        assert torch.equal(before[f"encoder.{name}"], tensor), name
    assert not torch.equal(after["network.stem.layers.0.0.weight"], before["stem.layers.0.0.weight"])
    assert load_network(run, torch.device("cpu"))[0].stride == 2


@pytest.mark.usefixtures("installed")
def test_where_the_package_is_gone_it_is_named(
    store: Path, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    named, of_class = tmp_path / "named", tmp_path / "of_class"
    assert train(store, named, "--model", "encoded", "--epochs", 1) == 0
    assert train(store, of_class, "--model", "cropnets:Encoded", "--epochs", 1) == 0
    forget(monkeypatch, "cropnets")
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(site)])
    capsys.readouterr()
    for command in (
        ("evaluate", named, "--device", "cpu"),
        ("map", named, "--store", store, "--out", tmp_path / "map.tif"),
        ("export-model", named, "--to", tmp_path / "model.pt2"),
    ):
        assert call(*command) == 2
        line = capsys.readouterr().err.splitlines()[-1]
        assert re.match(r"cropcam: no network 'encoded'; known: baseline, .*; it was of cropnets==1\.0: pip install cropnets==1\.0$", line)
    assert call("evaluate", of_class, "--device", "cpu") == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(
        "cropcam: network cropnets:Encoded: there is no module 'cropnets'; pip install cropnets==1.0, or put its folder on"
    )


@pytest.mark.parametrize(
    ("code", "words", "exit_code", "message"),
    [
        ("1 / 0", (), 2, r"network 'own' of ownnets-nets 1\.2 \(ownnets:Small\): importing ownnets raised ZeroDivisionError: division by zero"),
        (SMALL.replace("stride = 2", "stride = 4"), (), 2, r"network own: maps of patches \(2, 7, 13, 13\) .* expected \(2, 4, 3, 3\)"),
        (SMALL + "    def maps(self, x): return self.features(x) / 0 * 0\n", (), 2, r"network own: maps of random patches .* hold NaN"),
        (SMALL + "    def maps(self, x): return self.features(x).detach()\n", (), 2, r"network own: its maps have no gradient"),
        (SMALL.replace("(Network)", "(nn.Module)"), (), 2, r"network 'own' of .*: Small is not a subclass of cropcam\.model\.networks\.Network"),
        (SMALL, ("--model-options", "widht=3"), 2, r"--model-options widht=3: the network own has no option 'widht'"),
        (SMALL, ("--freeze", "encoder"), 2, r"--freeze encoder: no parameter of the network .*; its parts are features, dense"),
        (SMALL, ("--init", "FCN"), 3, r"--init .*: weights of another architecture: none of its \d+ tensors"),
        (SMALL, ("--init", "absent.safetensors"), 2, r"--init absent\.safetensors: No such file"),
    ],
)  # fmt: skip
def test_one_line_and_no_run(
    code: str,
    words: tuple[str, ...],
    exit_code: int,
    message: str,
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    install(monkeypatch, tmp_path / "site", "ownnets", code, {"own": "ownnets:Small"})
    if "FCN" in words:
        save_file(build("fcn", 3, 5).state_dict(), tmp_path / "fcn.safetensors")
        words = ("--init", str(tmp_path / "fcn.safetensors"))
    assert train(store, tmp_path / "run", "--model", "own", *words) == exit_code
    lines = capsys.readouterr().err.splitlines()
    assert re.match(rf"cropcam: {message}", lines[-1])
    assert not any("Traceback" in line for line in lines)
    assert not (tmp_path / "run" / "config.json").exists()


def test_a_network_that_torch_cannot_export(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    branching = SMALL + "    def maps(self, x): return self.features(x) if x.sum() < 1e9 else -self.features(x)\n"
    install(monkeypatch, tmp_path / "site", "ownnets", branching)
    assert train(store, tmp_path / "run", "--model", "ownnets:Small", "--epochs", 1) == 0
    capsys.readouterr()
    assert call("export-model", tmp_path / "run", "--to", tmp_path / "model.pt2") == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("cropcam: network ownnets:Small: torch cannot export it: ")
    assert not (tmp_path / "model.pt2").exists()
