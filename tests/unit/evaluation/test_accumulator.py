"""The accumulator: the counts of all batches at once, whatever the batches; constant memory."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as oracle

from cropcam.model.evaluation.accumulator import MetricAccumulator
from cropcam.model.evaluation.bootstrap import BINS, edges
from cropcam.model.segmentation.predictions import PatchPredictions
from support.predictions import predictions_of

CLASSES, PATCHES, SIDE = 3, 10, 6
BLOCK = np.array([0, 0, 1, 1, 0, 2, 2, 3, 3, 3])


def predictions() -> PatchPredictions:
    """Ten random patches; some pixels unlabelled, some without image data."""
    random = np.random.default_rng(5)
    truth = random.integers(0, CLASSES, (PATCHES, SIDE, SIDE)).astype(np.uint8)
    nodata = random.random(truth.shape) < 0.1
    truth[nodata | (random.random(truth.shape) < 0.2)] = 255
    cams = random.normal(size=(PATCHES, CLASSES, SIDE, SIDE)).astype(np.float32)
    methods = {"first": cams.argmax(axis=1).astype(np.uint8), "second": random.integers(0, CLASSES, truth.shape).astype(np.uint8)}
    logits = random.normal(size=(PATCHES, CLASSES)).astype(np.float32)
    return predictions_of(
        cams, patches_B=np.arange(PATCHES), nodata_BHW=nodata, truth_BHW=truth, logits_BK=logits, segmentation_BHW=methods, default="first"
    )


def part(whole: PatchPredictions, here: slice) -> PatchPredictions:
    methods = {name: values[here] for name, values in whole.segmentation_BHW.items()}
    arrays = {name: values[here] for name, values in vars(whole).items() if isinstance(values, np.ndarray)}
    return replace(whole, **arrays, segmentation_BHW=methods)


@pytest.fixture(params=[1, 3, 10])
def accumulator(request: pytest.FixtureRequest) -> MetricAccumulator:
    whole = predictions()
    bounds = np.stack([edges(whole.cams_BKHW[:, k]) for k in range(CLASSES)])
    found = MetricAccumulator(CLASSES, ["first", "second"], "first", BLOCK, bounds)
    for start in range(0, PATCHES, request.param):
        found.add(part(whole, slice(start, start + request.param)))
    return found


def test_confusion_matrices_are_those_of_each_block(accumulator: MetricAccumulator) -> None:
    whole = predictions()
    for name, segmented in whole.segmentation_BHW.items():
        for block in range(4):
            truth, found = whole.truth_BHW[block == BLOCK], segmented[block == BLOCK]
            expected = oracle.confusion_matrix(truth[truth != 255], found[truth != 255], labels=range(CLASSES))
            np.testing.assert_array_equal(accumulator.confusion_BKK[name][block], expected)


def test_ranks_are_those_of_all_labelled_pixels(accumulator: MetricAccumulator) -> None:
    whole = predictions()
    labelled = whole.truth_BHW != 255
    for k, ranks in enumerate(accumulator.ranks_K):
        expected = oracle.roc_auc_score(whole.truth_BHW[labelled] == k, whole.cams_BKHW[:, k][labelled])
        assert ranks.auc() == pytest.approx(expected, abs=1e-3)
        positives = (whole.truth_BHW[labelled] == k).sum()
        assert accumulator.map_counts_BK2E[:, k].sum(axis=(0, 2)).tolist() == [labelled.sum() - positives, positives]


def test_each_patch_has_its_logits_and_pixels(accumulator: MetricAccumulator) -> None:
    whole = predictions()
    labelled = whole.truth_BHW != 255
    logits, correct, count = accumulator.per_patch()
    np.testing.assert_array_equal(logits, whole.logits_BK)
    np.testing.assert_array_equal(correct, [(whole.truth_BHW[n] == whole.segmented_BHW[n])[labelled[n]].sum() for n in range(PATCHES)])
    np.testing.assert_array_equal(count, labelled.sum(axis=(1, 2)))
    assert (accumulator.patches, accumulator.pixels) == (PATCHES, labelled.sum())


def test_memory_does_not_grow_with_the_pixels() -> None:
    accumulator = MetricAccumulator(2, ["one"], "one", np.zeros(1000, np.int64), np.zeros((2, BINS - 1), np.float32))
    zeros = np.zeros((1, 50, 50), np.uint8)
    cams = np.random.default_rng(0).normal(size=(1, 2, 50, 50)).astype(np.float32)
    fields = {"patches_B": np.zeros(1, np.int64), "nodata_BHW": zeros > 0, "truth_BHW": zeros, "logits_BK": np.zeros((1, 2), np.float32)}
    batch = predictions_of(cams, **fields, segmentation_BHW={"one": zeros}, default="one")
    accumulator.add(batch)
    tracemalloc.start()
    for _ in range(20):
        accumulator.add(batch)
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert accumulator.pixels == 21 * 2500
    assert kept < 20 * 2500
