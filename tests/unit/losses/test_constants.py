"""The values of this package's constants."""

from __future__ import annotations

from support.pinned import pinned

test_the_value_is_the_documented_one = pinned(
    "cropcam.model.losses",
    {
        "objectives.POOLING": 6.0,
        "objectives.SHARPNESS": 3.0,
        "objectives._SHARPEST": ((0.05, 3.0), (0.25, 20.0)),
    },
)
