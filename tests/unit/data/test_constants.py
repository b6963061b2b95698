"""The values of this package's constants."""

from __future__ import annotations

from support.pinned import pinned

test_the_value_is_the_documented_one = pinned(
    "cropcam.model.data",
    {
        "normalization.CLIP": 6.0,
        "normalization._NOT_MISSING": 1e-6,
        "sampler.BAG_RUN": 8,
        "sampler.WINDOW_BLOCKS": 8,
        "loading._MEMORY_SHARE": 0.5,
        "pixel_draw.BATCH_PATCHES": 64,
        "store_groups.OVERLAP": 0.5,
    },
)
