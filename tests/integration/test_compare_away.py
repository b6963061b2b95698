"""Runs compared at home and away: a row for each place, gains at the same place, the difference from home; on page, terminal and report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from cropcam.cli import main
from cropcam.model.evaluation.evaluate import evaluate
from cropcam.model.networks import build
from cropcam.model.report.compare import Comparison, compare
from cropcam.model.report.run_report import write_report
from cropcam.model.runs.config import load_config
from cropcam.pipeline.errors import CropcamWarning
from support.evaluations import write_away
from support.pages import Page
from support.runs import make_run
from support.stores import make_store

ELSEWHERE = "c" * 64


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs on one store, evaluated on that of the third and on one without a run; the third at home alone."""
    folder = tmp_path_factory.mktemp("away")
    info = make_store(folder / "s.zarr", count=60, size_px=16)
    make_run(folder / "one", folder / "s.zarr", info)
    torch.manual_seed(5)
    make_run(folder / "two", folder / "s.zarr", info, build("baseline", 7, 5))
    make_run(folder / "there", folder / "t.zarr", make_store(folder / "t.zarr", count=60, size_px=16, seed=9))
    for name in ("one", "two", "there"):
        evaluate(folder / name)
    there = load_config(folder / "there").store.digest
    reference = {"run": "there", "segmentation": default(metrics(folder, "there"))}
    write_away(folder / "one", "illinois", there, -0.1, of=folder / "there", reference=reference)
    write_away(folder / "two", "illinois", there, 0.05, of=folder / "there")
    write_away(folder / "one", "iowa", ELSEWHERE, -0.15)
    write_away(folder / "two", "iowa", ELSEWHERE, -0.15, split="all")
    return folder


@pytest.fixture(scope="module")
def found(made: Path) -> Comparison:
    return compare([made / "one", made / "two", made / "there"], made / "out")


def metrics(made: Path, *parts: str) -> dict[str, Any]:
    return dict(json.loads(made.joinpath(*parts, "metrics.json").read_text()))


def default(values: dict[str, Any]) -> dict[str, Any]:
    part = values["segmentation"]
    return dict(part["methods"][part["default"]])


def test_each_run_has_a_row_at_home_and_one_for_each_other_place(made: Path, found: Comparison) -> None:
    table = pd.read_csv(found.csv)
    rows = list(zip(table["run"], table["place"], table["home"], strict=True))
    assert rows == [
        ("one", "s", True),
        ("one", "illinois", False),
        ("one", "iowa", False),
        ("two", "s", True),
        ("two", "illinois", False),
        ("two", "iowa", False),
        ("there", "illinois", True),
    ]
    for index, (run, folder) in enumerate([("one", ""), ("one", f"on/illinois-{load_config(made / 'there').store.digest[:8]}")]):
        whole = metrics(made, run, folder)
        assert table["pixel_accuracy"][index] == pytest.approx(default(whole)["pixel_accuracy"], abs=1e-6)
        assert table["pixel_majority"][index] == pytest.approx(whole["segmentation"]["majority_accuracy"], abs=1e-6)
    assert table["pixel_majority"].nunique() == 2, "each place has its own majority guess"
    assert table["steps"].nunique() == 1
    assert [row["place"] for row in found.rows()] == [place for _, place, _ in rows]


def test_gains_are_against_the_first_run_at_the_same_place(found: Comparison) -> None:
    table = found.table
    gains = table["pixel_accuracy_gain"]
    assert gains.notna().tolist() == [False, False, False, True, True, True, True]
    for row, first in ((3, 0), (4, 1), (6, 1)):
        assert gains[row] == pytest.approx(table["pixel_accuracy"][row] - table["pixel_accuracy"][first], abs=1e-4)
    assert gains[5] == pytest.approx(table["pixel_accuracy"][5] - table["pixel_accuracy"][2], abs=1e-4)
    assert table["pixel_accuracy_gain_low"][4] <= gains[4] <= table["pixel_accuracy_gain_high"][4]


def test_the_difference_from_home_is_away_minus_home(found: Comparison) -> None:
    table, name = found.table, "pixel_accuracy_from_home"
    assert table[name].notna().tolist() == [False, True, True, False, True, True, False]
    for row, home in ((1, 0), (2, 0), (4, 3), (5, 3)):
        assert table[name][row] == pytest.approx(table["pixel_accuracy"][row] - table["pixel_accuracy"][home], abs=1e-6)
        assert table[f"{name}_low"][row] < table[name][row] < table[f"{name}_high"][row]
    assert [row["reference"] for row in found.rows()] == [None, "there", None, None, None, None, None]
    assert table["reference_pixel_accuracy"][1] == pytest.approx(table["pixel_accuracy"][6])


