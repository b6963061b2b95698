"""A teacher: a small network trained first on the same shares, whose answers, mended by those shares, are the labels of every pixel.

Shares alone teach a large network badly: they do not say where. A small one learns the classes from them, and what it says of the
training patches gets better still once each patch has as much of each class as its share says. From that a large network learns the shapes.
Axis suffixes: N patch, K class, H/W rows and columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr

from model.checkpoint import TEACHER, RunConfig, load_network
from model.data import Patches
from model.labels import Classes, Rule, WeakLabels
from model.losses import Targets
from model.scoring import BATCH_PATCHES, answers
from model.selflabels import mended_labels
from pipeline.store import split_indices

MODEL = "fcn"
_LABELS = tuple(item.name for item in fields(Rule) if item.name != "kind" and not item.name.endswith("_digest"))
_SAME = ("labels", *_LABELS, "epochs", "batch_size", "seed", "precision", "deterministic", "feed")


def teacher_settings(config: RunConfig) -> dict[str, Any]:
    """What the teacher of a run is told: the run's labels, epochs, seed and machine; the rest is its own recipe."""
    told = {name: getattr(config, name) for name in _SAME} | {"model": MODEL}
    return {name: value for name, value in told.items() if value is not None}


def taught(split: Patches, name: str, run: Path, dataset: xr.Dataset, device: torch.device) -> Patches:
    """A split whose pixels are labelled by the teacher of `run`.

    Args:
        split: with the shares of its patches or groups.
        name: train or validation.
        run: the run that is taught.
        dataset: the store.
        device: where the teacher works.

    Raises:
        DataError: the teacher's folder is damaged.
    """
    pixel_NHW = _pixels(split.labels, run / TEACHER, dataset, split_indices(dataset, name), device)
    return replace(split, labels=replace(split.labels, pixel_NHW=pixel_NHW))


def _pixels(labels: WeakLabels, teacher: Path, dataset: xr.Dataset, index_N: npt.NDArray[np.int64], device: torch.device) -> Classes:
    network, config = load_network(teacher, device)
    assert labels.image_NK is not None
    pixel_NHW = np.empty((len(index_N), config.size_px, config.size_px), np.uint8)
    for chosen in _whole_groups(labels.group_N, len(index_N)):
        with torch.inference_mode():
            said = [batch for _, _, batch in answers(network, config, dataset, index_N[chosen], device)]
            scores_BKHW, valid_BHW = torch.cat([one.scores_BKHW for one in said]), torch.cat([one.valid_BHW for one in said])
            group_B = None if labels.group_N is None else torch.from_numpy(labels.group_N[chosen]).to(device)
            targets = Targets(valid_BHW, torch.from_numpy(labels.image_NK[chosen]).to(device), group_B=group_B)
            pixel_NHW[chosen] = mended_labels(scores_BKHW, targets).to(torch.uint8).cpu().numpy()
    return pixel_NHW


def _whole_groups(group_N: npt.NDArray[np.int64] | None, count: int) -> Iterator[npt.NDArray[np.int64]]:
    """Places in turns of about `BATCH_PATCHES`; the patches of a group stay together."""
    order_N = np.arange(count) if group_N is None else np.argsort(group_N, kind="stable")
    turn_N = np.arange(count) // BATCH_PATCHES
    if group_N is not None:
        first_N = np.searchsorted(group_N[order_N], group_N[order_N])  # where each one's group begins
        turn_N = first_N // BATCH_PATCHES
    return iter(np.split(order_N, np.flatnonzero(np.diff(turn_N)) + 1))
