"""The run folder: its configuration, its environment, and checkpoints that need no pickle.

RUN/config.json          what was trained, on what, how: enough to rebuild the network and its labels
RUN/environment.json     versions, platform, device
RUN/history.csv          one line per epoch
RUN/last.safetensors     weights, optimiser state and epoch: where `--resume` goes on
RUN/best.safetensors     the weights with the lowest validation loss: what `evaluate`, `map` and `report` use
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from model.networks import Network, build
from pipeline.errors import DataError
from pipeline.legend import Legend

CONFIG, LAST, BEST, HISTORY = "config.json", "last.safetensors", "best.safetensors", "history.csv"


@dataclass(frozen=True)
class RunConfig:
    """What was trained, on what, how. `mean` and `std` are reflectance per band over the training split."""

    study: str
    store: str
    store_digest: str
    model: str
    labels: str
    presence_min_share: float
    bands: tuple[str, ...]
    classes: Legend
    size_px: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    seed: int
    code_version: str

    def to_json(self) -> dict[str, Any]:
        """The configuration as JSON values."""
        return {**asdict(self), "classes": self.classes.attrs(), "bands": list(self.bands), "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> RunConfig:
        """The inverse of `to_json`."""
        lists = {key: tuple(values[key]) for key in ("bands", "mean", "std")}
        return cls(**{**values, **lists, "classes": Legend.from_attrs(values["classes"])})


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that `path` holds the old content or the new, never a part."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write tensors as safetensors, atomically.

    Raises:
        OSError: the disk says no; what was at `path` before is still there.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, aside, metadata)
        except SafetensorError as error:  # it wraps the disk's answer
            raise OSError(f"{path}: cannot be written: {error}") from None
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a checkpoint, on the CPU.

    Raises:
        DataError: absent or damaged.
    """
    if not path.is_file():
        raise DataError(f"{path}: no checkpoint; train the run first: cropcam train STORE --run {path.parent}")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(f"{path}: damaged checkpoint ({error}); delete it and train again") from None


def load_config(run: Path) -> RunConfig:
    """The configuration of a run folder.

    Raises:
        DataError: no run folder, or a damaged configuration.
    """
    path = run / CONFIG
    if not path.is_file():
        raise DataError(f"{run}: no run folder (no {CONFIG} in it); make one with 'cropcam train STORE --run {run}'")
    try:
        return RunConfig.from_json(json.loads(path.read_text("utf-8")))
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: damaged ({error}); train the run again") from None


def load_network(run: Path, device: torch.device) -> tuple[Network, RunConfig]:
    """The run's best network, in evaluation mode on `device`, and its configuration.

    Raises:
        DataError: no run folder, no checkpoint, a damaged one, or one of another network.
    """
    config = load_config(run)
    tensors, _ = load_tensors(run / BEST)
    network = build(config.model, len(config.bands), len(config.classes))
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise DataError(f"{run / BEST}: not the weights of a {config.model} ({str(error).splitlines()[0]}); train the run again") from None
    return network.to(device).eval(), config


def file_digest(path: Path) -> str:
    """sha256 (hex) of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
