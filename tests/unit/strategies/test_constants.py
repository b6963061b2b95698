"""The values of this package's constants."""

from __future__ import annotations

from support.pinned import pinned

test_the_value_is_the_documented_one = pinned(
    "cropcam.model.strategies",
    {
        "mean_teacher.DECAY": 0.99,
        "mean_teacher.BURN_IN_FRACTION": 0.3,
    },
)
