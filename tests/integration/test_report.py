"""The report: one page without network or scripts, whose figures are those of metrics.json."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from cropcam.model.evaluation.evaluate import evaluate
from cropcam.model.evaluation.results import listing
from cropcam.model.networks import build
from cropcam.model.report.content import cautions, headlines
from cropcam.model.report.figures import diverging
from cropcam.model.report.formatting import Headline, matrix
from cropcam.model.report.gallery import choose, class_picture, composites
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
    return folder / "run", info, evaluate(folder / "run")


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


def test_the_figures_stand_beside_the_majority_guess(made: Any, page: Page) -> None:
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
    assert "kept epoch 3: 0.470" in text
    for trace in (made[1].digest, made[2]["made_by"]["checkpoint_digest"], "3.11.9", "SR_B4, SR_B3, SR_B2"):
        assert trace in text


def test_figures_have_their_intervals_and_every_method_its_row(made: Any, page: Page) -> None:
    text = re.sub(r"\s+", " ", page.text)
    part = made[2]["segmentation"]
    for name, values in part["methods"].items():
        assert name in text
        low, high = values["macro_f1_ci95"]
        assert f"{low:.3f} \u2013 {high:.3f}" in text
    assert f"1,000 resamples of the split's {made[2]['intervals']['blocks']} spatial blocks" in text
    assert made[2]["made_by"]["labels_rule"] in text


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
    assert ("no bands known as red, green and blue" in text) == (len(bands) < 3)
    assert "False colour" not in text


def test_the_epoch_of_the_weights_is_named_whatever_its_loss(tmp_path: Path) -> None:
    info = make_store(tmp_path / "s.zarr", count=20, size_px=16)
    make_run(tmp_path / "run", tmp_path / "s.zarr", info)
    tensors, _ = load_tensors(tmp_path / "run" / BEST)
    save_tensors(tmp_path / "run" / BEST, tensors, {"epoch": "4"})
    evaluate(tmp_path / "run")
    text = re.sub(r"\s+", " ", Page(write_report(tmp_path / "run").read_text()).text)
    assert "kept epoch 4" in text
    assert "The weights of epoch 4 are the ones scored here" in text


def test_without_history_or_environment_the_rest_is_there(tmp_path: Path) -> None:
    info = make_store(tmp_path / "s.zarr", count=20, size_px=16)
    make_run(tmp_path / "run", tmp_path / "s.zarr", info)
    evaluate(tmp_path / "run")
    (tmp_path / "run" / "history.csv").unlink()
    (tmp_path / "run" / "environment.json").unlink()
    page = Page(write_report(tmp_path / "run").read_text())
    assert "kept epoch" not in page.text
    assert len([tag for tag, _ in page.tags if tag == "svg"]) == 2


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
    make_run(run, tmp_path / "s.zarr", info, build("baseline", 7, 5))
    with pytest.raises(DataError, match=r"is about another checkpoint .* evaluate again"):
        write_report(run)
    evaluate(run)
    (run / "patches.csv").write_text("patch,row,col,pixel_accuracy,label_accuracy,labelled_pixels\n")
    with pytest.raises(DataError, match=r"patches.csv is not the one that metrics.json was written with"):
        write_report(run)
    (run / "metrics.json").write_text('{"split": "test"}')
    with pytest.raises(DataError, match=r"is damaged .*evaluate again"):
        write_report(run)
    (run / BEST).unlink()
    with pytest.raises(DataError, match=r"no checkpoint"):
        write_report(run)
    assert not (run / "report.html").exists()


def test_the_gallery_takes_best_median_and_worst_once_each() -> None:
    table = pd.DataFrame({"patch": range(21), "pixel_accuracy": [*np.linspace(1, 0, 20), np.nan]})
    assert choose(table) == {"best": [0, 1, 2], "median": [8, 9, 10], "worst": [17, 18, 19]}
    for count in range(1, 10):
        rows = [row for group in choose(table[:count]).values() for row in group]
        assert sorted(rows) == list(range(count))


def test_bands_are_known_by_the_end_of_their_names() -> None:
    reflectance = np.linspace(0, 1, 2 * 21 * 9, dtype=np.float32).reshape(2, 21, 3, 3)
    seasons = [f"{season}_{band}" for season in (1, 2, 3) for band in BANDS]
    true, false = composites(seasons, reflectance)
    assert (true.names, false.names) == (("2_SR_B4", "2_SR_B3", "2_SR_B2"), ("2_SR_B5", "2_SR_B6", "2_SR_B4"))
    (first,) = composites(["VV", "VH"], reflectance[:, :2])
    assert (first.title, first.bands) == ("first bands", (0, 1, 1))


def test_pictures_grey_out_what_is_unknown() -> None:
    reflectance = np.full((1, 7, 2, 2), 0.2, np.float32)
    reflectance[0, :, 0, 1], reflectance[0, 6, 1, 1] = 0.4, np.nan
    picture = composites(BANDS, reflectance)[0].picture(reflectance[0])
    assert picture[1, 1].tolist() == [232, 234, 231]
    assert picture[0, 1].tolist() == [255, 255, 255]
    assert picture[0, 0].tolist() == [0, 0, 0]
    legend = make_study().legend
    assert class_picture(np.array([[1, 255]], np.uint8), legend).tolist() == [[list(legend.classes[1].color), [232, 234, 231]]]


def test_zero_activation_is_white_and_signs_differ() -> None:
    zero, plus, minus = diverging(np.array([[0.0, 2.0, -2.0]]), 2.0)[0].astype(int)
    assert zero.min() > 240
    assert plus[0] > plus[2]
    assert minus[2] > minus[0]
    assert diverging(np.zeros((1, 1)), 0.0).min() > 240


def test_a_headline_says_how_it_stands_to_the_guess() -> None:
    assert Headline("t", 0.9, 0.8, "g", "").gain == "10.0 points above"
    assert Headline("t", 0.5, 0.62, "g", "", is_share=False).gain == "0.120 below"
    assert Headline("t", 0.5, 0.5, "g", "").verdict == "equal"
    assert Headline("t", None, 0.5, "g", "").text == "\u2013"
    assert Headline("t", None, 0.5, "g", "").verdict == ""


def test_shares_of_a_confusion_matrix_are_of_its_rows() -> None:
    cells = matrix([[3, 1], [0, 0]])
    assert [[cell.share for cell in row] for row in cells] == [[0.75, 0.25], [None, None]]
    assert cells[0][0].ink == "#ffffff"


def test_cautions_name_what_makes_figures_weak(made: Any) -> None:
    metrics = json.loads(json.dumps(made[2]))
    corn = metrics["classification"]["per_class"]["corn"]
    corn["base_rate"], corn["auc"] = 0.99, 0.7
    metrics["classification"]["accuracy"] = 0.1
    history = pd.read_csv(made[0] / "history.csv")
    assert "last epoch" not in " ".join(cautions(metrics, history))
    history.loc[history.index[-1], "validation_loss"] = 0.001
    found = " ".join(cautions(metrics, history)).replace("\u00a0", " ")
    assert "Patch labels right: 10.0 %" in found
    assert found.count("Fewer than 20 blocks: intervals are too narrow.") == 1
    assert "corn (99.0 %)" in found
    assert "corn (0)" in found
    assert "last epoch (4)" in found
    assert len(headlines(metrics)) == 8
    assert listing(["corn"]) == "corn"


def test_a_network_that_learnt_nothing_is_said_to(tmp_path: Path) -> None:
    info = make_store(tmp_path / "s.zarr", count=20, size_px=16)
    network = build("baseline", 7, 5)
    torch.nn.init.zeros_(network.dense.weight)
    make_run(tmp_path / "run", tmp_path / "s.zarr", info, network)
    evaluate(tmp_path / "run")
    text = Page(write_report(tmp_path / "run").read_text()).text
    assert "never answers corn, soybean, forest and grassland" in text
