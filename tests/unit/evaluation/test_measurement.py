"""The counts of an evaluation; whole ones are in tests/integration/test_evaluate.py and test_travel.py."""

from __future__ import annotations

import numpy as np
import pytest

from cropcam.model.evaluation.bootstrap import BINS
from cropcam.model.evaluation.measurement import activation_bounds, same_classes
from cropcam.model.segmentation.predictions import PatchPredictions
from cropcam.pipeline.errors import DataError
from support.predictions import predictions_of


def batch(cams: np.ndarray, nodata: np.ndarray) -> PatchPredictions:
    truth = np.zeros(nodata.shape, np.uint8)
    fields = {
        "patches_B": np.arange(len(cams)),
        "nodata_BHW": nodata,
        "truth_BHW": truth,
        "logits_BK": np.zeros(cams.shape[:2], np.float32),
    }
    return predictions_of(cams, **fields, segmentation_BHW={}, default="")


def test_bins_of_activations_come_from_pixels_with_image_data() -> None:
    random = np.random.default_rng(0)
    parts = [random.normal(size=(4, 2, 8, 8)).astype(np.float32) for _ in range(2)]
    nodata = random.random((4, 8, 8)) < 0.3
    spoilt = [np.where(nodata[:, None], np.float32(1e6), cams) for cams in parts]
    bounds = activation_bounds([batch(cams, nodata) for cams in spoilt])
    assert bounds.shape == (2, BINS - 1)
    for k in range(2):
        values = np.concatenate([cams[:, k][~nodata] for cams in parts])
        np.testing.assert_allclose(bounds[k], np.quantile(values, np.arange(1, BINS) / BINS), rtol=1e-5, atol=1e-6)


def test_without_image_data_there_are_bins_all_the_same() -> None:
    assert activation_bounds([batch(np.ones((1, 3, 4, 4), np.float32), np.ones((1, 4, 4), bool))]).shape == (3, BINS - 1)


def test_a_reference_of_other_classes_is_refused() -> None:
    same_classes(("corn", "rice"), ("corn", "rice"), "run")
    with pytest.raises(DataError, match="run: its classes are rice, corn, those of the run are corn, rice; name a run of the same classes"):
        same_classes(("corn", "rice"), ("rice", "corn"), "run")
