"""The parts of metrics.json: every resample recomputed in a loop by scikit-learn, undefined metrics, the result object."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn import metrics as oracle

from cropcam.model.evaluation import metrics
from cropcam.model.evaluation.accumulator import MetricAccumulator
from cropcam.model.evaluation.bootstrap import Bootstrap, edges
from cropcam.model.evaluation.results import Metrics, classification, majority, method, patch_table, segmentation
from support.predictions import predictions_of

NAMES = ("background", "corn", "soybean")
BLOCKS, RESAMPLES = 12, 25


@pytest.fixture(scope="module")
def pixels() -> tuple[npt.NDArray[Any], ...]:
    """Block, truth and answer of 600 pixels; blocks of different size and difficulty."""
    random = np.random.default_rng(1)
    block = np.sort(random.integers(BLOCKS, size=600))
    truth = random.integers(len(NAMES), size=600)
    hard = random.random(BLOCKS)[block] * 0.6
    return block, truth, np.where(random.random(600) < hard, random.integers(len(NAMES), size=600), truth)


def members(weights_B: npt.NDArray[Any], block: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The samples of one resample, written out."""
    return np.concatenate([np.tile(np.flatnonzero(block == b), int(times)) for b, times in enumerate(weights_B)])


def percentiles(values: list[float]) -> Any:
    return pytest.approx(list(np.percentile(values, [2.5, 97.5])))


def test_pixel_metrics_are_those_of_a_loop_over_resamples(pixels: Any) -> None:
    block, truth, answer = pixels
    bootstrap = Bootstrap.of(BLOCKS, RESAMPLES)
    found = method(metrics.confusions(block, truth, answer, BLOCKS, 3), NAMES, bootstrap)
    samples = [(truth[chosen], answer[chosen]) for chosen in (members(row, block) for row in bootstrap.weights_SB[1:])]
    for name, score in {
        "pixel_accuracy": oracle.accuracy_score,
        "mean_class_accuracy": oracle.balanced_accuracy_score,
        "macro_f1": lambda a, b: oracle.f1_score(a, b, average="macro"),
        "mean_iou": lambda a, b: oracle.jaccard_score(a, b, average="macro"),
    }.items():
        assert found[name] == pytest.approx(score(truth, answer))
        assert found[name + "_ci95"] == percentiles([score(*sample) for sample in samples])
    for k, name in enumerate(NAMES):
        entry = found["per_class"][name]
        for key, score in {
            "accuracy": oracle.recall_score,
            "precision": oracle.precision_score,
            "f1": oracle.f1_score,
            "iou": oracle.jaccard_score,
        }.items():
            assert entry[key] == pytest.approx(score(truth, answer, labels=[k], average=None)[0])
            assert entry[key + "_ci95"] == percentiles([score(*sample, labels=[k], average=None)[0] for sample in samples])
        assert entry["base_rate_ci95"] == percentiles([(sample[0] == k).mean() for sample in samples])


def test_label_metrics_are_those_of_a_loop_over_resamples() -> None:
    random = np.random.default_rng(5)
    count = 240  # fewer patches than bins: every score is a bin of its own, and ranks of resamples are exact
    block = np.sort(random.integers(BLOCKS, size=count))
    present = random.random((count, 3)) < [0.7, 0.4, 0.2]
    logits = (present * 1.5 + random.normal(size=present.shape) + random.normal(size=BLOCKS)[block, None] - 0.7).astype(np.float32)
    bootstrap = Bootstrap.of(BLOCKS, RESAMPLES)
    found = classification(present, logits, block, NAMES, bootstrap)
    draws = [members(row, block) for row in bootstrap.weights_SB[1:]]
    right = (logits > 0) == present
    assert found["accuracy_ci95"] == percentiles([right[draw].mean() for draw in draws])
    assert found["exact_match_ci95"] == percentiles([right[draw].all(axis=1).mean() for draw in draws])
    rates = [present[draw].mean(axis=0) for draw in draws]
    assert found["majority_accuracy_ci95"] == percentiles([np.maximum(rate, 1 - rate).mean() for rate in rates])
    assert found["labels_per_patch_ci95"] == percentiles([rate.sum() for rate in rates])
    aucs = [[oracle.roc_auc_score(present[draw, k], logits[draw, k]) for k in range(3)] for draw in draws]
    assert found["mean_auc_ci95"] == percentiles([np.mean(row) for row in aucs])
    for k, name in enumerate(NAMES):
        entry = found["per_class"][name]
        assert entry["auc_ci95"] == percentiles([row[k] for row in aucs])
        assert entry["average_precision_ci95"] == percentiles(
            [oracle.average_precision_score(present[draw, k], logits[draw, k]) for draw in draws]
        )
        assert entry["f1_ci95"] == percentiles([oracle.f1_score(present[draw, k], logits[draw, k] > 0) for draw in draws])
        assert entry["confusion"] == oracle.confusion_matrix(present[:, k], logits[:, k] > 0).tolist()


