"""What a map command tells at its end."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from cropcam.model.inference.summary import MapSummary


def test_a_summary_is_one_line() -> None:
    hectares = {"background": 135.4, "corn": 45.2}
    summary = MapSummary(Path("map.tif"), {"background": 1500, "corn": 500}, 1234, hectares)
    assert str(summary) == "map.tif: 2,000 pixels mapped: background 135 ha (75.0%), corn 45 ha (25.0%); 1,234 nodata"
    shifted = replace(
        summary,
        unshifted_hectares={"background": 90.3, "corn": 90.3},
        known_shares={"background": 0.75, "corn": 0.25},
        files=(Path("map.tif"), Path("p.tif")),
    )
    assert str(shifted).splitlines()[1:] == [
        "known areas (known: before -> after the shift): background 75.0%: 50.0% -> 75.0%, corn 25.0%: 50.0% -> 25.0%",
        "p.tif",
    ]


def test_the_summary_as_json_values() -> None:
    summary = MapSummary(
        Path("map.tif"), {"background": 1500, "corn": 500}, 1234, {"background": 1.5, "corn": 0.5}, files=(Path("map.tif"),)
    )
    assert json.loads(json.dumps(summary.to_dict())) == {
        "path": "map.tif",
        "class_pixels": {"background": 1500, "corn": 500},
        "nodata_pixels": 1234,
        "class_hectares": {"background": 1.5, "corn": 0.5},
        "unshifted_hectares": {},
        "known_shares": {},
        "files": ["map.tif"],
    }


def test_pixels_stand_where_hectares_are_not_known() -> None:
    assert str(MapSummary(Path("map.tif"), {"background": 1500, "corn": 0}, 0)) == (
        "map.tif: 1,500 pixels mapped: background 1,500 px (100.0%), corn 0 px (0.0%); 0 nodata"
    )


def test_known_areas_without_hectares_are_given_in_pixels_or_not_at_all() -> None:
    """A CRS that does not reach the pixels: no hectares, so no areas before and after."""
    summary = MapSummary(Path("map.tif"), {"background": 1500, "corn": 500}, 0, known_shares={"background": 0.5, "corn": 0.5})
    assert str(summary) == "map.tif: 2,000 pixels mapped: background 1,500 px (75.0%), corn 500 px (25.0%); 0 nodata"
