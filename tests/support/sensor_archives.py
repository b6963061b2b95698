"""Small simulated archives of other sensors, over the border of UTM zones 15 and 16."""

from __future__ import annotations

from typing import Any

from cropcam.pipeline.study.study import Study, parse_study

BOUNDS = [-90.008, 41.0, -89.992, 41.012]  # about 1.3 x 1.3 km
COVER = {"legend": "worldcover", "asset": "ESA/WorldCover/v200/2021"}


def small(sensor: str, labels: dict[str, Any] | None = None, area: dict[str, Any] | None = None, **image: Any) -> Study:
    """A study of one sensor over a square kilometre, without labels unless given."""
    values: dict[str, Any] = {"study": {"name": "small"}, "area": {"bounds": BOUNDS, **(area or {})}, "patches": {"size_px": 8}}
    values["image"] = {"sensor": sensor, "seasons": [["2018-07-01", "2018-07-21"]], **image}
    if labels:
        values |= {
            "labels": labels,
            "classes": {"crop": ["Cropland"], "trees": ["Tree cover"]} if "legend" in labels else {"corn": [1], "soybean": [5]},
        }
    return parse_study(values)
