"""Sentences about metrics."""

from __future__ import annotations

from typing import Any

import pytest

from cropcam.model.evaluation.notes import caveats, format_metric, join_words, leakage_notes, missing_class_notes
from support.evaluations import make_metrics


def test_numbers_and_words() -> None:
    assert (format_metric(0.00004), format_metric(None, "")) == ("0.0000", "")
    assert [join_words(words) for words in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]


@pytest.mark.parametrize(
    ("split", "selected", "match"),
    [
        ("train", False, "was trained on the train split"),
        ("validation", True, "selected by the loss on the validation split"),
        ("test", False, ""),
    ],
)
def test_the_use_of_the_split_in_training_is_named(split: str, selected: bool, match: str) -> None:
    metrics: dict[str, Any] = {**make_metrics(), "split": split}
    metrics["provenance"]["selected_on"] = selected
    notes = leakage_notes(metrics)
    assert (len(notes) == 1 and match in notes[0]) if match else notes == []
    assert leakage_notes({**metrics, "home": False}) == [], "of another store no split was used"


@pytest.mark.parametrize(
    ("share", "rate", "expected"),
    [
        (0.0, 0.0, "Class corn is absent from the test split: its precision, recall, F1, IoU and AUC"),
        (0.1, 0.0, "Class corn is the label of no patch in the test split: the precision, recall, F1 and AUC of its label"),
        (0.0, 0.2, "Class corn has no pixels in the test split: its precision, recall, F1, IoU and AUC"),
    ],
)
def test_a_class_that_the_split_lacks_is_named(share: float, rate: float, expected: str) -> None:
    metrics = make_metrics()
    metrics["segmentation"]["class_shares"]["corn"] = share
    metrics["classification"]["per_class"]["corn"] = {**metrics["classification"]["per_class"]["corn"], "base_rate": rate}
    assert missing_class_notes(metrics) == [f"{expected} are undefined and no part of the means."]


def test_the_note_on_blocks_comes_last_as_a_sentence() -> None:
    metrics = {**make_metrics(), "split": "train"}
    metrics["intervals"]["note"] = "fewer than 20 blocks: intervals are too narrow"
    assert caveats(metrics)[-1] == "Fewer than 20 blocks: intervals are too narrow."
    assert len(caveats(metrics)) == 2
    assert caveats(make_metrics()) == []
