"""Cross-validation over stores: its table, what is refused, what is not repeated. The whole is in tests/integration/test_several_stores.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cropcam.cli import main
from cropcam.model import crossval as module
from cropcam.model.crossval import BEGUN, crossval, is_scored, with_means
from cropcam.model.data.store_groups import Group
from cropcam.model.evaluation.evaluate import evaluate
from cropcam.model.options import Settings
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.store.patch_store import open_store
from support.runs import make_run
from support.stores import make_store


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("crossval")
    for seed, name in enumerate(("iowa", "ohio")):
        make_store(folder / f"{name}.zarr", count=20, size_px=8, seed=seed)
    make_store(folder / "blank.zarr", count=20, size_px=8, seed=2, labels=False)
    return [folder / f"{name}.zarr" for name in ("iowa", "ohio", "blank")]


def row(fold: str, value: float) -> dict[str, Any]:
    names = ("pixel_accuracy", "macro_f1", "majority_accuracy", "home_pixel_accuracy", "difference")
    return {"fold": fold, "left_out": fold, "trained_on": "x", "patches": 10, **dict.fromkeys(names, value), "pixel_accuracy_low": 0.0}


def test_the_last_row_is_the_mean_over_folds_not_over_stores() -> None:
    last = with_means([row("iowa", 0.2), row("iowa", 0.4), row("ohio", 0.9)]).iloc[-1]
    assert (last["fold"], last["left_out"], last["patches"]) == ("mean", "2 folds", 30)
    assert last["pixel_accuracy"] == last["difference"] == pytest.approx(0.6)
    assert last.isna()["pixel_accuracy_low"]


def test_settings_that_do_not_go_with_it_are_refused(stores: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"--hold-out-store iowa does not go with crossval, .*leave the option out"):
        crossval(stores[:2], tmp_path / "out", Settings(hold_out_store="iowa"))
    with pytest.raises(DataError, match=r"blank\.zarr: has no labels to score against when it is left out"):
        crossval(stores, tmp_path / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"--out .*file: is a file; name a folder"):
        crossval(stores[:2], tmp_path / "file")
    make_run(tmp_path / "run", stores[0], open_store(stores[0]).info)
    with pytest.raises(ConfigError, match=r"--out .*run: is the folder of a run; name another one"):
        crossval(stores[:2], tmp_path / "run")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"crossval runs in one process; start it without torchrun"):
        crossval(stores[:2], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--resume"], "cropcam: --resume does not go with crossval, which always goes on where it stopped; leave it out"),
        (["--run", "r"], "cropcam: --run r does not go with crossval, which has a run for each fold; name their folder with --out DIR"),
    ],
)
def test_options_of_train_alone_are_refused(stores: list[Path], words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["crossval", *map(str, stores[:2]), "--out", "out", *words]) == 2
    assert capsys.readouterr().err.strip() == message


def test_a_folder_of_other_stores_or_settings_is_refused(tmp_path: Path) -> None:
    begun: dict[str, Any] = {"leave_out": "store", "stores": {"iowa": "1" * 64, "ohio": "2" * 64}, "settings": {"epochs": 2}}
    module._begin(tmp_path, begun)
    module._begin(tmp_path, begun)
    for change, message in (
        ({"leave_out": "year"}, r"holds a cross-validation with --leave-out store, now year; name another folder"),
        ({"stores": {"iowa": "1" * 64}}, r"with the stores iowa, ohio, now iowa;"),
        ({"stores": {"iowa": "1" * 64, "ohio": "3" * 64}}, r"with another store ohio \(digest 222222222222, now 333333333333\)"),
        ({"settings": {}}, r"with --epochs 2, now no --epochs;"),
        ({"settings": {"epochs": 2, "batch_size": 4}}, r"with no --batch-size, now --batch-size 4;"),
    ):
        with pytest.raises(ConfigError, match=message):
            module._begin(tmp_path, {**begun, **change})
    (tmp_path / BEGUN).write_text("{")
    with pytest.raises(ConfigError, match=r"settings\.json: damaged .*name another folder"):
        module._begin(tmp_path, begun)


def test_metrics_of_the_same_weights_and_split_are_kept(stores: list[Path], tmp_path: Path) -> None:
    make_run(tmp_path / "run", stores[0], open_store(stores[0]).info)
    assert not is_scored(tmp_path / "run", tmp_path / "run", "test")
    evaluate(tmp_path / "run", device="cpu")
    assert is_scored(tmp_path / "run", tmp_path / "run", "test")
    assert not is_scored(tmp_path / "run", tmp_path / "run", "all")
    values = json.loads((tmp_path / "run" / "metrics.json").read_text())
    values["provenance"]["checkpoint_digest"] = "0"
    (tmp_path / "run" / "metrics.json").write_text(json.dumps(values))
    assert not is_scored(tmp_path / "run", tmp_path / "run", "test")


def test_initial_weights_that_have_seen_the_store_are_named(stores: list[Path], tmp_path: Path) -> None:
    opened = [open_store(path) for path in stores[:2]]
    make_run(tmp_path / "run", stores[0], opened[0].info)
    passed = {"init": str(tmp_path / "run")}
    assert "was trained on" in module._leak(passed, opened, Group("iowa", (0,)))
    assert module._leak(passed, opened, Group("ohio", (1,))) == module._leak({}, opened, Group("iowa", (0,))) == ""
