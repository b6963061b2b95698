"""Predictions of a batch made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from cropcam.model.segmentation.predictions import PatchPredictions


def predictions_of(cams_BKHW: npt.NDArray[np.float32], *, temperature: float = 2.0, **arrays: Any) -> PatchPredictions:
    """Predictions whose logits are the activation maps: their probabilities with this temperature, and with 1. `arrays` are the other fields."""
    probabilities = (softmax(cams_BKHW / t, axis=1).astype(np.float32) for t in (temperature, 1.0))
    return PatchPredictions(
        **arrays, cams_BKHW=cams_BKHW, **dict(zip(("probability_BKHW", "uncalibrated_BKHW"), probabilities, strict=True))
    )
