"""Run folders without training, for the tests of maps."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from cropcam.model.networks import Network, build
from cropcam.model.networks.cam import activation_maps
from cropcam.model.options import SECTIONS, Settings
from cropcam.model.runs.checkpoint import BEST, save_tensors
from cropcam.model.runs.config import CONFIG, RunConfig, StoreRecord
from cropcam.model.segmentation.methods import Method
from cropcam.pipeline.encoding import OFFSET, SCALE, BandEncoding
from cropcam.pipeline.runtime.atomic import atomic_write
from cropcam.pipeline.store.schema import StoreInfo
from cropcam.pipeline.study.study import Study
from support.memory_source import LEGEND
from support.stores import store_info

BANDS = ("SR_B4", "SR_B5", "SR_B6")
ENCODING = BandEncoding.uniform("uint16", len(BANDS), SCALE, OFFSET, 0.0)

AFFINE = Method("prior-matched", (1.0, 0.5, 2.0, 0.0, 1.0), (0.1, -0.3, 0.0, 0.2, 0.4), temperature=1.7)
SPECTRA = Method(
    "spectral",
    (1.0,) * len(LEGEND),
    (0.0,) * len(LEGEND),
    mean_KC=tuple((float(k), -0.5 * k, 0.3) for k in range(len(LEGEND))),
    cov_CC=((1.0, 0.2, 0.0), (0.2, 0.5, 0.1), (0.0, 0.1, 2.0)),
    temperature=1.3,
)


def make_config(size_px: int = 16, seed: int = 0, model: str = "baseline") -> RunConfig:
    """A configuration; for `fcn-time` the three bands are those of three seasons."""
    takes_seasons = model == "fcn-time"
    record = StoreRecord(
        study="made-up",
        path="made-up.zarr",
        digest="5" * 64,
        bands=BANDS,
        encoding=ENCODING,
        classes=LEGEND,
        size_px=size_px,
        mean=(0.1, 0.3, 0.2),
        std=(0.05, 0.1, 0.08),
        attrs={"study": {"image": {"seasons": [["2023-05-01", "2023-06-01"]] * len(BANDS)}}} if takes_seasons else {},
    )
    options = "season_days=122/183/253" if takes_seasons else ""
    settings = Settings(
        model=model, model_options=options, loss="bce", epochs=1, batch_size=4, weight_decay=0.0, seed=seed, precision="fp32"
    )
    sections: dict[str, Any] = {name: settings.section(kind) for name, kind in SECTIONS.items()}
    return RunConfig(**sections, store=record, code_version="0.0.0")


def with_attrs(config: RunConfig, info: StoreInfo) -> RunConfig:
    """The configuration of a run on a store with these attributes."""
    return replace(config, store=replace(config.store, attrs=info.attrs()))


def info_of(study: Study, size_px: int = 50) -> StoreInfo:
    """The metadata of a store of a whole study."""
    return store_info(study, study.grid, BandEncoding.uniform("uint16", len(study.image.layers), SCALE, OFFSET, 0.0), size_px=size_px)


def make_run(path: Path, network: Network, config: RunConfig) -> Path:
    """A run folder as training leaves it, as far as a map needs it."""
    path.mkdir(parents=True, exist_ok=True)
    save_tensors(path / BEST, network.state_dict(), {"epoch": "0"})
    atomic_write(path / CONFIG, json.dumps(config.to_json()))
    return path


def random_network(seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return build("baseline", len(BANDS), len(LEGEND)).eval()


class OfPatches(Network):
    """A small network whose maps depend on the whole patch, so it has no `context_px`."""

    stride = 2

    def __init__(self, bands: int, classes: int) -> None:
        super().__init__()
        self.features = torch.nn.Sequential(torch.nn.Conv2d(bands, 8, 3, padding=1), torch.nn.BatchNorm2d(8), torch.nn.AvgPool2d(2))
        self.dense = torch.nn.Linear(8, classes)

    def maps(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        maps_BFhw = self.features(x_BCHW)
        return maps_BFhw + maps_BFhw.amax(dim=(2, 3), keepdim=True)  # type: ignore[no-any-return]


OF_PATCHES = f"{OfPatches.__module__}:{OfPatches.__name__}"


def as_trained(config: RunConfig, seed: int = 0) -> Network:
    """A network whose batch norms have statistics and gains as after a training, and whose activations are of the order of 2."""
    torch.manual_seed(seed)
    network = config.new_network()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for values, low, high in ((module.running_var, 0.5, 2.0), (module.weight, 0.5, 1.5), (module.running_mean, -0.5, 0.5)):
                assert values is not None
                values.data.uniform_(low, high)
            module.bias.data.uniform_(-0.5, 0.5)
    network.eval()
    with torch.inference_mode():
        cams = activation_maps(network.maps(torch.randn(2, len(BANDS), 24, 24)), network.dense.weight)
        network.dense.weight.data *= 2 / cams.std()
    return network


def sign_network() -> Network:
    """Class 1 where the first band lies above its mean, class 2 where below: every convolution hands its centre on."""
    network = random_network()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        weights = [module.weight for module in network.modules() if isinstance(module, torch.nn.Conv2d)]
        weights[0][0, 0, 1, 1], weights[0][1, 0, 1, 1] = 1.0, -1.0
        for weight in weights[1:]:
            weight[0, 0, 1, 1] = weight[1, 1, 1, 1] = 1.0
        network.dense.weight[1, 0] = network.dense.weight[2, 1] = 1.0
    return network


def random_dn(rng: np.random.Generator, height: int, width: int, nodata_share: float = 0.0) -> npt.NDArray[np.uint16]:
    """DN about the statistics of `make_config`, smooth over some pixels, with a rectangle of nodata."""
    coarse = rng.normal(0, 1, (len(BANDS), height // 5 + 1, width // 5 + 1)).repeat(5, axis=1).repeat(5, axis=2)[:, :height, :width]
    config = make_config()
    mean, std = (np.array(values)[:, None, None] for values in (config.store.mean, config.store.std))
    dn = np.floor((mean + std * coarse - OFFSET) / SCALE + 0.5).clip(1, 65535).astype(np.uint16)
    dn[:, : round(height * nodata_share), : round(width * nodata_share)] = 0
    return dn
