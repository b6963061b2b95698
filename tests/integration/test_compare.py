"""Runs compared: the table has the values of metrics.json, the page needs no network, unlike runs have a note or are refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from cropcam.cli import main
from cropcam.model.documents import Compare, check
from cropcam.model.evaluation.evaluate import evaluate
from cropcam.model.networks import build
from cropcam.model.report.compare import Comparison, compare
from cropcam.model.report.content import cautions
from cropcam.model.report.run_report import write_report
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.study.study import parse_study
from support.pages import Page
from support.runs import make_run
from support.store_parts import all_labels, replace_values
from support.stores import make_store, make_study


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two networks on one store, and one on a store of another seed."""
    folder = tmp_path_factory.mktemp("compare")
    info = make_store(folder / "s.zarr", count=60, size_px=16)
    make_run(folder / "one", folder / "s.zarr", info)
    torch.manual_seed(5)
    make_run(folder / "two", folder / "s.zarr", info, build("baseline", 7, 5))
    make_run(folder / "far", folder / "t.zarr", make_store(folder / "t.zarr", count=60, size_px=16, seed=9))
    for name in ("one", "two", "far"):
        evaluate(folder / name)
    return folder


@pytest.fixture(scope="module")
def found(made: Path) -> Comparison:
    return compare([made / "one", made / "two", made / "far"], made / "out")


FEW = "every run: Fewer than 20 blocks: intervals are too narrow."


def metrics(made: Path, name: str) -> dict[str, Any]:
    return dict(json.loads((made / name / "metrics.json").read_text()))


def test_the_table_has_the_metrics_and_intervals_of_every_run(made: Path, found: Comparison) -> None:
    table = pd.read_csv(found.csv)
    assert table["run"].tolist() == ["one", "two", "far"]
    for line in table.to_dict("records"):
        whole = metrics(made, str(line["run"]))
        method = whole["segmentation"]["methods"][whole["segmentation"]["default"]]
        assert line["pixel_accuracy"] == pytest.approx(method["pixel_accuracy"], abs=1e-6)
        assert [line["macro_f1_low"], line["macro_f1_high"]] == pytest.approx(method["macro_f1_ci95"], abs=1e-6)
        assert line["label_majority"] == pytest.approx(whole["classification"]["majority_accuracy"], abs=1e-6)
        assert (line["model"], line["labels"], line["seed"], line["split"]) == ("baseline", "presence", 7, "test")
        assert line["steps"] == 4 * np.ceil(36 / 16)


def test_a_gain_is_paired_and_only_on_the_same_pixels(made: Path, found: Comparison) -> None:
    line = found.table.iloc[1]
    expected = found.table["pixel_accuracy"][1] - found.table["pixel_accuracy"][0]
    assert line["pixel_accuracy_gain"] == pytest.approx(expected, abs=1e-5)
    assert line["pixel_accuracy_gain_low"] <= line["pixel_accuracy_gain"] <= line["pixel_accuracy_gain_high"]
    assert found.table["pixel_accuracy_gain"].isna().tolist() == [True, False, True]
    shutil.copytree(made / "one", made / "twin", dirs_exist_ok=True)
    twin = compare([made / "one", made / "twin"], made / "same").table.iloc[1]
    assert [twin[f"pixel_accuracy_gain{end}"] for end in ("", "_low", "_high")] == [0, 0, 0]


def test_another_store_is_marked_and_the_field_named(found: Comparison) -> None:
    assert [bool(text) for text in found.table["differs"]] == [False, False, True]
    caution, few = found.cautions
    assert few == FEW
    assert caution.startswith("far differs from one in the store: split_seed: 9 against 0")


def test_the_page_shows_every_matrix_and_asks_for_nothing(made: Path, found: Comparison) -> None:
    page = Page(found.page.read_text())
    assert page.open == []
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "img"}
    for run in ("one", "two", "far"):
        for name, values in metrics(made, run)["classification"]["per_class"].items():
            assert name in page.text
            assert all(f"{count:,}" in page.text for row in values["confusion"] for count in row)
    captions = [attrs for tag, attrs in page.tags if tag == "caption"]
    assert len(captions) == 5 * 3
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert "the store: split_seed" in page.text
    assert page.text.count("intervals are too narrow") == 1


def test_comparing_twice_writes_the_same_bytes(made: Path, found: Comparison) -> None:
    again = compare([made / "one", made / "two", made / "far"], made / "again")
    assert again.page.read_bytes() == found.page.read_bytes()
    assert again.csv.read_bytes() == found.csv.read_bytes()


def test_another_split_is_marked(made: Path) -> None:
    shutil.copytree(made / "two", made / "validated")
    evaluate(made / "validated", split="validation")
    found = compare([made / "one", made / "validated"], made / "splits")
    assert found.cautions == [
        "validated differs from one in the split: validation against test.",
        FEW,
        "validated: The epoch was selected by the loss on the validation split: these metrics are optimistic.",
    ]
    assert metrics(made, "validated")["provenance"]["selected_on"] is True
    assert "Evaluated on different splits" in found.page.read_text()


