"""Sentences about metrics: numbers as text, and the caveats that belong beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cropcam.model.evaluation.metrics import Metric


def format_metric(value: Metric, undefined: str = "undefined") -> str:
    """A metric with four decimals.

    >>> format_metric(0.89123), format_metric(None)
    ('0.8912', 'undefined')
    """
    return undefined if value is None else f"{value:.4f}"


def join_words(words: Sequence[str]) -> str:
    """Words as a phrase.

    Examples:
        >>> join_words(["corn", "soybean", "forest"])
        'corn, soybean and forest'
    """
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def caveats(metrics: Mapping[str, Any]) -> list[str]:
    """Caveats of metrics.json, a sentence each: the split's use in training, missing classes, too few blocks."""
    note = metrics["intervals"].get("note")
    return [
        *point_truth_notes(metrics),
        *leakage_notes(metrics),
        *missing_class_notes(metrics),
        *([f"{note[:1].upper()}{note[1:]}."] if note else []),
    ]


def point_truth_notes(metrics: Mapping[str, Any]) -> list[str]:
    """The points that the run was scored against, and how many of them flatter it; empty where the truth is the store's labels."""
    if not (truth := metrics.get("truth")):
        return []
    count, trained, outside = truth["pixels"], truth["in_trained_patches"], truth["outside"]
    notes = [f"The truth is {count:,} points of {truth['points']}: no figure tells which classes are present in a patch."]
    if trained:
        notes.append(f"{trained:,} of them lie in patches that the run was trained on: these metrics are optimistic.")
    if outside:
        notes.append(f"{outside:,} of its points lie in no patch and are not scored.")
    return [*notes, *(f"{truth['points']}: {line}." for line in truth["notes"])]


def leakage_notes(metrics: Mapping[str, Any]) -> list[str]:
    """The use of the evaluated split in training, a sentence: training itself, or selection of the epoch. Away no split was used."""
    if not metrics.get("home", True):
        return []
    if metrics["split"] in ("train", "all"):
        return [
            f"The run was trained on {'patches of all' if metrics['split'] == 'all' else 'the train split'}: these metrics do not show how well the network does elsewhere."
        ]
    if metrics["provenance"].get("selected_on"):
        return [f"The epoch was selected by the loss on the {metrics['split']} split: these metrics are optimistic."]
    return []


def missing_class_notes(metrics: Mapping[str, Any]) -> list[str]:
    """The classes that the evaluated split lacks, one sentence each: the reason of metrics that are null.

    A class may have pixels and yet be the label of no patch, where none has more of it than `presence_min_share`.
    """
    notes = []
    for name, share in metrics["segmentation"]["class_shares"].items():
        labelled = metrics["classification"]["per_class"][name]["base_rate"]
        if share and (labelled or "truth" in metrics):  # points give no label of a patch
            continue
        state = "is the label of no patch in" if share else "has no pixels in" if labelled else "is absent from"
        affected = "the precision, recall, F1 and AUC of its label" if share else "its precision, recall, F1, IoU and AUC"
        notes.append(f"Class {name} {state} the {metrics['split']} split: {affected} are undefined and no part of the means.")
    return notes
