"""What a kind of label does not tell of the truth reaches neither weights nor temperatures, of any split: other hidden truth, the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from cropcam.model.data.dataset import read_labels
from cropcam.model.labels.derive import zorder_bags
from cropcam.model.runs.checkpoint import BEST
from cropcam.model.runs.config import RunConfig
from cropcam.model.segmentation.methods import SEGMENT
from cropcam.pipeline.legend import UNLABELLED
from cropcam.pipeline.store.patch_store import open_store
from cropcam.pipeline.store.schema import SPLITS
from support.runs import train
from support.store_parts import all_labels, replace_values
from support.stores import make_store, shares

MIN_SHARE = 0.1
KINDS: dict[str, dict[str, Any]] = {
    "presence": {"labels": "presence", "presence_min_share": MIN_SHARE},
    "any pixel": {"labels": "presence", "presence_min_share": 0.0},
    "majority": {"labels": "majority"},
    "shares": {"labels": "shares"},
    "groups": {"labels": "shares", "bag_size": 4},
    "points": {"labels": "points", "points_per_patch": 2},
}


def trained(store: Path, run: Path, settings: dict[str, Any]) -> tuple[RunConfig, bytes]:
    """With everything that is the default of these labels, pseudo-labels among it."""
    config = train(store, run, model="fcn", epochs=3, batch_size=8, device="cpu", precision="fp32", **settings)
    return config, (run / BEST).read_bytes() + (run / SEGMENT).read_bytes()


def moved(share_NK: npt.NDArray[np.float32], may_NK: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Each patch's shares of the classes that may move, moved on by one such class."""
    found = share_NK.copy()
    for share_K, may_K in zip(found, may_NK, strict=True):
        share_K[may_K] = np.roll(share_K[may_K], 1)
    return found


def hide(path: Path, config: RunConfig) -> None:
    """Replace the truth in every split by another one that gives the same labels."""
    store = open_store(path)
    info, label_NHW, share_NK = store.info, all_labels(path), store.share_NK.copy()
    before = label_NHW.copy(), share_NK.copy()
    if config.labels.labels == "presence":
        share_NK = moved(share_NK, share_NK > np.float32(config.labels.presence_min_share))
    elif config.labels.labels == "majority":
        share_NK = moved(share_NK, share_NK < share_NK.max(axis=1, keepdims=True))
    elif config.labels.labels == "points":
        code = label_NHW[label_NHW > 0][0]
        for split in SPLITS:
            index_N = store.split_indices(split)
            before_NHW = read_labels(store, index_N, config.label_spec, info.classes).pixel_NHW
            some_NHW = label_NHW[index_N]
            label_NHW[index_N] = np.where((before_NHW == UNLABELLED) & (some_NHW > 0), code, some_NHW)
        share_NK = shares(label_NHW, info.classes)
    elif config.labels.bagged:  # which patch of a group has which shares
        for split in SPLITS:
            index_N = store.split_indices(split)
            place_N2 = np.stack([store.row_N[index_N], store.col_N[index_N]], axis=1)
            bag_N = zorder_bags(place_N2, config.labels.bag_size)
            for number in np.unique(bag_N):
                members_N = index_N[bag_N == number]
                share_NK[members_N] = share_NK[np.roll(members_N, 1)]
        assert not np.array_equal(share_NK, before[1])
    if config.labels.labels != "points":
        label_NHW = label_NHW[:, ::-1]
    assert not (np.array_equal(label_NHW, before[0]) and np.array_equal(share_NK, before[1]))
    replace_values(path, label=label_NHW, share=share_NK)


@pytest.mark.parametrize("kind", KINDS)
def test_truth_that_the_labels_do_not_tell_reaches_no_weight(tmp_path: Path, kind: str) -> None:
    for name in ("settings", "hidden", "other"):
        make_store(tmp_path / f"{name}.zarr", count=40, size_px=10)
    config, ours = trained(tmp_path / "settings.zarr", tmp_path / "settings", KINDS[kind])
    hide(tmp_path / "hidden.zarr", config)
    assert trained(tmp_path / "hidden.zarr", tmp_path / "hidden", KINDS[kind])[1] == ours
    other = open_store(tmp_path / "other.zarr")
    train_N = other.split_indices("train")
    for name, values in (("label", all_labels(other.path)), ("share", other.share_NK)):
        values[train_N] = values[np.roll(train_N, 1)]
        replace_values(other.path, **{name: values})
    assert trained(tmp_path / "other.zarr", tmp_path / "other", KINDS[kind])[1] != ours, "what the labels do tell does"
