"""The values of this package's constants."""

from __future__ import annotations

from support.pinned import pinned

test_the_value_is_the_documented_one = pinned(
    "cropcam.model.evaluation",
    {
        "bootstrap.RESAMPLES": 1000,
        "bootstrap.SEED": 0,
        "bootstrap.LEVEL_PCT": 95.0,
        "bootstrap.UNDEFINED_MAX_SHARE": 0.05,
        "bootstrap.FEW_BLOCKS": 20,
        "bootstrap.BINS": 256,
        "calibration.BINS": 15,
        "calibration.UNIT": 1_048_576,
        "elsewhere.UNIT_STD": 30.0,
        "map_points.CELL_KM": 10.0,
        "map_points.FEW_POINTS": 10,
        "metrics.KEY_BITS": 20,
    },
)
