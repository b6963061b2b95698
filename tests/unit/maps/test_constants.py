"""The values of this package's constants."""

from __future__ import annotations

from support.pinned import pinned

test_the_value_is_the_documented_one = pinned(
    "cropcam.pipeline.maps",
    {
        "accuracy.Z_95": 1.96,
        "pixel_areas.HECTARE_M2": 10_000.0,
        "pixel_areas.EQUATOR_M": 6_378_137.0,
        "pixel_areas.TOLERANCE": 1e-7,
        "quantised.STEPS": 250,
        "sample_design.LEAST_PER_CLASS": 25,
        "sample_design.LEAST": 100,
        "sample_files.STANDARD_ERROR": 0.01,
        "strata.NEARLY": 0.1,
        "smoothing.RADIUS_PX": 3,
        "windows.NODATA_CLASS": 255,
        "area_report.FEW_POINTS": 10,
        "footprint.DIGITS": 7,
    },
)