def test_metrics_of_the_train_split_have_a_caveat(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(made / "two", made / "learned")
    assert main(["evaluate", str(made / "learned"), "--split", "train"]) == 0
    caveat = "The run was trained on the train split: these metrics do not show how well the network does elsewhere."
    assert f"note: {caveat}" in capsys.readouterr().err
    assert caveat in cautions(metrics(made, "learned"), pd.DataFrame())
    assert f"learned: {caveat}" in compare([made / "one", made / "learned"], made / "known").cautions


def test_one_block_and_an_absent_class_leave_gaps_not_crashes(tmp_path: Path) -> None:
    values = make_study(16, classes={"corn": (1,), "forest": (63,)}).to_dict()
    study = parse_study({**values, "splits": {**values["splits"], "block_patches": [400, 400]}})
    info = make_store(tmp_path / "s.zarr", count=10, size_px=16, study=study)
    labels = all_labels(tmp_path / "s.zarr")
    replace_values(tmp_path / "s.zarr", label=np.where(labels == 63, 111, labels))  # no forest is left, in any split
    for seed, name in enumerate(("one", "two")):
        torch.manual_seed(seed)
        make_run(tmp_path / name, tmp_path / "s.zarr", info, build("baseline", 7, 3))
        found = evaluate(tmp_path / name).to_dict()
        assert found["segmentation"]["cam_auc"]["forest"] is None
        assert found["intervals"]["blocks"] == 1
        assert found["segmentation"]["methods"]["cam-argmax"]["pixel_accuracy_ci95"] is None
        page = write_report(tmp_path / name).read_text()
        assert "no interval can be given" in page
        assert "all background" in page or "all corn" in page
    result = compare([tmp_path / "one", tmp_path / "two"], tmp_path / "out")
    assert result.table["pixel_accuracy_gain"][:2].notna().tolist() == [False, True]
    assert result.table["pixel_accuracy_gain_low"].isna().all()
    assert "no interval can be given" in result.page.read_text()


def test_what_cannot_be_compared_is_refused(made: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="two runs or more"):
        compare([made / "one"], tmp_path)
    with pytest.raises(ConfigError, match="named twice"):
        compare([made / "one", made / "one"], tmp_path)
    shutil.copytree(made / "one", tmp_path / "bare")
    (tmp_path / "bare" / "metrics.json").unlink()
    with pytest.raises(DataError, match=r"no metrics.json; evaluate first: cropcam evaluate"):
        compare([made / "one", tmp_path / "bare"], tmp_path / "out")
    study = make_study(16, classes={"corn": (1,), "rest": (5,)})
    make_run(
        tmp_path / "other", tmp_path / "o.zarr", make_store(tmp_path / "o.zarr", count=30, size_px=16, study=study), build("baseline", 7, 3)
    )
    evaluate(tmp_path / "other")
    with pytest.raises(DataError, match="its classes are background, corn, rest, those of one"):
        compare([made / "one", tmp_path / "other"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_prints_a_table_or_json(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", str(made / "one"), str(made / "two"), str(made / "far"), "--out", str(tmp_path / "out")]
    assert main(words) == 0
    printed = capsys.readouterr()
    header, one, two, far, last, places = printed.out.splitlines()
    assert header.split() == (
        [
            "run",
            "labels",
            "model",
            "seed",
            "method",
            "label_accuracy",
            "label_majority",
            "pixel_accuracy",
            "pixel_majority",
            "pixel_accuracy_gain",
            "macro_f1",
        ]
    )
    assert "presence above 5 % of a patch" in one
    figures = metrics(made, "two")["segmentation"]["methods"]["cam-argmax"]
    low, high = figures["pixel_accuracy_ci95"]
    assert f"{figures['pixel_accuracy']:.4f} [{low:.4f}, {high:.4f}]" in two
    gains = [line[header.index("pixel_accuracy_gain") : header.index("macro_f1")].split() for line in (one, two, far)]
    assert [len(gain) for gain in gains] == [0, 3, 0], "of the first there is none, nor of other pixels"
    assert "compare.html" in last
    assert places == f"results: {tmp_path / 'out' / 'compare.html'}, {tmp_path / 'out' / 'compare.csv'}"
    assert printed.err.startswith("note: far differs from one")
    assert main([*words, "--json"]) == 0
    lines = check(Compare, capsys.readouterr().out)["rows"]
    assert [line["run"] for line in lines] == ["one", "two", "far"]
    assert lines[0]["pixel_accuracy_gain"] is None
    assert main(["compare", str(made / "one"), str(tmp_path / "none")]) == 3
