"""Profiles: their text read, and asked for again when they are late."""

from __future__ import annotations

import pytest

from cropcam.pipeline.earthengine.profiles import eecu_seconds, profile_seconds
from cropcam.pipeline.errors import EarthEngineError
from support.profiled_service import Profiled, table

pytestmark = pytest.mark.usefixtures("transport")

PROFILE = """ EECU·s PeakMem Count  Description
  0.280     59k     6  Algorithm Image.reduceRegions
  1.5k     571k    86  Loading assets: projects/google/charts_feature_example
  1,000.25 1.1M    86  no description available
      -     352    72  Reprojecting pixels from GEOGCS["GCS_North_American_1983"]
"""


def test_a_profile_is_the_sum_of_its_first_column() -> None:
    assert eecu_seconds(PROFILE) == pytest.approx(0.28 + 1_500 + 1_000.25)
    assert eecu_seconds(table(12.5)) == 12.5


@pytest.mark.parametrize("text", ["", "CPU Memory\n1 2 3 4\n", " EECU·s PeakMem Count  Description\n  much   59k 6  x\n"])
def test_a_profile_of_another_layout_is_refused(text: str) -> None:
    with pytest.raises(EarthEngineError, match="a profile of another layout"):
        eecu_seconds(text)


def test_profiles_of_several_requests_are_one_sum_and_late_ones_are_asked_for_again() -> None:
    service = Profiled(broken=4)
    service.costs.update(a=1.5, b=2.0, c=4.0)
    assert profile_seconds(service, ["a", "c"]) == 5.5
    assert profile_seconds(service, []) == 0
    service.__dict__["broken"] = 5
    with pytest.raises(EarthEngineError, match="not ready"):
        profile_seconds(service, ["a"])
