"""Evaluated runs for tests: a run folder on a small store, and metrics made by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cropcam.model.evaluation.elsewhere import ON
from cropcam.model.report.runs import EvaluatedRun
from cropcam.pipeline.runtime.hashing import sha256
from cropcam.pipeline.store.schema import StoreInfo
from support.runs import make_config


def interval(value: float | None) -> list[float] | None:
    """An interval about a value."""
    return None if value is None else [value - 0.05, value + 0.05]


def with_ci(**values: float | None) -> dict[str, Any]:
    """Metrics and, behind each, its interval."""
    return {key: entry for name, value in values.items() for key, entry in ((name, value), (f"{name}_ci95", interval(value)))}


def make_metrics(names: tuple[str, ...] = ("background", "corn"), **segmentation: Any) -> dict[str, Any]:
    """The content of a metrics.json of two classes and one method; `segmentation` adds to that part."""
    label = with_ci(
        accuracy=0.9, majority_accuracy=0.6, base_rate=0.4, precision=0.8, recall=0.7, f1=0.75, auc=0.85, average_precision=0.65
    )
    pixel = with_ci(accuracy=0.7, precision=0.8, f1=0.75, iou=0.6, base_rate=0.5)
    means = with_ci(pixel_accuracy=0.8, mean_class_accuracy=0.7, macro_f1=0.75, mean_iou=0.6)
    majority = with_ci(pixel_accuracy=0.55, mean_class_accuracy=0.5, macro_f1=0.35, mean_iou=0.3)
    return {
        "split": "test",
        "patches": 40,
        "labels": "presence",
        "classification": {
            **with_ci(accuracy=0.9, majority_accuracy=0.6, exact_match=0.8, majority_exact_match=0.3),
            **with_ci(mean_auc=0.85, mean_average_precision=0.65, labels_per_patch=1.0),
            "patches": 40,
            "presence_min_share": 0.05,
            "per_class": {name: {**label, "confusion": [[20, 4], [2, 14]]} for name in names},
        },
        "segmentation": {
            **with_ci(majority_accuracy=0.55, mean_cam_auc=0.7),
            "majority": {"class": names[0], **majority},
            "pixels": 100,
            "class_shares": dict.fromkeys(names, 0.5),
            "cam_auc": dict.fromkeys(names, 0.7),
            "cam_auc_ci95": dict.fromkeys(names, interval(0.7)),
            "methods": {"cam-argmax": {**means, "per_class": dict.fromkeys(names, pixel), "confusion": [[40, 15], [5, 40]]}},
            "default": "cam-argmax",
            **segmentation,
        },
        "intervals": {"blocks": 30, "block_patches": [2, 2], "resamples": 1000},
        "provenance": {"labels_rule": "presence above 5 % of a patch", "train_patches": 60, "code_version": "0", "selected_on": False},
    }


def make_evaluated(
    name: str, store: Path, info: StoreInfo, accuracy: list[float], labelled: list[int], metrics: dict[str, Any] | None = None
) -> EvaluatedRun:
    """An evaluated run in memory, its patches two to a row of the patch grid."""
    count = range(len(accuracy))
    columns = {"patch": list(count), "row": [index // 2 * 2 for index in count], "col": [index % 2 * 2 for index in count]}
    patches = pd.DataFrame({**columns, "pixel_accuracy": accuracy, "label_accuracy": 1.0, "labelled_pixels": labelled})
    return EvaluatedRun(name, make_config(store, info), metrics or make_metrics(), patches, None, 4)


def write_away(run: Path, place: str, digest: str, change: float, *, of: Path | None = None, patches: bool = True, **more: Any) -> Path:
    """RUN/on/PLACE-DIGEST8 as `evaluate RUN --on STORE` leaves it, made from the run's metrics at home, or those of the run `of`.

    The share of correct pixels of each patch changes by `change`, and the accuracy with it; every other metric is as there.
    """
    at_home = json.loads((run / "metrics.json").read_text())
    folder = run / ON / f"{place}-{digest[:8]}"
    folder.mkdir(parents=True)
    metrics: dict[str, Any] = json.loads(((of or run) / "metrics.json").read_text())
    metrics["provenance"].pop("content_digest", None)  # the content is another
    metrics["provenance"] |= {key: at_home["provenance"][key] for key in ("checkpoint_digest", "selected_on")}
    table = pd.read_csv((of or run) / "patches.csv")
    table["pixel_accuracy"] = (
        np.rint((table["pixel_accuracy"] + change).clip(0, 1) * table["labelled_pixels"]) / table["labelled_pixels"]
    ).round(6)
    csv = table.to_csv(index=False, float_format="%.6f", lineterminator="\n")
    method = metrics["segmentation"]["methods"][metrics["segmentation"]["default"]]
    correct = (table["pixel_accuracy"] * table["labelled_pixels"]).sum() / table["labelled_pixels"].sum()
    method |= {"pixel_accuracy": float(correct), "pixel_accuracy_ci95": interval(float(correct))}
    if patches:
        (folder / "patches.csv").write_text(csv)
        metrics["provenance"]["patches_digest"] = sha256(csv.encode())
    store = {"name": place, "path": f"/data/{place}.zarr", "digest": digest}
    (folder / "metrics.json").write_text(json.dumps({**metrics, "store": store, "home": False, **more}))
    return folder
