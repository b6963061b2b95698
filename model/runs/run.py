"""A trained run as an object: settings, history, network and metrics."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from cropcam.model.networks import Network
from cropcam.model.runs import history
from cropcam.model.runs.checkpoint import HISTORY, METRICS, load_network
from cropcam.model.runs.config import RunConfig, load_config
from cropcam.pipeline.runtime.terminal import quoted
from cropcam.pipeline.text_files import read_json_object


@dataclass(frozen=True)
class Run:
    """A run folder.

    Raises:
        DataError: no run folder, or a damaged configuration.
    """

    folder: Path  # path of the run folder

    def __post_init__(self) -> None:
        _ = self.config

    @cached_property
    def config(self) -> RunConfig:
        """Settings and store."""
        return load_config(self.folder)

    @property
    def history(self) -> pd.DataFrame:
        """One row per epoch: losses, accuracies and seconds.

        Raises:
            DataError: no epoch is complete, or the file is damaged.
        """
        return history.table(self.folder / HISTORY)

    @property
    def metrics(self) -> dict[str, Any] | None:
        """The content of metrics.json; None before `evaluate`."""
        path = self.folder / METRICS
        return read_json_object(path, "metrics", step=f"evaluate again: cropcam evaluate {quoted(self.folder)}") if path.is_file() else None

    def network(self, device: str = "cpu") -> Network:
        """The network of the selected epoch, in evaluation mode.

        Raises:
            ConfigError: the network is not built in and cannot be imported.
            DataError: no checkpoint, or a damaged one.
        """
        return load_network(self.folder, torch.device(device))[0]

    def to_dict(self) -> dict[str, Any]:
        """Folder, configuration, history and metrics as JSON values."""
        rows = json.loads(self.history.to_json(orient="records"))
        return {"folder": str(self.folder), "config": self.config.to_json(), "history": rows, "metrics": self.metrics}
