"""The figures of a segmentation that benchmarks print."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cropcam.model.evaluation.bootstrap import SUFFIX


def headline_metrics(method: Mapping[str, Any], classes: Iterable[str] = ()) -> dict[str, Any]:
    """Pixel accuracy and macro F1 of a method in metrics.json, and the F1 of some classes as `CLASS_f1`, each with its interval."""
    overall = {key: method[key] for name in ("pixel_accuracy", "macro_f1") for key in (name, name + SUFFIX)}
    return overall | {f"{name}_{key}": method["per_class"][name][key] for name in classes for key in ("f1", "f1" + SUFFIX)}