def test_what_every_block_agrees_on_has_an_interval_without_width() -> None:
    same = np.tile([[8, 2], [1, 9]], (5, 1, 1))
    found = method(same, NAMES[:2], Bootstrap.of(5, 50))
    assert found["pixel_accuracy_ci95"] == [0.85, 0.85]


def test_undefined_metrics_and_classes_of_few_blocks_have_no_interval() -> None:
    confusion = np.zeros((20, 3, 3), np.int64)
    confusion[:, 0, 0], confusion[:, 0, 1], confusion[:, 0, 2] = 10, 5, 1
    confusion[3, 1, 1] = 4  # corn is true in one block alone; soybean nowhere, though predicted
    found = method(confusion, NAMES, Bootstrap.of(20))
    corn, soybean = found["per_class"]["corn"], found["per_class"]["soybean"]
    assert (corn["accuracy"], corn["accuracy_ci95"]) == (1.0, None)
    assert corn["f1"] == 8 / 108
    for key in ("accuracy", "precision", "f1", "iou"):
        assert corn[key + "_ci95"] is None, "resamples without corn's block do not define it"
        assert (soybean[key], soybean[key + "_ci95"]) == (None, None)
    assert found["pixel_accuracy_ci95"] is not None
    assert found["macro_f1_ci95"] is not None
    assert found["macro_f1"] == pytest.approx((corn["f1"] + found["per_class"]["background"]["f1"]) / 2)


