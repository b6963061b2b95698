"""The benchmark `travel`: which runs are trained and scored, the half that is held out, warnings judged on other places, tables."""

from __future__ import annotations

import json
from math import exp
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import places, travel, travel_cells, travel_tables, travel_warnings
from benchmarks.travel_cells import FULL_TARGETS, TARGETS, Folders, Job, chosen, plan
from benchmarks.travel_warnings import Case, Fitted, fit, judge
from cropcam.model.transfer.score import Terms
from cropcam.pipeline.patches.splits import assign
from cropcam.pipeline.store.patch_store import open_store
from cropcam.pipeline.store.schema import SPLITS
from support.stores import make_store

TRUE = Terms(0.5, 1.0, 0.1)


def case(home: str, target: str, terms: Terms, kind: str = "shares", weights: Terms = TRUE) -> Case:
    lost = sum(weight * term for weight, term in zip(weights, terms, strict=True))
    return Case(kind, home, target, 0, 0.8, 0.8 * exp(-lost), terms)


def cell(job: Job, place: str, part: str, accuracy: float) -> dict[str, Any]:
    shift = {"shift": {"score": 0.3, "terms": {"unsure": 0.2, "far": 0.2, "classes": 0.1}}, "expected_accuracy": 0.6}
    return {
        **{"how": job.how, "kind": job.kind, "trained": job.place, "source": job.source, "weak": job.weak, "seed": job.seed},
        **{"place": place, "part": part, "simulated": place in places.SIMULATED, "patches": 10},
        **{"pixel_accuracy": accuracy, "macro_f1": accuracy - 0.1, "majority_pixel_accuracy": 0.4, "majority_macro_f1": 0.1},
        **({} if part == "test" else shift),
        **{"s": 1.0, "cpu_s": 1.0, "train_s": 2.0, "train_cpu_s": 2.0},
    }


def test_the_default_pass_is_small_and_the_full_one_has_every_way() -> None:
    default, full = plan(1, full=False), plan(3, full=True)
    assert len({job.name for job in default}) == len(default) == 22
    assert sum(job.how == "home" for job in default) == 12
    assert {job.how for job in full} == {"home", "without", "adapted", "scratch", "reference"}
    assert {job.seed for job in full} == {0, 1, 2}
    assert sum(job.kind == "poster" for job in full) == 2
    assert not [job for job in full if job.how == "adapted" and job.kind == "trees"]
    assert all(job.first in full[: full.index(job)] for job in full if job.first)


def test_runs_of_a_name_come_with_those_they_go_on_from() -> None:
    found = chosen(plan(1, full=False), ["adapted-unet-dakota"])
    assert [job.name for job in found] == [
        "home-unet-dakota-2015-0",
        "adapted-unet-dakota-2015-to-illinois-2023-16-polygons-0",
    ]


def test_a_run_is_scored_at_home_and_everywhere_else_once() -> None:
    parts = Job("home", "shares", "dakota-2015", 0).parts(TARGETS)
    assert parts[0] == ("dakota-2015", "test")
    assert sorted(place for place, part in parts if part == "all") == sorted({*places.places()} - {"dakota-2015"})
    assert parts[-1] == ("illinois-2023", "right")
    assert ("B-2016", "right") in Job("home", "shares", "A-2016", 0).parts(FULL_TARGETS)
    assert Job("adapted", "shares", "illinois-2023", 0, "dakota-2015", "16 polygons").parts(TARGETS) == [("illinois-2023", "right")]


