"""The configuration of a run: it reads back equal, and damage gives one line."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from cropcam.model.runs.checkpoint import write_json
from cropcam.model.runs.config import CONFIG, RunConfig, load_config, store_differences
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.store.schema import StoreInfo
from support.packages import install
from support.runs import make_config
from support.stores import make_store, make_study


@pytest.fixture
def run(config: RunConfig, tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    write_json(folder / CONFIG, config.to_json())
    return folder


def test_config_reads_back_equal(run: Path, config: RunConfig) -> None:
    assert load_config(run) == config


def test_the_sections_of_the_file_are_those_of_the_settings(run: Path) -> None:
    values = json.loads((run / CONFIG).read_text())
    assert list(values) == [
        "labels",
        "data",
        "network",
        "optimizer",
        "strategy",
        "store",
        "digests",
        "network_package",
        "trained_patches",
        "code_version",
    ]
    assert (values["labels"]["labels"], values["network"]["model"], values["optimizer"]["loss"]) == ("presence", "baseline", "bce")


def test_a_file_of_an_older_version_is_refused(run: Path) -> None:
    flat = {"study": "x", "labels": "shares", "model": "fcn", "epochs": 16}
    (run / CONFIG).write_text(json.dumps(flat))
    with pytest.raises(
        DataError, match=r"config\.json: written by an older version of cropcam, without sections; train again into another folder"
    ):
        load_config(run)


@pytest.mark.parametrize("section", ["labels", "data", "network", "optimizer", "strategy", "store"])
def test_a_missing_setting_is_damage(run: Path, config: RunConfig, section: str) -> None:
    values = config.to_json()
    del values[section][next(iter(values[section]))]
    (run / CONFIG).write_text(json.dumps(values))
    with pytest.raises(DataError, match=r"config\.json.*; train the run again$"):
        load_config(run)


def test_a_run_from_before_own_networks_has_their_defaults(run: Path, config: RunConfig) -> None:
    values = config.to_json()
    for name in ("model_options", "init", "freeze"):
        del values["network"][name]
    del values["network_package"]
    (run / CONFIG).write_text(json.dumps(values))
    assert load_config(run) == config


def test_a_new_network_has_the_runs_bands_classes_and_options(config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, tmp_path, "smallnets", networks={"small": "smallnets:Small"})
    network = config.changed(model="small", model_options="width=9").new_network()
    assert network.dense.weight.shape == (len(config.store.classes), 9)
    gone = dataclasses.replace(config.changed(model="gone"), network_package="gone-nets==3.1")
    with pytest.raises(ConfigError, match=r"^no network 'gone'; .*: pip install gone-nets==3\.1$"):
        gone.new_network()


def test_settings_change_in_their_sections(config: RunConfig) -> None:
    changed = config.changed(epochs=3, labels="majority", loss="majority", model="unet")
    assert (changed.optimizer.epochs, changed.labels.kind, changed.network.model, changed.setting("epochs")) == (3, "majority", "unet", 3)
    assert changed.store is config.store


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"labels": {}}', "\udcff"])
def test_damaged_config(run: Path, text: str) -> None:
    (run / CONFIG).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=r"config\.json.*; train the run again$"):
        load_config(run)


def test_no_run_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: no run folder \(no config\.json in it\); make one with 'cropcam train"):
        load_config(tmp_path / "nowhere")


def test_store_differences_name_the_field(config: RunConfig, info: StoreInfo, tmp_path: Path) -> None:
    assert store_differences(config.store, info) == []
    assert store_differences(config.store, dataclasses.replace(info, code_version="9")) == []
    assert store_differences(config.store, dataclasses.replace(info, split_seed=7)) == ["split_seed: 0 against 7"]
    other = make_store(tmp_path / "other.zarr", count=14, size_px=8, study=make_study(8, presence_min_share=0.2))
    lines = store_differences(config.store, other)
    assert lines[0] == "study.labels.presence_min_share: 0.05 against 0.2"
    assert [line.split(".")[0] for line in lines[1:]] == ["digests", "digests", "dropped", "statistics", "statistics", "statistics"]


def test_store_differences_without_attributes_give_the_digests(config: RunConfig, info: StoreInfo) -> None:
    other = dataclasses.replace(info, split_seed=7)
    bare = dataclasses.replace(config, store=dataclasses.replace(config.store, attrs={}))
    assert store_differences(bare.store, other) == [f"digest: {info.digest[:12]} against {other.digest[:12]}"]


def test_one_season_suffices_for_a_network_that_takes_missing_ones(tmp_path: Path) -> None:
    info = make_store(tmp_path / "seasons.zarr", count=4, size_px=8, study=make_study(8, preset="demo-seasons"))
    assert make_config(tmp_path / "seasons.zarr", info, model="fcn-time").seasons == 3
    assert make_config(tmp_path / "seasons.zarr", info, model="fcn").seasons == 1
