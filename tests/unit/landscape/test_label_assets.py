"""Label assets: WorldCover's classes of the landscape's codes; none without labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.landscape import simulate
from cropcam.pipeline.landscape.label_assets import cover_classes, jobs, of_year
from support.sensor_archives import COVER, small


def test_classes_of_worldcover() -> None:
    table = cover_classes()
    assert [table[code] for code in (1, 5, 176, 141, 111, 122, 152, 195)] == [40, 40, 30, 10, 80, 50, 20, 90]


def test_a_year_in_milliseconds() -> None:
    assert of_year(1971) == {"system:time_start": 31_536_000_000, "system:time_end": 63_072_000_000, "system:index": "1971"}


def test_jobs_follow_the_study(tmp_path: Path) -> None:
    assert jobs(small("sentinel-2"), tmp_path) == []
    assert [job.assets for job in jobs(small("sentinel-2", COVER), tmp_path)] == [(COVER["asset"],)]
    assert [job.assets for job in jobs(small("sentinel-2", {"asset": "USDA/NASS/CDL/2018"}), tmp_path)] == [("USDA/NASS/CDL/2018",)]


def test_other_collections_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"image\.collections: 'LANDSAT/LT04/C02/T1_L2' cannot be simulated; only LANDSAT/LC08"):
        simulate(small("landsat-4-9", collections=["LANDSAT/LT04/C02/T1_L2"]), tmp_path)
