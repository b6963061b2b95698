"""Names of places, and what a place adds to a row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cropcam.model.report.places import elsewhere_rows, place_columns, place_names
from cropcam.model.report.runs import EvaluatedRun
from cropcam.pipeline.store.schema import StoreInfo
from support.evaluations import make_evaluated, with_ci


@pytest.fixture
def home(store: Path, info: StoreInfo) -> EvaluatedRun:
    return make_evaluated("one", store, info, [0.8, 0.8], [100, 100])


def away(home: EvaluatedRun, name: str, digest: str, **more: object) -> EvaluatedRun:
    place = {"name": name, "path": f"{name}.zarr", "digest": digest * 64}
    return replace(home, metrics={**home.metrics, "home": False, "store": place, **more}, elsewhere=f"{name}-{digest * 8}")


def test_names_are_those_of_the_metrics_or_of_the_study(home: EvaluatedRun) -> None:
    own, study = home.digest, home.config.store.study
    assert place_names([home]) == {own: study}
    assert place_names([home, away(home, "illinois", "a")]) == {own: study, "a" * 64: "illinois"}
    named = replace(home, metrics={**home.metrics, "home": True, "store": {"name": "dakota", "path": "d.zarr", "digest": own}})
    assert place_names([home, named])[own] == "dakota", "a name that metrics say comes first"
    twice = place_names([home, away(home, "illinois", "a"), away(home, "illinois", "b")])
    assert list(twice.values()) == ["illinois-aaaaaaaa", "illinois-bbbbbbbb", study]


def test_home_has_no_difference_and_a_reference_is_shown_with_its_path(home: EvaluatedRun) -> None:
    assert set(place_columns(home, home).values()) == {None}
    values = with_ci(pixel_accuracy=0.9, macro_f1=0.5)
    found = place_columns(away(home, "a", "a", reference={"run": "runs/there", "segmentation": values}), home)
    assert (found["reference"], found["reference_pixel_accuracy"]) == ("runs/there", 0.9)
    assert found["reference_pixel_accuracy_low"] == pytest.approx(0.85)
    assert found["pixel_accuracy_from_home"] == 0


def test_one_of_the_trained_stores_has_no_difference_from_home(home: EvaluatedRun) -> None:
    assert place_columns(away(home, "a", "a"), home)["pixel_accuracy_from_home"] == 0
    part = away(home, "a", "a")
    trained = replace(part, metrics={**part.metrics, "home": True})
    assert place_columns(trained, home)["pixel_accuracy_from_home"] is None
    held_out = replace(home, metrics={**home.metrics, "home": False})
    assert place_columns(held_out, held_out)["pixel_accuracy_from_home"] is None


def test_there_is_one_row_for_each_other_place(home: EvaluatedRun) -> None:
    assert elsewhere_rows(home, []) == []
    rows = elsewhere_rows(home, [away(home, "x", "a"), away(home, "y", "b", split="all")])
    assert [(row["place"], row["split"], row["pixel_majority"], row["pixel_accuracy"]) for row in rows] == [
        ("x", "test", 0.55, 0.8),
        ("y", "all", 0.55, 0.8),
    ]