def test_an_adapted_run_has_the_network_of_its_source_and_the_labels_of_the_file(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    folders.places.mkdir()
    make_store(folders.store("illinois-2023"), count=200, size_px=8)
    for weak, labels in (("1 polygon", "shares"), ("16 polygons", "shares"), ("100 points", "points")):
        passed = travel_cells.settings(Job("adapted", "unet", "illinois-2023", 0, "dakota-2015", weak), folders).passed
        file = passed.pop("areas" if labels == "shares" else "points")
        assert Path(file).is_file()
        init = str(tmp_path / "runs" / "home-unet-dakota-2015-0")
        assert passed == {"model": "unet", "labels": labels, "init": init, "seed": 0}


def test_the_right_half_is_the_test_split(tmp_path: Path) -> None:
    make_store(tmp_path / "store.zarr", count=200, size_px=8)
    store = open_store(tmp_path / "store.zarr")
    split_N, _ = assign(store.row_N, store.col_N, travel.right_half(store).splits, 0, store.info.patch_grid)
    np.testing.assert_array_equal(np.flatnonzero(split_N == SPLITS.index("test")), places.halves(store)[1])


def test_a_fit_finds_weights_and_a_threshold_between_large_and_small_losses() -> None:
    terms = [Terms(a, b, c) for a in (0.0, 0.3) for b in (0.0, 0.4) for c in (0.0, 0.2)]
    fitted = fit([case("A-2016", "B-2016", each) for each in terms])
    np.testing.assert_allclose(fitted.weights, TRUE, atol=1e-6)
    assert 0.02 < fitted.threshold < 0.15
    opposite = [case("A-2016", "B-2016", each, weights=Terms(0.5, 1.0, -0.2)) for each in terms]
    assert min(fit(opposite).weights) == 0
    with pytest.raises(ValueError, match="no case"):
        fit([])


def test_the_threshold_separates_in_the_middle_of_the_widest_gap() -> None:
    assert travel_warnings.threshold([0.4, 0.6], [0.1, 0.2]) == pytest.approx(0.3)
    assert travel_warnings.threshold([0.2, 0.5, 0.6], [0.1, 0.3]) in (pytest.approx(0.15), pytest.approx(0.4))
    assert travel_warnings.threshold([], [0.1]) == travel_warnings.THRESHOLD


def test_a_case_is_judged_by_what_knows_neither_its_home_nor_a_real_journey() -> None:
    spoilt = Terms(9.0, 0.0, 0.0)
    terms = (Terms(0.3, 0.0, 0.0), Terms(0.0, 0.4, 0.0), Terms(0.0, 0.0, 0.2))
    every = [case(home, target, each) for home, target in (("A-2016", "B-2016"), ("B-2016", "B-2017")) for each in terms]
    every += [
        case("dakota-2015", "illinois-2023", Terms(0.5, 0.0, 0.0), weights=spoilt),
        case("dakota-2015", "A-2016", terms[0], weights=spoilt),
    ]
    judged, fitted = judge(every)
    np.testing.assert_allclose(fitted["dakota-2015"].weights, TRUE, atol=1e-6)  # neither the journey nor its own case
    assert fitted["B-2016"].weights.unsure == pytest.approx(9.0)  # only dakota's simulated case is left
    assert "A-2016" in fitted
    real = next(each for each in judged if each.case.is_real)
    assert real.estimate == pytest.approx(0.8 * exp(-0.25))
    fixed, nothing = judge(every, Fitted(TRUE, 0.2))
    assert len(fixed) == len(every)
    assert not nothing
    assert [each.warned for each in fixed[:3]] == [False, True, False]


def test_figures_of_warnings() -> None:
    terms = (Terms(0.0, 0.5, 0.0), Terms(0.0, 0.0, 0.0))
    judged, _ = judge([case("A-2016", "B-2016", each) for each in terms], Fitted(TRUE, 0.2))
    assert travel_warnings.figures(judged) == {
        **{"cases": 2, "large_losses": 1, "warned_of_large": 1.0, "small_losses": 1, "warned_of_small": 0.0, "mean_absolute_error": 0.0},
    }
    assert travel_warnings.figures([])["warned_of_large"] is None


def test_tables_of_some_cells() -> None:
    home, away = Job("home", "shares", "dakota-2015", 0), Job("adapted", "shares", "illinois-2023", 0, "dakota-2015", "16 polygons")
    other = Job("home", "shares", "A-2016", 0)
    cells = [
        cell(home, "dakota-2015", "test", 0.84),
        cell(home, "illinois-2023", "all", 0.76),
        cell(home, "illinois-2023", "right", 0.77),
        cell(away, "illinois-2023", "right", 0.82),
        cell(Job("scratch", "shares", "illinois-2023", 0, weak="16 polygons"), "illinois-2023", "right", 0.8),
        cell(Job("reference", "pixels", "illinois-2023", 0), "illinois-2023", "right", 0.88),
        cell(Job("without", "shares", "A-2016", 0), "A-2016", "test", 0.7),
        cell(other, "A-2016", "test", 0.85),
        cell(other, "B-2016", "all", 0.6),
    ]
    text, values = travel_tables.report(cells, ["home-unet-dakota-2015-0--dakota-2015-test"])
    assert "| dakota-2015 | illinois-2023 | shares | 16 polygons | 1 | .770 / .670 | .820 / .720 | .800 / .700 |" in text
    assert "| .880 / .780 | .932 |" in text
    assert "A-2016 (simulated)" in text
    assert "| shares | mean |  |  |  | .150 |" in text
    assert "1 cells are missing" in text
    assert json.loads(json.dumps(values))["cells"] == len(cells)


def test_tables_of_nothing() -> None:
    text, values = travel_tables.report([], [])
    assert "0 cells" in text
    assert values["warnings"][0]["mean_absolute_error"] is None
