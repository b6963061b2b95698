"""The values of this package's constants."""

from __future__ import annotations

import math

from support.pinned import pinned

test_the_value_is_the_documented_one = pinned(
    "cropcam.model.segmentation",
    {
        "calibration.LOWEST": 0.05,
        "calibration.HIGHEST": 20.0,
        "calibration.PRIOR_SD": 1.0,
        "calibration.MOST_PIXELS": 1_500_000,
        "calibration.MOST_PATCHES": 2048,
        "calibration.POOLED": 1.45,
        "calibration.LIKELIHOODS": {"presence": "threshold", "shares": "shares", "points": "cross-entropy", "pixels": "cross-entropy"},
        "fitting.REFINED": "fcn",
        "fitting.SAMPLE_PATCHES": 512,
        "fitting.SAMPLE_PIXELS": 1_500_000,
        "label_shift.TOLERANCE": 1e-7,
        "label_shift.LARGEST": 60.0,
        "label_shift.MET": 1e-3,
        "spectral.SHRINKAGE_PIXELS": 100.0,
        "spectral.PRIOR_WEIGHT": 0.5,
        "spectral.LIKELIHOOD_WEIGHT": 0.2,
        "spectral._RIDGE": 1e-3,
        "spectral.MIN_LOG_SHARE": math.log(1e-4),
    },
)
