"""Runs over several stores through the whole product: training, figures, report, comparison, map, export; cross-validation over stores."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import cropcam
from cropcam.cli import main
from cropcam.model.documents import CrossValidation, ExportModel, check
from cropcam.model.evaluation.evaluate import evaluate
from cropcam.model.report.compare import compare
from cropcam.model.report.run_report import write_report
from cropcam.model.runs.config import load_config
from cropcam.model.training import train as module
from cropcam.pipeline.encoding import BandEncoding
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.store.patch_store import open_store
from cropcam.pipeline.study.study import parse_study
from support.pages import Page
from support.runs import train
from support.stores import make_store, make_study, write_store

SIZE, COUNT = 12, 30
CHEAP: dict[str, Any] = {"model": "baseline", "labels": "shares", "passes": 1, "batch_size": 8}


def in_float(path: Path, out: Path) -> None:
    """The same patches and labels as a store of reflectance: float32, NaN = nodata."""
    store, all_N = open_store(path), np.arange(COUNT)
    encoding = BandEncoding.uniform("float32", len(store.bands), 1.0, 0.0, float("nan"))
    tables = {name: store.table(name).reshape(store.info.patch_grid.count, -1)[:COUNT].squeeze() for name in ("split", "valid", "reason")}
    arrays = {
        "image": store.encoding.physical(store.images(all_N)).astype(np.float32),
        "label": store.labels(all_N),
        "share": store.share_NK,
    }
    write_store(out, replace(store.info, encoding=encoding), {**arrays, **tables})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three stores, ohio of another encoding; BOTH trained on iowa and ohio, HELD with utah held out; both evaluated."""
    folder = tmp_path_factory.mktemp("several")
    for seed, name in enumerate(("iowa", "ohio", "utah")):
        make_store(folder / f"{name}.zarr" if name != "ohio" else folder / "as_uint16", COUNT, SIZE, seed)
    in_float(folder / "as_uint16", folder / "ohio.zarr")
    train(paths(folder, "iowa", "ohio"), folder / "both", device="cpu", epochs=2, **CHEAP)
    train(paths(folder, "iowa", "ohio", "utah"), folder / "held", device="cpu", epochs=2, hold_out_store="utah", **CHEAP)
    evaluate(folder / "both", device="cpu")
    evaluate(folder / "held", device="cpu")
    for name in ("utah", "iowa", "ohio"):
        evaluate(folder / "both", on=folder / f"{name}.zarr", device="cpu")
    return folder


def paths(folder: Path, *names: str) -> Any:
    return [folder / f"{name}.zarr" for name in names]


def test_a_store_held_out_is_not_trained_on(made: Path) -> None:
    both, held = (load_config(made / name) for name in ("both", "held"))
    assert held.store.mean == pytest.approx(both.store.mean), "the standardisation is that of the stores that are trained on"
    metrics, table = json.loads((made / "held/metrics.json").read_text()), pd.read_csv(made / "held/patches.csv")
    assert (metrics["home"], metrics["store"]["name"], metrics["patches"], set(table["store"])) == (False, "utah", COUNT, {"utah"})
    assert "- store utah" in (card := (made / "held/README.md").read_text())
    assert card.count("held out: its patches are the test split") == 1


def test_figures_are_of_all_stores_and_of_each(made: Path) -> None:
    metrics, table = json.loads((made / "both/metrics.json").read_text()), pd.read_csv(made / "both/patches.csv")
    assert metrics["home"] is True
    assert {name: part["patches"] for name, part in metrics["stores"].items()} == {"iowa": 6, "ohio": 6}
    for name, own in table.groupby("store"):
        expected = (own["pixel_accuracy"] * own["labelled_pixels"]).sum() / own["labelled_pixels"].sum()
        assert metrics["stores"][name]["pixel_accuracy"] == pytest.approx(expected, abs=1e-5)
    with pytest.raises(ConfigError, match=r"--save writes the places of one store; name it: cropcam evaluate .*both --on STORE --save"):
        evaluate(made / "both", save=made / "saved.zarr", device="cpu")
    evaluate(made / "both", on=made / "ohio.zarr", save=made / "saved.zarr", device="cpu")
    with pytest.raises(ConfigError, match=r"was trained on 2 stores; --store names the place of one: put them back .*iowa\.zarr"):
        evaluate(made / "both", store=made / "iowa.zarr", device="cpu")


