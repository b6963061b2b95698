"""The values of this package's constants."""

from __future__ import annotations

from support.pinned import pinned

test_the_value_is_the_documented_one = pinned(
    "cropcam.model.transfer",
    {
        "class_distance.SHRINKAGE": 0.1,
        "class_distance.MIN_PIXELS": 30,
        "score.WEIGHTS": (0.54, 1.06, 0.12),
        "score.THRESHOLD": 0.1,
        "score.ERROR": 0.09,
        "seen.CLASS_PIXELS": 200,
        "seen.FAR": 0.99,
        "seen.UNSURE": 0.2,
        "tally.QUANTILES": (0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999),
        "tally.BINS": 1200,
        "pixels.PER_SIDE": 10,
        "pixels.FEATURES": 64,
    },
)
