"""The truth that a run is scored against: the labels of its store, or points of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.model.data.dataset import labels_of_splits, read_labels
from cropcam.model.evaluation.elsewhere import Scored
from cropcam.model.labels.derive import Classes, Shares
from cropcam.model.labels.files import resolve_label_file
from cropcam.model.labels.points import has_splits
from cropcam.model.labels.weak_labels import LabelSpec
from cropcam.model.runs.config import RunConfig
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.legend import UNLABELLED
from cropcam.pipeline.runtime.terminal import quoted
from cropcam.pipeline.store.patch_store import PatchStore
from cropcam.pipeline.store.schema import NOT_USED, SPLITS

ALL = "all"
POINTS = "points"  # folder of a run
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Truth:
    """The truth of patches of a store.

    Attributes:
        patches_N: the patches to be scored, ascending.
        share_NK: of each of them the share of each class among its labelled pixels; 0 where they are not known.
        classes: the class index of each pixel (B, H, W) of patches among them, 255 without truth.
        about: JSON values about points, for metrics.json; empty for the store's own labels. Beside figures of a store's labels those of points have a
            `folder` of their own.
    """

    patches_N: Indices
    share_NK: Shares
    classes: Callable[[Indices], Classes]
    about: dict[str, Any] = field(default_factory=dict)


def of_store(scored: Scored, run: Path) -> Truth:
    """The labels of a store.

    Raises:
        DataError: it has none, or the split is empty.
    """
    store = scored.store
    if not store.info.has_labels:
        raise DataError(
            f"{store.path}: has no labels to score against; name points with --points FILE, or map it: "
            f"cropcam map {quoted(run)} --store {quoted(store.path)} --out MAP.tif"
        )
    patches_N = np.arange(len(store)) if scored.split == ALL else store.split_indices(scored.split)
    return Truth(patches_N, store.share_NK[patches_N], store.classes)


def of_points(scored: Scored, path: Path, label_column: str, config: RunConfig) -> Truth:
    """Points of a file, in the patches of the split that is scored; in any patch, where the file has a column `split`.

    The shares of patches are not known: nothing is told of classes that are present.

    Args:
        scored: the store and the split.
        path: CSV, GeoPackage, GeoParquet or GeoJSON, as of `train --points`.
        label_column: of the class; empty = found by its name.
        config: of the run.

    Raises:
        ConfigError: the file cannot be read.
        DataError: it is not valid, or no point of the split lies in a patch.
    """
    store, legend, (file, digest) = scored.store, config.store.classes, resolve_label_file(str(path), "--points")
    spec = LabelSpec(labels="points", points=file, label_column=label_column, digests={"points": digest})
    wanted, own = SPLITS if scored.split == ALL else (scored.split,), has_splits(spec, legend)
    patches_N, labels = labels_of_splits(store, wanted, spec, legend) if own or scored.split != ALL else _all(store, spec, config)
    labelled_N = labels.labelled()
    if not labelled_N.any():
        step = (
            "; without a column split they would have to lie in its patches"
            if own
            else f"; add a column split ({', '.join(SPLITS)}), or score --split all"
        )
        raise DataError(f"{path}: none of its points of the split {scored.split} lies in a patch of {store.path}{step}")
    patches_N, labels = patches_N[labelled_N], labels.of(np.flatnonzero(labelled_N))
    pixel_NHW = labels.pixel_NHW
    assert pixel_NHW is not None
    about = {
        "points": file,
        "digest": digest,
        "folder": f"{POINTS}/{path.stem}-{digest[:8]}" if store.info.has_labels else "",
        "has_splits": own,
        "pixels": labels.count,
        "per_class": dict(zip(legend.names, labels.class_pixels()[: len(legend)].tolist(), strict=True)),
        "outside": labels.n_unmatched if own or scored.split == ALL else None,
        "in_trained_patches": _in_trained(scored, config, patches_N, pixel_NHW),
        "notes": list(labels.notes),
    }
    unknown_NK = np.zeros((len(patches_N), len(legend)), np.float32)
    return Truth(patches_N, unknown_NK, lambda index_B: pixel_NHW[np.searchsorted(patches_N, index_B)], about)


def _all(store: PatchStore, spec: LabelSpec, config: RunConfig) -> Any:  # noqa: ANN401 - as of `labels_of_splits`
    index_N = np.flatnonzero(store.split_N != NOT_USED)
    return index_N, read_labels(store, index_N, spec, config.store.classes)


def _in_trained(scored: Scored, config: RunConfig, patches_N: Indices, pixel_NHW: Classes) -> int:
    """How many of the points lie in patches that the run was trained on: they flatter it."""
    if not scored.home:
        return 0
    trained_N, spec = scored.store.split_indices("train"), replace(config.label_spec, digests={})
    if spec.points:
        with suppress(DataError):  # the file of labels may be gone since the training
            trained_N, labels = labels_of_splits(scored.store, ["train"], spec, config.store.classes)
            trained_N = trained_N[labels.labelled()]
    return int((pixel_NHW[np.isin(patches_N, trained_N)] != UNLABELLED).sum())
