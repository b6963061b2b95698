"""Run folders for tests: a network with given or random weights on a store, without a training loop of the product."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from cropcam.model.networks import Network, build
from cropcam.model.runs.checkpoint import BEST, CONFIG, HISTORY, RunConfig, save_tensors
from cropcam.pipeline.store.schema import StoreInfo

HISTORY_CSV = """epoch,train_loss,train_accuracy,validation_loss,validation_accuracy
1,0.70,0.55,0.66,0.61
2,0.52,0.72,0.50,0.74
3,0.41,0.80,0.47,0.78
4,0.33,0.86,0.52,0.77
"""


def make_config(store: Path, info: StoreInfo, presence_min_share: float = 0.05, model: str = "baseline") -> RunConfig:
    """What `train` would write for that store."""
    return RunConfig(
        study=info.name,
        store=str(store),
        store_digest=info.digest,
        model=model,
        labels="presence",
        presence_min_share=presence_min_share,
        bands=info.bands,
        classes=info.classes,
        size_px=info.patch_size_px,
        mean=tuple(info.statistics["mean"]),
        std=tuple(info.statistics["std"]),
        epochs=4,
        batch_size=16,
        lr=1e-3,
        weight_decay=0.0,
        seed=7,
        code_version=info.code_version,
        store_attrs=info.attrs(),
    )


def make_run(
    run: Path,
    store: Path,
    info: StoreInfo,
    network: Network | None = None,
    presence_min_share: float = 0.05,
    model: str = "baseline",
    **told: Any,
) -> RunConfig:
    """A run folder as `train` leaves it; without a network a random one from a fixed seed."""
    config = replace(make_config(store, info, presence_min_share, model), **told)
    if network is None:
        torch.manual_seed(0)
        network = build(config.model, len(config.bands), len(config.classes))
    run.mkdir(parents=True, exist_ok=True)
    (run / CONFIG).write_text(json.dumps(config.to_json()))
    (run / HISTORY).write_text(HISTORY_CSV)
    (run / "environment.json").write_text(json.dumps({"python": "3.11.9", "torch": torch.__version__, "device": "cpu"}))
    save_tensors(run / BEST, network.state_dict(), {"epoch": "3"})
    return config