def test_the_report_has_a_map_for_each_store(made: Path) -> None:
    for name, stores in (("both", ("iowa", "ohio")), ("held", ("iowa", "ohio", "utah"))):
        text = write_report(made / name).read_text()
        page = Page(text)
        assert page.open == []
        assert re.findall(r"map of the patch grid of (\w+), north up", text) == [*stores]
        ids = re.findall(r' id="([^"]+)"', text)
        assert len(ids) == len({*ids})
        assert "accuracy-map-1" in text
    assert "utah, patch" in page.text
    assert "held out: not trained on" in page.text


def test_runs_over_several_stores_are_compared(made: Path) -> None:
    found = compare([made / "both", made / "held"], made / "compared")
    table = found.table
    rows = list(zip(table["run"], table["place"].str.split("-").str[0], table["home"], strict=True))
    assert rows == [
        ("both", "iowa + ohio", True),
        ("both", "iowa", True),
        ("both", "ohio", True),
        ("both", "utah", False),
        ("held", "utah", False),
    ]
    assert table["pixel_accuracy_gain"].notna().tolist() == [False, False, False, False, True], "the same pixels, held out and away"
    assert table["pixel_accuracy_gain"][4] == pytest.approx(table["pixel_accuracy"][4] - table["pixel_accuracy"][3], abs=1e-4)
    assert table["pixel_accuracy_from_home"].notna().tolist() == [False, False, False, True, False]
    assert any("held differs from both in the stores: iowa and ohio and utah against iowa and ohio" in text for text in found.cautions)
    columns, rows_of = json.loads((made / "both/metrics.json").read_text())["intervals"]["block_patches"]
    patches = pd.read_csv(made / "both/patches.csv")
    blocks = {*zip(patches["store"], patches["row"] // rows_of, patches["col"] // columns, strict=True)}
    assert table["blocks"][0] == len(blocks) > len({block[1:] for block in blocks})
    same = compare([made / "both", copied(made / "both", made / "again")], made / "same").table
    assert same["pixel_accuracy_gain"].iloc[-1] == 0
    assert Page(found.page.read_text()).open == []


def copied(run: Path, to: Path) -> Path:
    """The same run under another name; its stores are beside it."""
    to.mkdir()
    for path in run.iterdir():
        if path.is_file():
            (to / path.name).write_bytes(path.read_bytes())
    return to


def test_a_map_of_one_of_the_stores_is_at_home(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("iowa", "ohio"):
        assert (
            main(["map", str(made / "both"), "--store", str(made / f"{name}.zarr"), "--out", str(made / f"{name}.tif"), "--device", "cpu"])
            == 0
        )
        assert "outside the area" not in capsys.readouterr().err
    assert (made / "both/seen.json").is_file()


def test_a_model_of_several_encodings_takes_physical_values(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export-model", str(made / "both"), "--to", str(made / "both.pt2"), "--json"]) == 0
    found = check(ExportModel, capsys.readouterr().out)
    assert (found["file"], found["bytes"]) == (str(made / "both.pt2"), (made / "both.pt2").stat().st_size)


def test_a_killed_run_goes_on_to_the_same_bytes(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stores, run_epoch = paths(made, "iowa", "ohio"), module.Trainer.run_epoch

    def killed(self: Any, *args: Any) -> bool:
        if self.epoch == 1:
            raise RuntimeError("killed")
        return run_epoch(self, *args)

    monkeypatch.setattr(module.Trainer, "run_epoch", killed)
    with pytest.raises(RuntimeError, match="killed"):
        train(stores, tmp_path / "run", device="cpu", epochs=2, **CHEAP)
    monkeypatch.undo()
    train(stores, tmp_path / "run", device="cpu", resume=True)
    for name in ("best.safetensors", "last.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (made / "both" / name).read_bytes(), name


def test_crossval_leaves_each_store_out_and_repeats_nothing(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["crossval", *map(str, paths(made, "iowa", "ohio", "utah")), "--out", str(made / "folds"), "--device", "cpu"]
    words += ["--epochs", "1", "--labels", "shares", "--model", "baseline"]
    assert main(words) == 0
    first, times = capsys.readouterr().out, stamps(made / "folds")
    table = pd.read_csv(made / "folds/crossval.csv")
    assert table["fold"].tolist() == ["iowa", "ohio", "utah", "mean"]
    assert table["patches"].tolist() == [COUNT, COUNT, COUNT, 3 * COUNT]
    assert table["trained_on"].tolist()[:3] == ["ohio, utah", "iowa, utah", "iowa, ohio"]
    own = json.loads((made / "folds/without-iowa/metrics.json").read_text())
    default = own["segmentation"]["methods"][own["segmentation"]["default"]]
    assert table["home_pixel_accuracy"][0] == pytest.approx(default["pixel_accuracy"], abs=1e-6)
    assert table["difference"][0] == pytest.approx(table["pixel_accuracy"][0] - table["home_pixel_accuracy"][0], abs=1e-5)
    assert table["pixel_accuracy"][3] == pytest.approx(table["pixel_accuracy"][:3].mean(), abs=1e-6)
    mean = json.loads((made / "folds/crossval.json").read_text())["mean"]
    assert mean["pixel_accuracy"] == pytest.approx(table["pixel_accuracy"][3], abs=1e-6)
    assert main(words) == 0
    assert (capsys.readouterr().out, stamps(made / "folds")) == (first, times)
    assert main([*words, "--json"]) == 0
    found = check(CrossValidation, capsys.readouterr().out)
    assert [row["fold"] for row in found["rows"]] == ["iowa", "ohio", "utah", "mean"]
    assert first.splitlines()[-1] == f"next: cropcam compare {' '.join(found['runs'])} --out {made / 'folds' / 'comparison'}"


def stamps(folder: Path) -> dict[str, tuple[int, str]]:
    """When the metrics of all folds were written, and of which weights."""
    found = sorted(folder.rglob("metrics.json"))
    return {str(path): (path.stat().st_mtime_ns, json.loads(path.read_text())["provenance"]["checkpoint_digest"]) for path in found}


def test_crossval_over_years_scores_each_store_of_a_year(tmp_path: Path) -> None:
    for seed, (name, year) in enumerate((("a-2021", 2021), ("b-2021", 2021), ("a-2022", 2022))):
        values = make_study(8).to_dict()
        values["image"]["seasons"] = [[f"{year}-06-01", f"{year}-09-01"]]
        make_store(tmp_path / f"{name}.zarr", 20, 8, seed, study=parse_study(values))
    stores = [tmp_path / f"{name}.zarr" for name in ("a-2021", "b-2021", "a-2022")]
    settings = cropcam.Settings(epochs=1, **CHEAP)
    rows = cropcam.crossval(stores, tmp_path / "out", settings, leave_out="year", device="cpu").rows()
    assert [(row["fold"], row["left_out"], row["trained_on"]) for row in rows] == [
        ("2021", "a-2021", "a-2022"),
        ("2021", "b-2021", "a-2022"),
        ("2022", "a-2022", "a-2021, b-2021"),
        ("mean", "2 folds", ""),
    ]
    assert rows[0]["home_pixel_accuracy"] == rows[1]["home_pixel_accuracy"]
