"""What benchmarks tell of a segmentation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cropcam.model.evaluation.bootstrap import SUFFIX


def told(method: Mapping[str, Any], classes: Iterable[str] = ()) -> dict[str, Any]:
    """Pixel accuracy and macro F1 of a segmentation in metrics.json, and F1 of these classes as `CLASS_f1`, each with its interval."""
    of_all = {key: method[key] for name in ("pixel_accuracy", "macro_f1") for key in (name, name + SUFFIX)}
    return of_all | {f"{name}_{key}": method["per_class"][name][key] for name in classes for key in ("f1", "f1" + SUFFIX)}
