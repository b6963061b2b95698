"""The values of this package's constants."""

from __future__ import annotations

from support.pinned import pinned

test_the_value_is_the_documented_one = pinned(
    "cropcam.pipeline.patches",
    {
        "measure.HISTOGRAM_STEP": 10,
        "measure._BINS_OF_INTEGERS": 256,
        "measure._LOW": -14,
        "measure._HIGH": 14,
        "measure._PER_OCTAVE": 8,
    },
)
