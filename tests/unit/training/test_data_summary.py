"""Warnings about uninformative labels, and the log lines before training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from cropcam.model.data.dataset import read_split
from cropcam.model.labels.weak_labels import WeakLabels
from cropcam.model.training.data_summary import log_data_summary, uninformative_labels
from cropcam.pipeline.legend import UNLABELLED
from cropcam.pipeline.store.patch_store import PatchStore, open_store
from cropcam.pipeline.store.schema import StoreInfo
from support.runs import make_config


def test_constant_and_absent_classes_are_reported() -> None:
    never, always = "no training label is rice: it cannot be learned", "the training labels are corn for 100.0%"
    pixels = np.full((2, 3, 3), UNLABELLED, np.uint8)
    pixels[:, 0, 0] = 1
    for labels in (WeakLabels("majority", np.array([[0, 1, 0]] * 4, np.float32)), WeakLabels("points", pixel_NHW=pixels)):
        lines = list(uninformative_labels(labels, ("background", "corn", "rice")))
        assert never in lines
        assert any(line.startswith(always) for line in lines)
    assert not list(uninformative_labels(WeakLabels("shares", np.full((4, 3), 1 / 3, np.float32)), ("background", "corn", "rice")))


def test_classes_present_in_every_patch_are_reported() -> None:
    names = ("background", "corn", "rice")
    message = "nearly every training patch has {}: these labels do not locate them".format
    for present, expected in (
        ([1, 0, 0], None),
        ([1, 1, 0], message("background and corn")),
        ([1, 1, 1], message("background, corn and rice")),
    ):
        image = np.array([present] * 9 + [[1, 1, 1]] * 9, np.float32)
        lines = list(uninformative_labels(WeakLabels("presence", image), names))
        assert [line for line in lines if line.startswith("nearly every")] == ([expected] if expected else [])


def test_the_summary_counts_patches_and_bags_and_warns(store: Path, info: StoreInfo) -> None:
    opened = open_store(store)
    config = make_config(store, info, labels="shares", loss="shares", bag_size=6, batch_size=4, passes=1)
    train_split, validation = (read_split(opened, split, config.label_spec, info.classes) for split in ("train", "validation"))
    lines: list[str] = []
    constant = replace(info, statistics=info.statistics | {"std": [0.0, *info.statistics["std"][1:]]})
    log_data_summary(PatchStore(store, constant), train_split, validation, config, lines.append)
    assert lines[0].startswith(
        "18 train, 6 validation, 6 test patches; shares of 3 bags of patches; the best constant prediction agrees with 0.7485"
    )
    assert lines[1:] == [
        "20 steps in 4 epochs over 18 patches",
        "warning: a step has 4 patches of a bag of 6, whose proportions differ from the bag's",
        f"warning: band {info.bands[0]} is constant over the training split: it carries no information",
    ]
    lines.clear()
    log_data_summary(opened, train_split, validation, config.changed(batch_size=99), lines.append)
    assert lines[2:] == ["warning: --batch-size 99 is more than the 18 training patches: one step per epoch"]