def test_a_label_that_no_patch_has_is_null_and_so_are_its_intervals() -> None:
    present = np.tile([[True, False, True], [False, False, True]], (20, 1))
    logits = np.where(present, 1.0, -1.0).astype(np.float32)
    logits[:3, 1] = 1.0  # corn is predicted to be present three times
    found = classification(present, logits, np.arange(40) // 4, NAMES, Bootstrap.of(10, 50))
    corn = found["per_class"]["corn"]
    for key in ("precision", "recall", "f1", "auc", "average_precision"):
        assert (corn[key], corn[key + "_ci95"]) == (None, None)
    assert (corn["accuracy"], corn["majority_accuracy"], corn["confusion"]) == (37 / 40, 1.0, [[37, 3], [0, 0]])
    assert found["mean_auc"] == 1.0


def test_one_block_has_no_interval() -> None:
    found = method(np.array([[[3, 1], [0, 4]]]), NAMES[:2], Bootstrap.of(1))
    assert (found["pixel_accuracy"], found["pixel_accuracy_ci95"]) == (0.875, None)


def accumulated(blocks: int = 3) -> tuple[MetricAccumulator, Any, Any, Any]:
    """One batch of 6 patches of 8 px and 3 classes, two patches per block; truth, maps and segmentation beside it."""
    random = np.random.default_rng(3)
    truth = random.integers(0, 3, (6, 8, 8)).astype(np.uint8)
    truth[0, :4] = 255
    cams = (random.normal(size=(6, 3, 8, 8)) + (truth[:, None] == np.arange(3)[:, None, None])).astype(np.float32)
    segmented = cams.argmax(axis=1).astype(np.uint8)
    bounds = np.stack([edges(cams[:, k]) for k in range(3)])
    accumulator = MetricAccumulator(3, ["cam-argmax"], "cam-argmax", np.arange(6) // (6 // blocks), bounds)
    nothing = np.zeros((6, 3), np.float32)
    accumulator.add(
        predictions_of(
            cams,
            patches_B=np.arange(6),
            nodata_BHW=np.zeros(truth.shape, bool),
            truth_BHW=truth,
            logits_BK=nothing,
            segmentation_BHW={"cam-argmax": segmented},
            default="cam-argmax",
        )
    )
    return accumulator, truth, cams, segmented


def test_maps_and_majority_of_the_segmentation_part_are_those_of_scikit_learn() -> None:
    accumulator, truth, cams, _ = accumulated()
    part = segmentation(accumulator, NAMES, Bootstrap.of(3, 40))
    labelled = truth != 255
    counts = np.bincount(truth[labelled])
    assert part["pixels"] == labelled.sum()
    assert part["majority_accuracy"] == part["majority"]["pixel_accuracy"] == counts.max() / counts.sum()
    assert part["majority"]["class"] == NAMES[counts.argmax()]
    assert part["majority"]["macro_f1"] == pytest.approx(
        oracle.f1_score(truth[labelled], np.full(labelled.sum(), counts.argmax()), average="macro", zero_division=0)
    )
    aucs = [oracle.roc_auc_score(truth[labelled] == k, cams[:, k][labelled]) for k in range(3)]
    assert list(part["cam_auc"].values()) == pytest.approx(aucs, abs=1e-3)
    assert part["mean_cam_auc"] == pytest.approx(np.mean(aucs), abs=1e-3)
    for name, (low, high) in part["cam_auc_ci95"].items():
        assert low <= part["cam_auc"][name] <= high
    assert part["class_shares"] == {name: pytest.approx(share) for name, share in zip(NAMES, counts / counts.sum(), strict=True)}


def test_the_table_has_one_row_per_patch() -> None:
    accumulator, truth, _, segmented = accumulated()
    place = np.array([[0, 0, 1, 1, 2, 2], [0, 1, 0, 1, 0, 1]], np.int32)
    table = patch_table(np.arange(10, 16), place, accumulator, np.linspace(0, 1, 6))
    assert list(table) == ["patch", "row", "col", "pixel_accuracy", "label_accuracy", "labelled_pixels"]
    assert table["labelled_pixels"].tolist() == [32, 64, 64, 64, 64, 64]
    for index in range(6):
        labelled = truth[index] != 255
        assert table["pixel_accuracy"][index] == pytest.approx(oracle.accuracy_score(truth[index][labelled], segmented[index][labelled]))


VALUES: dict[str, Any] = {
    "split": "test",
    "patches": 7,
    "labels": "shares",
    "classification": {"accuracy": 0.9, "majority_accuracy": None},
    "segmentation": {"default": "spectral", "methods": {"spectral": {"pixel_accuracy": 0.8, "macro_f1": 0.7}, "cam-argmax": {}}},
}


def test_the_result_has_the_main_metrics_as_properties() -> None:
    result = Metrics(VALUES)
    assert (result.split, result.patches, result.labels, result.default_method) == ("test", 7, "shares", "spectral")
    assert (result.accuracy, result.majority_accuracy, result.pixel_accuracy, result.macro_f1) == (0.9, None, 0.8, 0.7)


def test_the_result_is_saved_as_it_is_and_cannot_be_changed(tmp_path: Path) -> None:
    result = Metrics(VALUES)
    result.to_dict()["segmentation"]["default"] = "other"
    result.save(tmp_path / "metrics.json")
    assert result.default_method == "spectral"
    assert json.loads((tmp_path / "metrics.json").read_text()) == VALUES == result.to_dict()
    with pytest.raises(ValueError, match="not JSON compliant"):
        Metrics({"accuracy": float("nan")}).save(tmp_path / "nan.json")
    assert not (tmp_path / "nan.json").exists()


def test_trivial_values_by_hand() -> None:
    """Five patches. The constant answer is (present, absent, absent): right in patches 0 and 3."""
    present = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 0, 0], [1, 0, 1]], bool)
    logits = np.where(present, 1.0, -1.0).astype(np.float32)
    logits[2] = [1, 1, 1]
    found = classification(present, logits, np.arange(5), NAMES, Bootstrap.of(5, 10))
    assert found["majority_accuracy"] == pytest.approx((4 / 5 + 4 / 5 + 4 / 5) / 3)
    assert found["majority_exact_match"] == pytest.approx(2 / 5)
    assert found["exact_match"] == pytest.approx(4 / 5)
    assert found["accuracy"] == pytest.approx(12 / 15)
    assert found["labels_per_patch"] == pytest.approx(6 / 5)
    assert (found["threshold"], found["patches"]) == (0.5, 5)
    assert found["per_class"]["corn"]["confusion"] == [[3, 1], [0, 1]]


def test_a_class_in_half_of_the_patches_counts_as_absent_in_the_constant_answer() -> None:
    present = np.array([[1], [1], [0], [0]], bool)
    found = classification(present, np.ones((4, 1), np.float32), np.arange(4), ("corn",), Bootstrap.of(4, 10))
    assert (found["majority_accuracy"], found["majority_exact_match"], found["exact_match"]) == (0.5, 0.5, 0.5)


def test_the_majority_class_by_hand() -> None:
    """Seven pixels: 4 of the second class. Guessing it has all of its recall, and an F1 of 8/11."""
    confusion = np.array([[1, 1, 0], [2, 2, 0], [0, 0, 1]])
    found = majority(confusion[None], NAMES)
    assert found["majority_accuracy"] == pytest.approx(4 / 7)
    assert found["majority"]["class"] == "corn"
    assert found["majority"]["mean_class_accuracy"] == pytest.approx(1 / 3)
    assert found["majority"]["macro_f1"] == pytest.approx(8 / 11 / 3)
    assert found["majority"]["mean_iou"] == pytest.approx(4 / 7 / 3)
