"""The model card: from the configuration alone, with the selected epoch, with metrics of these weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cropcam.model.evaluation.model_card import model_card, write_model_card
from cropcam.model.runs.checkpoint import BEST, CARD, HISTORY, METRICS
from cropcam.model.runs.config import StorePart
from cropcam.model.runs.history import Row
from cropcam.pipeline.runtime.hashing import file_sha256
from cropcam.pipeline.store.schema import StoreInfo
from support.evaluations import make_metrics
from support.runs import make_config, make_run

ROW = Row(3, 0.4, 0.8, 0.47, 0.78, 0.61, 1.0, 10.0, 0.0)


def test_a_card_without_metrics_has_the_data_and_the_limits(store: Path, info: StoreInfo) -> None:
    card = model_card(make_config(store, info), None, None)
    assert card.startswith("# baseline on demo\n")
    for text in (
        "presence above 5 % of a patch",
        "patches of 12 px",
        info.digest[:12],
        "learning rate 0.001",
        "not evaluated yet",
        "## Limits",
    ):
        assert text in card
    assert "validation, epoch" not in card
    assert "not stated" not in card


def test_a_card_has_the_origin_of_network_and_weights(store: Path, info: StoreInfo) -> None:
    config = make_config(store, info, model="small", model_options="width=8", init="/home/me/w.safetensors", freeze="encoder")
    card = model_card(replace(config, network_package="smallnets==1.2", digests={"init": "ab" * 32}), None, None)
    assert (
        "- network small of smallnets==1.2, width=8\n- initial weights: w.safetensors (sha256 abababababab)\n- not trained: encoder\n"
        in card
    )
    assert "- network" not in model_card(make_config(store, info), None, None)


def test_names_do_not_become_markup(store: Path, info: StoreInfo) -> None:
    config = make_config(store, info)
    config = replace(config, store=replace(config.store, study="a`<img>*b*\n# head"), network=replace(config.network, freeze="[x](y)|_z_"))
    lines = model_card(config, None, None).splitlines()
    assert lines[0] == r"# baseline on a\`\<img\>\*b\*\\n# head"
    assert r"- study `a'<img>*b*\n# head`, " in "".join(lines)
    assert r"- not trained: \[x\](y)\|\_z\_" in lines


def test_a_card_without_store_attributes_has_no_region(store: Path, info: StoreInfo) -> None:
    config = make_config(store, info)
    card = model_card(replace(config, store=replace(config.store, attrs={})), None, None)
    assert "bounds not stated, images not stated" in card


def test_a_card_has_the_selected_epoch_and_the_metrics(store: Path, info: StoreInfo) -> None:
    metrics = {**make_metrics(), "split": "train"}
    lines = model_card(make_config(store, info), ROW, metrics).splitlines()
    assert "- validation, epoch 3: loss 0.4700, accuracy 0.7800; best constant prediction 0.6100" in lines
    assert "- train, 40 patches: label accuracy 0.9000 (majority guess 0.6000)" in lines
    assert "- train, pixels by cam-argmax: accuracy 0.8000 (majority guess 0.5500), macro F1 0.7500" in lines
    assert any("was trained on the train split" in line for line in lines)


@pytest.mark.parametrize(("damage", "evaluated"), [("", True), ("weights", False), ("json", False), ("absent", False)])
def test_metrics_of_other_weights_are_left_out(tmp_path: Path, store: Path, info: StoreInfo, damage: str, evaluated: bool) -> None:
    run = tmp_path / "run"
    config = make_run(run, store, info)
    metrics = make_metrics()
    metrics["provenance"]["checkpoint_digest"] = "0" * 64 if damage == "weights" else file_sha256(run / BEST)
    if damage != "absent":
        (run / METRICS).write_text("{" if damage == "json" else json.dumps(metrics))
    write_model_card(run, config)
    assert ("label accuracy 0.9000" in (run / CARD).read_text()) == evaluated


def test_a_damaged_history_leaves_out_its_line(tmp_path: Path, store: Path, info: StoreInfo) -> None:
    run = tmp_path / "run"
    config = make_run(run, store, info)
    (run / HISTORY).write_text("epoch\n1\n")
    write_model_card(run, config)
    assert "validation, epoch" not in (run / CARD).read_text()


def test_a_card_of_several_stores_names_each(store: Path, info: StoreInfo) -> None:
    parts = tuple(StorePart(name=name, path=name, digest=name * 12, held_out=name == "b", attrs=info.attrs()) for name in "ab")
    lines = model_card(replace(make_config(store, info), stores=parts), None, None).splitlines()
    own, other = (next(line for line in lines if line.startswith(f"- store {name} ({name * 12})")) for name in "ab")
    assert own.startswith("- store a (aaaaaaaaaaaa): study `demo`, bounds [")
    assert "held out" not in own
    assert other.endswith("; held out: its patches are the test split")
