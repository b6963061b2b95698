"""The values of this package's constants."""

from __future__ import annotations

from support.pinned import pinned

test_the_value_is_the_documented_one = pinned(
    "cropcam.model.networks",
    {
        "baseline.FILTERS": (32, 64, 128, 256),
        "unet.FILTERS": (32, 64, 128, 256),
        "fcn.FILTERS": (32, 48, 48),
        "fcn_time.FILTERS": (32, 48, 48),
        "fcn_time.DAYS_PER_YEAR": 365.25,
        "fcn_time.HARMONICS": 2,
        "neighbourhood.SIZES": (1, 3, 5),
        "resnet50.BLOCKS": (3, 4, 6, 3),
        "resnet50.WIDTHS": (64, 128, 256, 512),
        "resnet50.EXPANSION": 4,
    },
)
