"""Run folders for tests: a network with given or random weights on a store, without a training loop of the product."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from cropcam.model.networks import Network, build
from cropcam.model.options import SECTIONS, Settings
from cropcam.model.runs.checkpoint import BEST, HISTORY, save_tensors
from cropcam.model.runs.config import CONFIG, RunConfig, StoreRecord
from cropcam.model.training import train as train_module
from cropcam.pipeline.store.schema import StoreInfo

HISTORY_CSV = """epoch,train_loss,train_accuracy,validation_loss,validation_accuracy
1,0.70,0.55,0.66,0.61
2,0.52,0.72,0.50,0.74
3,0.41,0.80,0.47,0.78
4,0.33,0.86,0.52,0.77
"""


def make_config(store: Path, info: StoreInfo, **settings: Any) -> RunConfig:
    """The configuration that `train` writes for that store; presence labels above 5 %, the poster's network."""
    record = StoreRecord(
        study=info.name,
        path=str(store),
        digest=info.digest,
        bands=info.bands,
        encoding=info.encoding,
        classes=info.classes,
        size_px=info.patch_size_px,
        mean=tuple(info.statistics["mean"]),
        std=tuple(info.statistics["std"]),
        attrs=info.attrs(),
    )
    defaults = {
        "model": "baseline",
        "presence_min_share": 0.05,
        "epochs": 4,
        "batch_size": 16,
        "weight_decay": 0.0,
        "seed": 7,
        "loss": "bce",
    }
    passed = Settings(**{**defaults, "precision": "fp32", "data_loading": "memory", **settings})
    sections: dict[str, Any] = {name: passed.section(kind) for name, kind in SECTIONS.items()}
    return RunConfig(**sections, store=record, code_version=info.code_version)


def train(store: Path, run: Path, *, device: str = "auto", resume: bool = False, tensorboard: bool = False, **more: Any) -> RunConfig:
    """`cropcam.model.training.train.train` with settings as keywords; `progress` and `log` are passed on."""
    hooks = {name: more.pop(name) for name in ("progress", "log") if name in more}
    return train_module.train(store, run, Settings(**more), device=device, resume=resume, tensorboard=tensorboard, **hooks)


def make_run(
    run: Path,
    store: Path,
    info: StoreInfo,
    network: Network | None = None,
    **settings: Any,
) -> RunConfig:
    """A run folder as `train` leaves it; without a network a random one from a fixed seed."""
    config = make_config(store, info, **settings)
    if network is None:
        torch.manual_seed(0)
        network = build(config.network.model, len(config.store.bands), len(config.store.classes))
    run.mkdir(parents=True, exist_ok=True)
    (run / CONFIG).write_text(json.dumps(config.to_json()))
    (run / HISTORY).write_text(HISTORY_CSV)
    (run / "environment.json").write_text(json.dumps({"python": "3.11.9", "torch": torch.__version__, "device": "cpu"}))
    save_tensors(run / BEST, network.state_dict(), {"epoch": "3"})
    return config
