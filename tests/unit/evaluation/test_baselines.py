"""Baselines: their training pixels, the draw of pixels, and notes where one cannot be trained."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from cropcam.model.evaluation.baselines import fit, sample, segment_all
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.legend import UNLABELLED
from cropcam.pipeline.store.patch_store import PatchStore, open_store
from support.stores import make_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PatchStore:
    path = tmp_path_factory.mktemp("baselines") / "patches.zarr"
    make_store(path, count=40, size_px=12, nodata_share=0.3, seed=2)
    return open_store(path)


def classes_of(store: PatchStore) -> np.ndarray[Any, Any]:
    return np.asarray(store.info.classes.index(store.labels(store.split_indices("train"))))


def physical(store: PatchStore, index: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(store.encoding.physical(store.images(index)))


def test_pixels_are_drawn_evenly_from_usable_ones_and_never_more_than_asked(store: PatchStore) -> None:
    index, classes = store.split_indices("train"), classes_of(store)
    image = np.moveaxis(physical(store, index), 1, -1)
    usable = (classes != UNLABELLED) & np.isfinite(image).all(axis=-1)
    assert not usable.all()
    marked = np.where(usable, np.arange(len(index))[:, None, None], UNLABELLED).astype(np.uint8)  # which patch a pixel is of
    pixels, patch = sample(store, index, marked.__getitem__, np.random.default_rng(0), limit=5 * len(index))
    assert pixels.shape == (5 * len(index), 7)
    assert np.isfinite(pixels).all()
    np.testing.assert_array_equal(np.bincount(patch), 5)
    everything, class_of = sample(store, index, classes.__getitem__, np.random.default_rng(0), limit=10**6)
    assert len(everything) == usable.sum()
    np.testing.assert_array_equal(np.bincount(class_of), np.bincount(classes[usable]))


def test_a_forest_on_labelled_pixels_is_trained_on_these_alone(store: PatchStore) -> None:
    legend = store.info.classes
    index, classes = store.split_indices("train"), classes_of(store)
    image = np.moveaxis(physical(store, index), 1, -1)
    labelled = np.full_like(classes, UNLABELLED)
    labelled[:, 6, 6] = classes[:, 6, 6]
    found = {baseline.name: baseline for baseline in fit(store, legend, "points", labelled, seed=3)[0]}
    assert list(found) == [
        "majority-of-train",
        "random-forest-labels",
        "logistic-regression-labels",
        "random-forest-all",
        "logistic-regression-all",
    ]
    kept = (labelled != UNLABELLED) & np.isfinite(image).all(axis=-1)
    assert found["random-forest-labels"].pixels == kept.sum() < found["random-forest-all"].pixels
    oracle = RandomForestClassifier(100, random_state=3).fit(image[kept], labelled[kept])
    values = physical(store, np.arange(3))
    valid = np.isfinite(values).all(axis=1)
    predicted = found["random-forest-labels"].segment(values)
    np.testing.assert_array_equal(predicted[valid], oracle.predict(np.moveaxis(values, 1, -1)[valid]))
    for name in ("random-forest-all", "logistic-regression-all"):  # spectra are far apart
        truth = legend.index(store.labels(np.arange(3)))
        here = valid & (truth != UNLABELLED)
        assert (found[name].segment(values)[here] == truth[here]).mean() > 0.97


def test_labels_without_pixels_have_no_baseline_but_a_note(store: PatchStore) -> None:
    baselines, notes = fit(store, store.info.classes, "presence", None, seed=0)
    assert [baseline.name for baseline in baselines] == ["majority-of-train", "random-forest-all", "logistic-regression-all"]
    assert "presence labels give no pixel a class" in notes[0]
    commonest = store.share_NK[store.split_indices("train")].sum(axis=0).argmax()
    assert (baselines[0].segment(physical(store, np.arange(2))) == commonest)[:, :, 6:].all()


def test_labels_of_one_class_have_no_baseline_but_a_note(store: PatchStore) -> None:
    baselines, notes = fit(store, store.info.classes, "points", np.ones_like(classes_of(store)), seed=0)
    assert "of 1 classes are too few" in notes[0]
    assert "random-forest-labels" not in [baseline.name for baseline in baselines]


def test_without_scikit_learn_the_error_has_the_command_to_install_it(store: PatchStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(ConfigError, match=r"needs scikit-learn: pip install 'cropcam\[baselines\]'"):
        fit(store, store.info.classes, "presence", None, seed=0)


def test_nothing_is_imported_before_it_is_asked_for() -> None:
    code = "import sys, cropcam.model.evaluation.evaluate; print(sorted(name for name in sys.modules if name.split('.')[0] == 'sklearn'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_all_baselines_segment_patches_of_the_store(store: PatchStore) -> None:
    baselines, _ = fit(store, store.info.classes, "presence", None, seed=0)
    patches = np.array([3, 1])
    found = segment_all(baselines, store, patches)
    for baseline in baselines:
        np.testing.assert_array_equal(found[baseline.name], baseline.segment(physical(store, patches)))
    assert segment_all([], store, patches) == {}
