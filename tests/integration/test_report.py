"""The report: one page without network or scripts, with the metrics of metrics.json."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from cropcam.model.evaluation.evaluate import evaluate
from cropcam.model.evaluation.notes import join_words
from cropcam.model.networks import build
from cropcam.model.report.content import cautions, headlines
from cropcam.model.report.run_report import write_report
from cropcam.model.runs.checkpoint import BEST, load_tensors, save_tensors
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.store.schema import StoreInfo
from cropcam.pipeline.study.study import parse_study
from support.pages import Page
from support.runs import make_run
from support.stores import make_store, make_study

BANDS = ("SR_B1", "SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B6", "SR_B7")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StoreInfo, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("report")
    info = make_store(folder / "patches.zarr", count=80, nodata_share=0.2)
    make_run(folder / "run", folder / "patches.zarr", info)
    return folder / "run", info, evaluate(folder / "run").to_dict()


@pytest.fixture(scope="module")
def page(made: tuple[Path, StoreInfo, dict[str, Any]]) -> Page:
    return Page(write_report(made[0]).read_text())


def test_the_page_is_well_formed_and_asks_for_nothing(page: Page) -> None:
    assert page.open == []
    kinds = {tag for tag, _ in page.tags}
    assert not kinds & {"script", "link", "iframe", "object", "base"}
    for tag, attrs in page.tags:
        for name in ("src", "href", "xlink:href", "data", "action"):
            assert (attrs.get(name) or "data:").startswith(("data:", "#")), (tag, name)
        assert not [name for name in attrs if name.startswith("on")]
        assert "url(http" not in (attrs.get("style") or "")


def test_every_picture_has_words_and_no_id_is_used_twice(made: Any, page: Page) -> None:
    methods = len(made[2]["segmentation"]["methods"])
    pictures = [attrs for tag, attrs in page.tags if tag == "img"]
    assert len(pictures) == 9 * (3 + methods + 5)
    assert all(attrs["alt"] for attrs in pictures)
    assert all(attrs.get("aria-label") for tag, attrs in page.tags if tag == "svg")
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_the_page_has_the_metrics_and_the_majority_guess(made: Any, page: Page) -> None:
    text = re.sub(r"\s+", " ", page.text)
    labels, pixels = made[2]["classification"], made[2]["segmentation"]
    assert f"{labels['accuracy'] * 100:.1f} %" in text
    assert f"majority guess {labels['majority_accuracy'] * 100:.1f} %" in text
    assert f"all {pixels['majority']['class']} {pixels['majority_accuracy'] * 100:.1f} %" in text
    for row in pixels["methods"]["cam-argmax"]["confusion"]:
        assert all(f"{count:,}" in text for count in row)
    for name, values in labels["per_class"].items():
        assert name in text
        assert f"{values['auc']:.3f}" in text
    assert "selected epoch 3: 0.470" in text
    for trace in (made[1].digest, made[2]["provenance"]["checkpoint_digest"], "3.11.9", "SR_B4, SR_B3, SR_B2"):
        assert trace in text


def test_metrics_have_their_intervals_and_every_method_its_row(made: Any, page: Page) -> None:
    text = re.sub(r"\s+", " ", page.text)
    part = made[2]["segmentation"]
    for name, values in part["methods"].items():
        assert name in text
        low, high = values["macro_f1_ci95"]
        assert f"{low:.3f} \u2013 {high:.3f}" in text
    assert f"1,000 resamples of the split's {made[2]['intervals']['blocks']} spatial blocks" in text
    assert made[2]["provenance"]["labels_rule"] in text


def test_the_same_run_gives_the_same_bytes(made: Any) -> None:
    steps: list[tuple[int, int, str]] = []
    first = write_report(made[0], progress=lambda *step: steps.append(step)).read_bytes()
    assert write_report(made[0]).read_bytes() == first
    assert steps[-1][:2] == (4, 4)


def test_names_are_escaped(tmp_path: Path) -> None:
    run = tmp_path / "<b>run & co"
    make_run(run, tmp_path / "s.zarr", make_store(tmp_path / "s.zarr", count=20, size_px=16))
    evaluate(run)
    html = write_report(run).read_text()
    assert "<b>run" not in html
    assert "<b>run & co" in Page(html).text


@pytest.mark.parametrize("bands", [("SR_B1",), ("SR_B1", "SR_B2"), ("SR_B2", "SR_B3", "SR_B4")])
def test_studies_with_fewer_bands_get_what_can_be_shown(tmp_path: Path, bands: tuple[str, ...]) -> None:
    values = make_study(16).to_dict()
    study = parse_study({**values, "image": {**values["image"], "bands": bands}})
    info = make_store(tmp_path / "s.zarr", count=20, size_px=16, study=study)
    make_run(tmp_path / "run", tmp_path / "s.zarr", info)
    evaluate(tmp_path / "run")
    text = Page(write_report(tmp_path / "run").read_text()).text
    assert ("True colour" in text) == (len(bands) == 3)
    assert ("no bands named as red, green and blue" in text) == (len(bands) < 3)
    assert "False colour" not in text


def test_the_epoch_of_the_weights_is_named_whatever_its_loss(tmp_path: Path) -> None:
    info = make_store(tmp_path / "s.zarr", count=20, size_px=16)
    make_run(tmp_path / "run", tmp_path / "s.zarr", info)
    tensors, _ = load_tensors(tmp_path / "run" / BEST)
    save_tensors(tmp_path / "run" / BEST, tensors, {"epoch": "4"})
    evaluate(tmp_path / "run")
    text = re.sub(r"\s+", " ", Page(write_report(tmp_path / "run").read_text()).text)
    assert "selected epoch 4" in text
    assert "These metrics are of the weights of epoch 4" in text


def test_without_history_or_environment_the_rest_is_there(tmp_path: Path) -> None:
    info = make_store(tmp_path / "s.zarr", count=20, size_px=16)
    make_run(tmp_path / "run", tmp_path / "s.zarr", info)
    evaluate(tmp_path / "run")
    (tmp_path / "run" / "history.csv").unlink()
    (tmp_path / "run" / "environment.json").unlink()
    page = Page(write_report(tmp_path / "run").read_text())
    assert "selected epoch" not in page.text
    assert len([tag for tag, _ in page.tags if tag == "svg"]) == 2 + 6  # places; reliability of the predicted class and of five classes


def test_what_is_missing_stale_or_damaged_is_named(tmp_path: Path) -> None:
    run = tmp_path / "run"
    info = make_store(tmp_path / "s.zarr", count=20, size_px=16)
    make_run(run, tmp_path / "s.zarr", info)
    with pytest.raises(DataError, match=r"no metrics.json; evaluate first: cropcam evaluate"):
        write_report(run)
    evaluate(run)
    (run / "history.csv").write_text("epoch\n1\n")
    with pytest.raises(DataError, match=r"history.csv: cannot be read as a history"):
        write_report(run)
    (run / "history.csv").write_text("epoch,validation_loss\n1,0.5\n")
    with pytest.raises(DataError, match=r"history\.csv: has no column train_loss, which the report draws; train the run again"):
        write_report(run)
    (run / "history.csv").write_text("epoch,train_loss,train_accuracy,validation_loss,validation_accuracy\n77,1,1,1,1\n")
    with pytest.raises(DataError, match=r"history\.csv: has no epoch \d+, whose weights best\.safetensors holds; train the run again"):
        write_report(run)
    make_run(run, tmp_path / "s.zarr", info, build("baseline", 7, 5))
    with pytest.raises(DataError, match=r"is about another checkpoint .* evaluate again"):
        write_report(run)
    evaluate(run)
    (run / "patches.csv").write_text("patch,row,col,pixel_accuracy,label_accuracy,labelled_pixels\n")
    with pytest.raises(DataError, match=r"patches.csv is not the one that metrics.json was written with"):
        write_report(run)
    (run / "metrics.json").write_text('{"split": "test"}')
    with pytest.raises(DataError, match=r"provenance is no object; evaluate again"):
        write_report(run)
    (run / BEST).unlink()
    with pytest.raises(DataError, match=r"no checkpoint"):
        write_report(run)
    assert not (run / "report.html").exists()


def test_cautions_name_the_weaknesses_of_the_metrics(made: Any) -> None:
    metrics = json.loads(json.dumps(made[2]))
    corn = metrics["classification"]["per_class"]["corn"]
    corn["base_rate"], corn["auc"] = 0.99, 0.7
    metrics["classification"]["accuracy"] = 0.1
    history = pd.read_csv(made[0] / "history.csv")
    assert "last epoch" not in " ".join(cautions(metrics, history))
    history.loc[history.index[-1], "validation_loss"] = 0.001
    found = " ".join(cautions(metrics, history)).replace("\u00a0", " ")
    assert "Accuracy of patch labels: 10.0 %" in found
    assert found.count("Fewer than 20 blocks: intervals are too narrow.") == 1
    assert "corn (99.0 %)" in found
    assert "corn (0)" in found
    assert "last epoch (4)" in found
    assert len(headlines(metrics)) == 8
    assert join_words(["corn"]) == "corn"


def test_classes_that_are_never_predicted_are_named(tmp_path: Path) -> None:
    info = make_store(tmp_path / "s.zarr", count=20, size_px=16)
    network = build("baseline", 7, 5)
    torch.nn.init.zeros_(network.dense.weight)
    make_run(tmp_path / "run", tmp_path / "s.zarr", info, network)
    evaluate(tmp_path / "run")
    text = Page(write_report(tmp_path / "run").read_text()).text
    assert "never predicts corn, soybean, forest and grassland" in text
