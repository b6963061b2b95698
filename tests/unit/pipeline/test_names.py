"""Names to choose from: those that the readers of studies, sensors and legends know."""

from __future__ import annotations

from cropcam.pipeline import names
from cropcam.pipeline.legend_sources import packaged
from cropcam.pipeline.study.study import load_study, presets


def test_studies_are_the_presets_with_their_figures() -> None:
    found = {each["name"]: each for each in names.studies()}
    assert tuple(found) == presets()
    one = found["corn-belt-2016"]
    assert one["title"].startswith("The poster: Chen, Guo, S. Wang (Stanford)")
    assert (one["years"], one["seasons"], one["patches"]) == ([2016], 1, load_study("corn-belt-2016").patch_grid.count)
    assert found["demo-seasons"]["seasons"] == 3


def test_sensors_and_legends_of_the_package() -> None:
    assert {"landsat", "sentinel-2", "hls"} <= {each["name"] for each in names.sensors()}
    assert (
        {each["name"]: each["codes"] for each in names.legends()}["worldcover"] == len(packaged("worldcover").codes) == 12
    )  # 11 classes and "No data"
