"""A run that has learned its store, for the tests of shift."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from cropcam.model.networks import Network
from cropcam.model.runs.checkpoint import load_network
from cropcam.model.runs.config import RunConfig
from cropcam.model.transfer.seen import Seen, seen_by
from support.runs import train
from support.stores import make_store

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Home:
    """A trained run, its store, and what it has seen."""

    store: Path
    run: Path
    network: Network
    config: RunConfig
    seen: Seen


@pytest.fixture(scope="package")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("home")
    store, run = folder / "patches.zarr", folder / "run"
    make_store(store, count=80, size_px=16)
    settings = {"model": "fcn", "labels": "pixels", "epochs": 4, "batch_size": 8, "precision": "fp32", "seed": 0}
    train(store, run, device="cpu", **settings)
    network, config = load_network(run, CPU)
    return Home(store, run, network, config, seen_by(run, network, config, CPU))
