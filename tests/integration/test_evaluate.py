"""Evaluating a run: every metric recomputed from the files of `--save` by scikit-learn; and errors."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from sklearn import metrics as oracle

import cropcam.model.segmentation.predictions
from cropcam.cli import main
from cropcam.model.evaluation.evaluate import evaluate
from cropcam.model.evaluation.model_card import write_model_card
from cropcam.model.evaluation.notes import missing_class_notes
from cropcam.model.evaluation.prediction_store import prediction_writer
from cropcam.model.networks import build
from cropcam.model.report import terminal as printed
from cropcam.model.report.content import cautions
from cropcam.model.report.runs import read_history
from cropcam.model.runs.cautions import read_cautions
from cropcam.model.runs.checkpoint import BEST, CARD
from cropcam.model.runs.config import CONFIG, load_config
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.legend import UNLABELLED
from cropcam.pipeline.store.patch_store import open_store
from cropcam.pipeline.store.schema import StoreInfo
from support.runs import make_run
from support.store_parts import all_images, all_labels, replace_values
from support.stores import make_store


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, StoreInfo]:
    folder = tmp_path_factory.mktemp("evaluate")
    info = make_store(folder / "patches.zarr", count=100, nodata_share=0.3, seed=3)
    make_run(folder / "run", folder / "patches.zarr", info)
    return folder / "run", folder / "patches.zarr", info


@pytest.fixture(scope="module")
def result(made: tuple[Path, Path, StoreInfo]) -> tuple[dict[str, Any], xr.Dataset]:
    run = made[0]
    # batches smaller than the split, so that what they add up to is tested too
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cropcam.model.segmentation.predictions, "BATCH_PATCHES", 8)
        found = evaluate(run, save=run / "segmentation.zarr").to_dict()
    return found, xr.open_zarr(run / "segmentation.zarr")


def test_metrics_json_has_the_contracts_keys(made: Any, result: Any) -> None:
    found = json.loads((made[0] / "metrics.json").read_text())
    assert found == result[0]
    assert {"split", "patches", "labels", "home", "store", "classification", "segmentation", "intervals", "provenance"} == set(found)
    assert (found["split"], found["patches"], found["labels"]) == ("test", 20, "presence")
    assert {"accuracy", "majority_accuracy", "per_class"} <= set(found["classification"])
    names = ["background", "corn", "soybean", "forest", "grassland"]
    assert list(found["classification"]["per_class"]) == list(found["segmentation"]["cam_auc"]) == names
    assert {"accuracy", "base_rate", "auc", "average_precision", "confusion"} <= set(found["classification"]["per_class"]["corn"])
    assert {"majority_accuracy", "cam_auc", "methods", "default"} <= set(found["segmentation"])
    assert found["segmentation"]["default"] == "cam-argmax"
    method = found["segmentation"]["methods"]["cam-argmax"]
    figures = {"pixel_accuracy", "mean_class_accuracy", "macro_f1", "mean_iou"}
    assert figures | {f"{name}_ci95" for name in figures} | {"per_class", "confusion"} == set(method)


def test_the_model_card_has_the_metrics_of_these_weights_alone(made: Any, result: Any, tmp_path: Path) -> None:
    run = shutil.copytree(made[0], tmp_path / "run", ignore=shutil.ignore_patterns("*.zarr"))
    figure = f"label accuracy {result[0]['classification']['accuracy']:.4f}"
    config = load_config(run)
    for values, shown in ((result[0], True), (result[0] | {"provenance": {"checkpoint_digest": "0" * 64}}, False), ({}, False)):
        (run / "metrics.json").write_text(json.dumps(values))
        write_model_card(run, config)
        card = (run / CARD).read_text()
        assert (figure in card, "not evaluated yet" in card) == (shown, not shown)


def test_every_metric_has_an_interval_that_contains_it(result: Any) -> None:
    found = result[0]
    assert (found["intervals"]["blocks"], found["intervals"]["block_patches"]) == (11, [3, 3])
    parts = [found["classification"], *found["classification"]["per_class"].values(), found["segmentation"]["majority"]]
    for method in found["segmentation"]["methods"].values():
        parts += [method, *method["per_class"].values()]
    maps = found["segmentation"]["cam_auc"]
    parts.append({**maps, **{f"{name}_ci95": some for name, some in found["segmentation"]["cam_auc_ci95"].items()}})
    counted = {"threshold", "patches", "presence_min_share"}
    seen = with_interval = 0
    for part in parts:
        for name in [name for name, value in part.items() if isinstance(value, float) and name not in counted]:
            seen += 1
            if part[f"{name}_ci95"] is not None:  # few blocks of this little split hold every answer
                low, high = part[f"{name}_ci95"]
                assert low <= part[name] <= high, name
                with_interval += 1
    methods = len(found["segmentation"]["methods"])
    assert seen <= 8 + 5 * 8 + 4 + methods * (4 + 5 * 5) + 5
    assert seen > 50 + methods * 20
    assert with_interval > 0.8 * seen


def test_segmentation_metrics_are_those_of_scikit_learn_on_the_saved_store(result: Any) -> None:
    found, saved = result
    counts = saved["truth"].to_numpy() != UNLABELLED
    truth, guess = saved["truth"].to_numpy()[counts], saved["segmentation"].to_numpy()[counts]
    part = found["segmentation"]
    method = part["methods"]["cam-argmax"]
    np.testing.assert_array_equal(method["confusion"], oracle.confusion_matrix(truth, guess, labels=range(5)))
    assert method["pixel_accuracy"] == pytest.approx(oracle.accuracy_score(truth, guess))
    assert method["mean_class_accuracy"] == pytest.approx(oracle.balanced_accuracy_score(truth, guess))
    assert method["macro_f1"] == pytest.approx(oracle.f1_score(truth, guess, average="macro"))
    assert method["mean_iou"] == pytest.approx(oracle.jaccard_score(truth, guess, average="macro"))
    assert part["pixels"] == counts.sum()
    assert part["majority_accuracy"] == pytest.approx(np.bincount(truth).max() / truth.size)
    cam = saved["cam"].to_numpy()
    for k, auc in enumerate(part["cam_auc"].values()):
        assert auc == pytest.approx(oracle.roc_auc_score(truth == k, cam[:, k][counts]), abs=1e-4)


def test_classification_metrics_are_those_of_scikit_learn(made: Any, result: Any) -> None:
    found, saved = result
    present = open_store(made[1]).share_NK[saved["patch"].to_numpy()] > np.float32(0.05)
    probability = saved["probability"].to_numpy()
    part = found["classification"]
    assert part["accuracy"] == pytest.approx(((probability > 0.5) == present).mean())
    assert part["exact_match"] == pytest.approx(oracle.accuracy_score(present, probability > 0.5))
    assert part["majority_accuracy"] == pytest.approx(np.mean([max(p, 1 - p) for p in present.mean(axis=0)]))
    assert part["labels_per_patch"] == pytest.approx(present.sum(axis=1).mean())
    for k, values in enumerate(part["per_class"].values()):
        np.testing.assert_array_equal(values["confusion"], oracle.confusion_matrix(present[:, k], probability[:, k] > 0.5))
        assert values["auc"] == pytest.approx(oracle.roc_auc_score(present[:, k], probability[:, k]))
        assert values["average_precision"] == pytest.approx(oracle.average_precision_score(present[:, k], probability[:, k]))


def test_truth_and_nodata_of_the_saved_store_are_the_patch_stores(made: Any, result: Any) -> None:
    _, saved = result
    store, patches = open_store(made[1]), saved["patch"].to_numpy()
    assert (store.split_N[patches] == 2).all()
    nodata = (store.images(patches) == 0).any(axis=1)
    assert nodata.any()
    np.testing.assert_array_equal(saved["segmentation"].to_numpy() == 255, nodata)
    np.testing.assert_array_equal(np.isnan(saved["cam"].to_numpy()).any(axis=1), nodata)
    np.testing.assert_array_equal(saved["truth"].to_numpy(), np.where(nodata, 255, store.info.classes.index(store.labels(patches))))
    np.testing.assert_array_equal(saved["row"], store.row_N[patches])
    np.testing.assert_array_equal(saved["col"], store.col_N[patches])


def test_saved_coordinates_are_pixel_centres_in_the_stores_crs(made: Any, result: Any) -> None:
    _, saved = result
    assert set(saved.coords) == {"patch", "row", "col", "xc", "yc"}
    a, _, c, _, e, f = made[2].transform
    one = saved.isel(patch=3)
    assert one["xc"].to_numpy()[7] == pytest.approx(c + a * (int(one["col"]) * 50 + 7.5))
    assert one["yc"].to_numpy()[49] == pytest.approx(f + e * (int(one["row"]) * 50 + 49.5))
    assert saved.attrs["crs"] == made[2].crs
    assert [item["name"] for item in saved.attrs["classes"]] == list(made[2].classes.names)
    assert saved.attrs["provenance"]["store_digest"] == made[2].digest


def test_the_table_of_patches_adds_up_to_the_metrics(made: Any, result: Any) -> None:
    found, saved = result
    table = pd.read_csv(made[0] / "patches.csv")
    assert list(table) == ["patch", "row", "col", "pixel_accuracy", "label_accuracy", "labelled_pixels"]
    np.testing.assert_array_equal(table["patch"], saved["patch"])
    weighted = (table["pixel_accuracy"] * table["labelled_pixels"]).sum() / table["labelled_pixels"].sum()
    assert weighted == pytest.approx(found["segmentation"]["methods"]["cam-argmax"]["pixel_accuracy"], abs=1e-5)
    assert table["label_accuracy"].mean() == pytest.approx(found["classification"]["accuracy"], abs=1e-5)


def test_evaluating_twice_writes_the_same_bytes_and_replaces_the_saved_store(made: Any, tmp_path: Path) -> None:
    run, save, seen = made[0], tmp_path / "out.zarr", []
    first = (evaluate(run, save=save), (run / "metrics.json").read_bytes(), (run / "patches.csv").read_bytes())
    before = {path.relative_to(save): path.read_bytes() for path in save.rglob("*") if path.is_file()}
    evaluate(run, save=save, progress=lambda *step: seen.append(step))
    assert (run / "metrics.json").read_bytes() == first[1]
    assert (run / "patches.csv").read_bytes() == first[2]
    assert {path.relative_to(save): path.read_bytes() for path in save.rglob("*") if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out.zarr"]
    assert seen[-1] == (20, 20, "test")


@pytest.mark.usefixtures("result")
def test_the_saved_store_opens_without_a_warning(made: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened = xr.open_zarr(made[0] / "segmentation.zarr")
    assert str(opened["segmentation"].dtype) == "uint8"
    assert opened["cam"].dims == ("patch", "class", "y", "x")


def test_another_split_is_scored_on_its_own_patches(made: Any) -> None:
    assert evaluate(made[0], split="validation").patches == 20
    assert evaluate(made[0], split="train").patches == 60
    with pytest.raises(ConfigError, match="no split 'holdout'; known: train, validation, test"):
        evaluate(made[0], split="holdout")


def test_metrics_of_a_class_without_positives_or_negatives_are_null(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info = make_store(tmp_path / "s.zarr", count=40, size_px=16)
    share = np.zeros((40, 5), np.float32)
    share[:, 0] = 1.0
    replace_values(tmp_path / "s.zarr", share=share, label=np.full((40, 16, 16), 111, np.uint8))
    make_run(tmp_path / "run", tmp_path / "s.zarr", info)
    found = evaluate(tmp_path / "run").to_dict()
    corn, background = (found["classification"]["per_class"][name] for name in ("corn", "background"))
    assert (corn["auc"], corn["average_precision"], corn["base_rate"], corn["recall"]) == (None, None, 0.0, None)
    assert (background["auc"], background["average_precision"]) == (None, None)
    assert set(found["segmentation"]["cam_auc"].values()) == {None}
    assert found["segmentation"]["methods"]["cam-argmax"]["per_class"]["corn"]["accuracy"] is None
    assert found["segmentation"]["majority_accuracy"] == found["classification"]["majority_accuracy"] == 1.0
    default = found["segmentation"]["methods"]["cam-argmax"]
    assert any(sum(column) for column in list(zip(*default["confusion"], strict=True))[1:]), "absent classes are predicted"
    for entry in [*list(default["per_class"].values())[1:], *list(found["classification"]["per_class"].values())[1:]]:
        assert {entry[key] for key in entry if key.startswith(("f1", "iou", "precision", "recall"))} == {None}
    assert default["macro_f1"] == default["per_class"]["background"]["f1"]
    assert default["mean_iou"] == default["per_class"]["background"]["iou"]
    notes = missing_class_notes(found)
    assert [line.split(":")[0] for line in notes] == [
        f"Class {name} is absent from the test split" for name in ("corn", "soybean", "forest", "grassland")
    ]
    assert main(["evaluate", str(tmp_path / "run"), "--device", "cpu"]) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
    assert said[:5] == [*(f"note: {line}" for line in notes), "note: Fewer than 20 blocks: intervals are too narrow."]
    assert said[5:] == [f"note: {line}" for line in cautions(found, read_history(tmp_path / "run"))[5:]]
    found["segmentation"]["class_shares"]["corn"] = 0.01
    assert (
        "Class corn is the label of no patch in the test split: the precision, recall, F1 and AUC of its label are undefined"
        in missing_class_notes(found)[0]
    )


def test_every_method_is_printed_with_the_default_marked(made: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(made[0], tmp_path / "run", ignore=shutil.ignore_patterns("*.zarr"))
    words = ["evaluate", str(tmp_path / "run"), "--store", str(made[1]), "--device", "cpu"]
    assert main(words) == 0
    out, found = capsys.readouterr().out.splitlines(), json.loads((tmp_path / "run" / "metrics.json").read_text())
    part = found["segmentation"]
    assert out[5].split() == ["method", "pixel", "accuracy", "macro", "F1"]
    rows = dict(zip(part["methods"], out[6 : out.index("", 5)], strict=True))
    for name, line in rows.items():
        values = part["methods"][name]
        spans = ([f"[{low:.4f},", f"{high:.4f}]"] for low, high in (values["pixel_accuracy_ci95"], values["macro_f1_ci95"]))
        assert line.split()[:7] == [
            name,
            *(word for key, span in zip(("pixel_accuracy", "macro_f1"), spans, strict=True) for word in (f"{values[key]:.4f}", *span)),
        ]
        assert line.endswith("default") == (name == part["default"])
        assert line[out[5].index("macro F1") :].split()[0] == f"{values['macro_f1']:.4f}", "columns stand below their names"
    classes = dict(zip(part["class_shares"], out[out.index("", 5) + 2 : -2], strict=True))
    for name, line in classes.items():
        entry, label = part["methods"][part["default"]]["per_class"][name], found["classification"]["per_class"][name]
        values = [part["class_shares"][name], entry["accuracy"], entry["precision"], entry["f1"]]
        assert line.split()[:5] == [name, *("undefined" if value is None else f"{value:.4f}" for value in values)]
        assert {f"{label['base_rate']:.4f}", "undefined" if label["auc"] is None else f"{label['auc']:.4f}"} <= set(line.split()[5:])
    assert main([*words, "--json"]) == 0
    document, known = json.loads(capsys.readouterr().out), read_cautions(tmp_path / "run")
    assert document.pop("warnings") == [*known, *cautions(found, read_history(tmp_path / "run"))]
    assert document == found


def _refused(run: Path, match: str, **options: Any) -> None:
    before = sorted(path.name for path in run.parent.iterdir())
    with pytest.raises(DataError, match=match) as caught:
        evaluate(run, **options)
    assert "\n" not in str(caught.value)
    assert not (run / "metrics.json").exists()
    assert sorted(path.name for path in run.parent.iterdir()) == before


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, Path, StoreInfo]:
    info = make_store(tmp_path / "s.zarr", count=20, size_px=16)
    make_run(tmp_path / "run", tmp_path / "s.zarr", info)
    return tmp_path / "run", tmp_path / "s.zarr", info


def test_a_store_that_is_gone_is_named(small: Any, tmp_path: Path) -> None:
    small[1].rename(tmp_path / "moved.zarr")
    _refused(small[0], r"trained on the store .*s\.zarr, which is missing; pass its path with --store")
    assert evaluate(small[0], store=tmp_path / "moved.zarr").patches == 4


def test_another_store_is_refused_with_both_digests_and_the_field(small: Any, tmp_path: Path) -> None:
    other = make_store(tmp_path / "other.zarr", count=20, size_px=25)
    match = f"{small[2].digest[:12]}, .*other.zarr is store {other.digest[:12]}: height: 16 against 25 .and 8 more"
    _refused(small[0], match, store=tmp_path / "other.zarr")


def test_the_same_study_cut_from_other_inputs_is_refused(small: Any, tmp_path: Path) -> None:
    make_store(tmp_path / "other.zarr", count=20, size_px=16, seed=1)
    _refused(small[0], "split_seed: 0 against 1 .and [0-9]+ more", store=tmp_path / "other.zarr")


def test_a_run_without_checkpoint_or_with_a_corrupt_one_is_refused(small: Any) -> None:
    (small[0] / BEST).write_bytes(b"nonsense")
    _refused(small[0], "damaged checkpoint")
    (small[0] / BEST).unlink()
    _refused(small[0], "no checkpoint; train the run first")
    (small[0] / CONFIG).unlink()
    _refused(small[0], "no run folder")


@pytest.mark.parametrize("array", ["image", "label"])
def test_a_split_without_data_or_labels_is_refused_and_nothing_saved(small: Any, tmp_path: Path, array: str) -> None:
    values = {"image": all_images, "label": all_labels}[array](small[1])
    replace_values(small[1], **{array: np.zeros_like(values)})
    _refused(small[0], "has a pixel with a label and image data", save=tmp_path / "out.zarr")


def test_an_empty_split_is_refused(small: Any) -> None:
    replace_values(small[1], split=np.zeros(20, np.uint8))
    _refused(small[0], "no patch lies in the test split")


def test_a_diverged_network_is_refused(small: Any) -> None:
    network = build("baseline", 7, 5)
    torch.nn.init.constant_(network.dense.weight, 3e38)  # finite, but its products are not
    make_run(small[0], small[1], small[2], network)
    _refused(small[0], "not finite: its training diverged", save=small[0].parent / "out.zarr")


def test_something_else_at_the_place_of_the_saved_store_is_left_alone(small: Any, tmp_path: Path) -> None:
    _refused(small[0], "s.zarr: is there already and holds no segmentation that cropcam wrote", save=small[1])
    (tmp_path / "folder" / "thesis").mkdir(parents=True)
    _refused(small[0], "folder: is there already and holds no segmentation that cropcam wrote", save=tmp_path / "folder")
    (tmp_path / "notes.zarr").write_text("mine")
    _refused(small[0], "notes.zarr: is a file; name a folder", save=tmp_path / "notes.zarr")
    assert (tmp_path / "notes.zarr").read_text() == "mine"


def test_interrupted_it_leaves_the_older_results(small: Any, tmp_path: Path) -> None:
    run, save = small[0], tmp_path / "out.zarr"
    evaluate(run, save=save)
    before = (run / "metrics.json").read_bytes(), (save / "zarr.json").read_bytes()

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt("stop")

    with pytest.raises(KeyboardInterrupt, match="stop"):
        evaluate(run, split="validation", save=save, progress=interrupt)
    assert ((run / "metrics.json").read_bytes(), (save / "zarr.json").read_bytes()) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.zarr", "run", "s.zarr"]


def test_files_that_a_thread_writes_after_another_failed_are_removed(made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Zarr's threads write the metadata of an array and of its group side by side: the one may fail before the other has begun."""
    partial, remove, removed = tmp_path / ".out.zarr.partial.zarr", shutil.rmtree, []

    def late(folder: Path, *words: Any, **more: Any) -> None:
        remove(folder, *words, **more)
        removed.append(folder)
        if len(removed) == 1:  # behind its back, once it is gone
            partial.mkdir()
            (partial / "zarr.json").write_text("{}")

    def failing() -> None:
        with prediction_writer(tmp_path / "out.zarr", made[2], np.zeros((2, 3), np.int32), {}):
            monkeypatch.setattr(shutil, "rmtree", late)
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        failing()
    assert len(removed) == 2
    assert not list(tmp_path.iterdir())


def test_a_metric_that_is_null_is_printed_as_undefined() -> None:
    method = {"pixel_accuracy": None, "macro_f1": 0.5}
    assert printed.methods({"default": "cam-argmax", "methods": {"cam-argmax": method}}).splitlines()[1].split() == [
        "cam-argmax",
        "undefined",
        "0.5000",
        "default",
    ]