def test_cautions_name_run_and_place(found: Comparison) -> None:
    split, store, *caveats = found.cautions
    assert split == "two on iowa differs from one on iowa in the split: all against test."
    assert store.startswith("there differs from one in the store: split_seed: 9 against 0")
    assert caveats == ["every run: Fewer than 20 blocks: intervals are too narrow."]


def test_a_run_at_home_where_the_first_was_away_on_another_split_has_a_caution_and_no_gain(made: Path, tmp_path: Path) -> None:
    run = shutil.copytree(made / "one", tmp_path / "one", ignore=shutil.ignore_patterns("on"))
    there = load_config(made / "there").store.digest
    write_away(run, "illinois", there, -0.1, of=made / "there", split="all", patches=False)
    found = compare([run, made / "there"], tmp_path / "out")
    assert found.table["pixel_accuracy_gain"].isna().all()
    assert "there differs from one in the split: test against all of one on illinois." in found.cautions


def test_a_difference_of_two_runs_is_named_once(made: Path, tmp_path: Path) -> None:
    run = shutil.copytree(made / "two", tmp_path / "two")
    values = json.loads((run / "config.json").read_text())
    values["labels"]["presence_min_share"] = 0.25
    (run / "config.json").write_text(json.dumps(values))
    found = compare([made / "one", run], tmp_path / "out")
    assert [line for line in found.cautions if "presence_min_share" in line] == [
        "two differs from one in presence_min_share: 0.25 against 0.05."
    ]


def test_the_page_shows_every_place(made: Path, found: Comparison) -> None:
    page = Page(found.page.read_text())
    assert page.open == []
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "img"}
    assert len([tag for tag, _ in page.tags if tag == "caption"]) == 5 * 7
    assert "3 runs compared" in page.text
    for text in ("two on illinois", "illinois, home", "from home", "trained", "on iowa"):
        assert text in page.text, text
    for row in found.rows():
        assert f"{row['pixel_accuracy'] * 100:.1f}\u00a0%" in page.text
        if row["pixel_accuracy_from_home"] is not None:
            assert f"{row['pixel_accuracy_from_home'] * 100:+.1f} points".replace("-", "\u2212") in page.text
    again = compare([made / "one", made / "two", made / "there"], made / "again")
    assert again.page.read_bytes() == found.page.read_bytes()


def test_the_command_prints_places_and_json_has_them(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", str(made / "one"), str(made / "two"), "--out", str(tmp_path / "out")]
    assert main(words) == 0
    header, *lines, _, _ = capsys.readouterr().out.splitlines()
    assert header.split()[:2] == ["run", "place"]
    places = [line[header.index("place") : header.index("labels")].strip() for line in lines]
    assert places[1:3] == ["illinois", "iowa"]
    assert places[0].endswith(" (home)")
    assert main([*words, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["home"] for row in rows] == [True, False, False, True, False, False]
    assert rows[0]["pixel_accuracy_from_home"] is None


def test_a_stale_evaluation_elsewhere_is_left_out_with_a_warning(made: Path, tmp_path: Path) -> None:
    folder = write_away(made / "there", "stale", "d" * 64, 0.1)
    values = metrics(folder)
    values["provenance"]["checkpoint_digest"] = "0" * 64
    (folder / "metrics.json").write_text(json.dumps(values))
    match = r"^left out: .*stale-dddddddd: metrics.json is about another checkpoint .*evaluate .*there --on STORE, or remove"
    try:
        with pytest.warns(CropcamWarning, match=match):
            compared = compare([made / "one", made / "there"], tmp_path / "out")
        assert "stale" not in compared.page.read_text()
        with pytest.warns(CropcamWarning, match=match):
            write_report(made / "there")
    finally:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def test_the_report_has_a_table_of_other_places(made: Path, found: Comparison) -> None:
    page = Page(write_report(made / "one").read_text())
    assert page.open == []
    assert any(attrs.get("id") == "elsewhere" for _, attrs in page.tags)
    for row in found.rows()[1:3]:
        assert row["place"] in page.text
        assert f"{row['pixel_accuracy_from_home'] * 100:+.1f} points".replace("-", "\u2212") in page.text
    other = Page(write_report(made / "there").read_text())
    assert not any(attrs.get("id") == "elsewhere" for _, attrs in other.tags)
