"""The text of the report: headlines and caveats, from metrics.json and the history."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import pandas as pd

from cropcam.model.evaluation.bootstrap import SUFFIX
from cropcam.model.evaluation.metrics import Metric
from cropcam.model.evaluation.notes import caveats, join_words
from cropcam.model.options import LabelOptions
from cropcam.model.report.formatting import Headline, number

RARE_SHARE, FEW_PATCHES = 0.03, 10


_OF_FIELDS = {
    "shares": "the share of each class in the part of each patch that the fields in {} cover",
    "points": "the class of one pixel in each field in {}",
    "pixels": "the class of every pixel inside the fields in {}",
}


def trained_on(labels: LabelOptions) -> str:
    """The labels of a run, in words that follow "trained on"."""
    name, bag, drawn = PurePath(labels.file).name, labels.bag_size, labels.points_per_patch
    if labels.areas:
        return f"the area of each class in each polygon in {name}"
    if labels.fields:
        return _OF_FIELDS[labels.kind].format(name)
    if labels.points:
        return f"the classes of the points in {name}"
    of_store = {
        "presence": f"which classes {has_class(labels.presence_min_share)} each patch",
        "majority": "the most frequent class of each patch",
        "shares": f"the share of each class in {f'each group of {bag} patches' if bag > 1 else 'each patch'}",
        "points": f"the class of {'one pixel' if drawn == 1 else f'{drawn} pixels'} in each patch",
        "pixels": "the class of every pixel",
    }
    return of_store[labels.kind]


def has_class(min_share: float) -> str:
    """The rule by which a patch has a class, in words between the class and the patch."""
    return f"cover more than {100 * min_share:.4g}\u00a0% of" if min_share else "have a pixel in"


def headlines(metrics: Mapping[str, Any]) -> list[Headline]:
    """The report's first metrics, each with its trivial value."""
    labels, pixels = metrics["classification"], metrics["segmentation"]
    method, constant = pixels["methods"][pixels["default"]], pixels["majority"]
    guess, chance, everywhere = "majority guess", "chance", f"all {constant['class']}"

    def headline(title: str, part: Mapping[str, Any], name: str, trivial: Metric, trivial_name: str, note: str, share: bool) -> Headline:
        return Headline(title, part[name], trivial, trivial_name, note, share, part[name + SUFFIX])

    def of_pixels(title: str, name: str, note: str, share: bool) -> Headline:
        return headline(title, method, name, constant[name], everywhere, note, share)

    return [
        headline("Accuracy of patch labels", labels, "accuracy", labels["majority_accuracy"], guess, "mean over classes", True),
        headline("Patches with all labels correct", labels, "exact_match", labels["majority_exact_match"], guess, "exact match", True),
        headline("Mean AUC of patch labels", labels, "mean_auc", 0.5, chance, "over classes with present and absent patches", False),
        of_pixels("Pixel accuracy", "pixel_accuracy", "share of correct pixels", True),
        of_pixels("Mean class accuracy", "mean_class_accuracy", "mean recall of pixels", True),
        of_pixels("Macro F1 of pixels", "macro_f1", "mean over classes", False),
        of_pixels("Mean IoU of pixels", "mean_iou", "intersection over union", False),
        headline("Mean AUC of activation maps", pixels, "mean_cam_auc", 0.5, chance, "each map against its class's pixels", False),
    ]


def cautions(metrics: Mapping[str, Any], history: pd.DataFrame) -> list[str]:
    """Everything that limits the metrics, a sentence each."""
    labels, pixels = metrics["classification"], metrics["segmentation"]
    per_class = labels["per_class"]
    sentences = caveats(metrics)
    for item in headlines(metrics):
        if item.verdict in ("worse", "equal"):
            sentences.append(f"{item.title}: {item.text}, {item.gain} {item.trivial_name} ({item.trivial_text}).")
    rates = {name: values["base_rate"] for name, values in per_class.items()}
    if one_sided := [
        f"{name} ({number(rate, is_share=True)})" for name, rate in rates.items() if rate and not RARE_SHARE <= rate <= 1 - RARE_SHARE
    ]:
        constant = "A constant prediction is almost always correct there; read the AUC, if any."
        sentences.append(f"Present in nearly every patch or nearly none: {join_words(one_sided)}. {constant}")
    counts = {name: round(rates[name] * labels["patches"]) for name, values in per_class.items() if values["auc"] is not None}
    fewest = {name: min(count, labels["patches"] - count) for name, count in counts.items()}
    if few := [f"{name} ({count})" for name, count in fewest.items() if count < FEW_PATCHES]:
        sentences.append(f"AUC and average precision depend on fewer than {FEW_PATCHES} patches with or without {join_words(few)}.")
    predicted = [sum(column) for column in zip(*pixels["methods"][pixels["default"]]["confusion"], strict=True)]
    if unused := [name for name, count in zip(per_class, predicted, strict=True) if not count]:
        sentences.append(f"The segmentation never predicts {join_words(unused)}.")
    if len(history) > 1 and history["validation_loss"].iloc[-1] < history["validation_loss"].iloc[:-1].min():
        sentences.append(f"The lowest validation loss is that of the last epoch ({len(history)}): longer training may help.")
    return sentences


def interval_note(metrics: Mapping[str, Any]) -> str:
    """How the intervals were made, in two sentences."""
    made = metrics["intervals"]
    size = " x ".join(map(str, made["block_patches"]))
    resamples = f"{made['resamples']:,} resamples of the split's {made['blocks']} spatial blocks of {size} patches, each drawn as a whole."
    return f"{resamples} A metric that depends on too few blocks has none."
