"""A run scored against the labels of its store, and against points."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from cropcam.cli import main
from cropcam.model.evaluation.elsewhere import Scored
from cropcam.model.evaluation.evaluate import evaluate
from cropcam.model.evaluation.notes import caveats
from cropcam.model.evaluation.truth import of_points, of_store
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.legend import UNLABELLED
from cropcam.pipeline.store.patch_store import PatchStore, open_store
from support.points import write_split_points
from support.runs import make_config, make_run
from support.stores import make_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PatchStore:
    """18 patches train, 6 validation, 6 test."""
    path = tmp_path_factory.mktemp("truth") / "patches.zarr"
    make_store(path, count=30, size_px=12, nodata_share=0.2)
    return open_store(path)


@pytest.fixture(scope="module")
def blank(tmp_path_factory: pytest.TempPathFactory) -> PatchStore:
    """The same images without labels."""
    path = tmp_path_factory.mktemp("truth") / "blank.zarr"
    make_store(path, count=30, size_px=12, nodata_share=0.2, labels=False)
    return open_store(path)


def rows_of(store: PatchStore, patches: Sequence[int], split: str = "", per_patch: int = 20) -> list[tuple[int, int, int, str, str]]:
    """Labelled pixels of patches, by the store's own labels."""
    names, rows, rng = store.info.classes.names, [], np.random.default_rng(1)
    for patch, class_YX in zip(patches, store.classes(np.array(patches)), strict=True):
        for pixel in rng.choice(144, per_patch, replace=False):
            y, x = divmod(int(pixel), 12)
            if class_YX[y, x] != UNLABELLED:
                rows.append((patch, y, x, names[class_YX[y, x]], split))
    return rows


def test_every_pixel_of_a_split_as_a_point_gives_the_figures_of_the_labels(store: PatchStore, tmp_path: Path) -> None:
    make_run(tmp_path / "run", store.path, store.info)
    expected = evaluate(tmp_path / "run", device="cpu").to_dict()
    rows = rows_of(store, store.split_indices("test").tolist(), per_patch=144)
    points = write_split_points(tmp_path / "p.csv", store, rows)
    found = evaluate(tmp_path / "run", points=points, device="cpu").to_dict()
    own = expected["segmentation"]
    for name, figures in found["segmentation"]["methods"].items():
        assert figures == own["methods"][name]
    assert found["segmentation"]["majority_accuracy"] == own["majority_accuracy"]
    assert (found["truth"]["points"], found["truth"]["has_splits"], found["truth"]["in_trained_patches"]) == (str(points), False, 0)
    assert found["truth"]["pixels"] == len(rows)
    assert found["classification"]["accuracy"] is None
    assert "truth" not in expected
    (written,) = (tmp_path / "run" / "points").glob("p-*/metrics.json")
    assert json.loads(written.read_text()) == found
    assert json.loads((tmp_path / "run" / "metrics.json").read_text()) == expected  # the figures of the labels stay


def test_a_store_without_labels_is_scored_against_points(store: PatchStore, blank: PatchStore, tmp_path: Path) -> None:
    make_run(tmp_path / "run", store.path, store.info)
    points = write_split_points(tmp_path / "p.csv", store, [*rows_of(store, range(30), "test"), *rows_of(store, range(3), "train", 30)])
    with pytest.raises(
        DataError, match=r"blank\.zarr: has no labels to score against; name points with --points FILE, or map it: cropcam map"
    ):
        evaluate(tmp_path / "run", on=blank.path, device="cpu")
    assert (
        main(["evaluate", str(tmp_path / "run"), "--on", str(blank.path), "--split", "test", "--points", str(points), "--device", "cpu"])
        == 0
    )
    (written,) = (tmp_path / "run" / "on").glob("blank-*/metrics.json")
    found = json.loads(written.read_text())
    assert (found["home"], found["patches"], found["truth"]["pixels"]) == (False, 30, len(rows_of(store, range(30))))


def test_points_alone_make_a_run_its_figures_and_its_report(store: PatchStore, blank: PatchStore, tmp_path: Path) -> None:
    """No label raster anywhere: the same file is trained on and scored, each with its own points."""
    rows = [*rows_of(store, range(12), "train"), *rows_of(store, range(12, 18), "validation"), *rows_of(store, range(18, 30), "test")]
    points, run = write_split_points(tmp_path / "p.csv", store, rows), str(tmp_path / "run")
    words = ["train", str(blank.path), "--run", run, "--labels", "points", "--points", str(points), "--model", "linear", "--epochs", "2"]
    assert main([*words, "--device", "cpu"]) == 0
    assert main(["evaluate", run, "--points", str(points), "--device", "cpu"]) == 0
    found = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert (found["patches"], found["truth"]["in_trained_patches"]) == (len({row[0] for row in rows if row[4] == "test"}), 0)
    assert main(["report", run]) == 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert f"The truth is {found['truth']['pixels']:,} points of " in page


def test_points_in_trained_patches_are_told(store: PatchStore, tmp_path: Path) -> None:
    make_run(tmp_path / "run", store.path, store.info)
    train, test = (store.split_indices(split).tolist() for split in ("train", "test"))
    rows = [*rows_of(store, train[:2], "test"), *rows_of(store, test, "test")]
    found = evaluate(tmp_path / "run", points=write_split_points(tmp_path / "p.csv", store, rows), device="cpu").to_dict()
    trained = sum(row[0] in train for row in rows)
    assert found["truth"]["in_trained_patches"] == trained > 0
    told = caveats(found)
    assert f"{trained} of them lie in patches that the run was trained on: these metrics are optimistic." in told
    assert not [line for line in told if "is the label of no patch" in line]


def test_a_run_of_points_knows_its_own_training_patches(store: PatchStore, tmp_path: Path) -> None:
    """The file's splits count, not the store's: patch 0 has no point of the training."""
    rows = [*rows_of(store, range(20, 24), "train"), *rows_of(store, range(3), "test"), *rows_of(store, range(20, 21), "test")]
    points = write_split_points(tmp_path / "p.csv", store, rows)
    config = make_config(store.path, store.info, labels="points", points=str(points), loss="cross-entropy")
    truth = of_points(Scored(store, "test", tmp_path, "patches", True), points, "", config)
    assert truth.patches_N.tolist() == [0, 1, 2, 20]
    assert truth.about["in_trained_patches"] == sum(row[4] == "test" and row[0] == 20 for row in rows)


def test_no_point_in_the_split_is_refused(store: PatchStore, tmp_path: Path) -> None:
    config = make_config(store.path, store.info)
    for split, step in (
        ("", r"; add a column split \(train, validation, test\), or score --split all$"),
        ("train", r"; without a column split"),
    ):
        points = write_split_points(
            tmp_path / "p.csv", store, rows_of(store, store.split_indices("validation")[:2].tolist(), "validation" if split else "")
        )
        with pytest.raises(DataError, match=rf"p\.csv: none of its points of the split test lies in a patch of .*patches\.zarr{step}"):
            of_points(Scored(store, "test", tmp_path, "patches", True), points, "", config)


def test_the_labels_of_a_store(store: PatchStore, tmp_path: Path) -> None:
    truth = of_store(Scored(store, "all", tmp_path, "patches", True), tmp_path)
    np.testing.assert_array_equal(truth.share_NK, store.share_NK)
    np.testing.assert_array_equal(truth.classes(truth.patches_N[3:5]), store.classes(np.array([3, 4])))
    assert truth.about == {}
