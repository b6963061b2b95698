"""The values of this package's constants."""

from __future__ import annotations

import pytest

from support.pinned import pinned

test_the_value_is_the_documented_one = pinned(
    "cropcam.model.labels",
    {
        "areas.TOLERANCE": 0.01,
        "fields._SPARSE": 0.5,
        "fields._LEAST_COVER": 1e-6,
        "weak_labels.UBIQUITOUS": 0.995,
        "weak_labels.SUM_TOLERANCE": 1e-3,
        "field_shapes._SEMI_MAJOR_M": 6_378_137.0,
        "field_shapes._ECCENTRICITY_2": pytest.approx(1 - (6_356_752.314245 / 6_378_137) ** 2),
    },
)
