"""Studies whose graphs use every key."""

from __future__ import annotations

from typing import Any

from cropcam.pipeline.study.study import Study, load_study, parse_study

TRIANGLE = '{"type": "Polygon", "coordinates": [[[-90.1, 40.9], [-89.9, 40.9], [-90.0, 41.1], [-90.1, 40.9]]]}'


def variant(name: str = "demo", **sections: dict[str, Any]) -> Study:
    values = load_study(name).to_dict()
    for section, keys in sections.items():
        values[section] = keys if section == "classes" else values[section] | keys
    return parse_study(values)


def everything() -> Study:
    return variant(
        area={"region": TRIANGLE},
        image={"collections": ["LANDSAT/LC08/C02/T1_L2", "LANDSAT/LC09/C02/T1_L2"], "mask": ["cloud", "snow", "saturated"], "count": True, "cloud_cover_max_pct": 60,
               "seasons": [["2016-04-01", "2016-06-01"], ["2016-06-01", "2016-08-01"]]},
        labels={"confidence_min_pct": 40},
    )  # fmt: skip
