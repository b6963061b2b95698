"""The comparison of runs: what makes two runs unlike, and rows at home and away."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cropcam.model.report.compare import differences
from cropcam.pipeline.store.schema import StoreInfo
from support.evaluations import make_evaluated, make_metrics


def test_differences_of_split_presence_and_store_are_named(store: Path, info: StoreInfo) -> None:
    first = make_evaluated("one", store, info, [0.5], [100])
    assert differences(first, make_evaluated("two", store, info, [0.6], [100])) == []
    metrics = {**make_metrics(), "split": "validation"}
    other = make_evaluated("two", store, replace(info, split_seed=9), [0.5], [100], metrics)
    other = replace(other, config=other.config.changed(presence_min_share=0.25))
    assert differences(first, other) == [
        "the split: validation against test",
        "presence_min_share: 0.25 against 0.05",
        "the store: split_seed: 9 against 0",
    ]
