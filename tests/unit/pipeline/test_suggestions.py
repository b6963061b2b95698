"""The known name that a user may have meant."""

from __future__ import annotations

from cropcam.pipeline.suggestions import nearest


def test_names_are_compared_without_case() -> None:
    assert nearest("SENTINEL2", ["landsat", "sentinel-2"]) == "sentinel-2"
    assert nearest("year", ["area", "study"]) == ""
