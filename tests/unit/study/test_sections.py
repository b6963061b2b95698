"""The sections of a study: what each refuses, and the table that the labels make of their legend."""

from __future__ import annotations

import json

import pytest

from cropcam.pipeline.legend_sources import packaged
from cropcam.pipeline.study.sections import Labels, Splits

EAST = json.dumps({"type": "Polygon", "coordinates": [[[-89.7, 40], [-89, 40], [-89, 42], [-89.7, 42], [-89.7, 40]]]})


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"block_patches": (1, 1)}, 'ask for it by name: method = "random"'),
        ({"method": "folds", "folds": 4, "fold": 4}, "fold 4 of 4"),
        ({"holdout": "nowhere.geojson"}, "is not GeoJSON with polygons"),
        ({"holdout": '{"type": "Point", "coordinates": [1, 2]}'}, "holds no polygon"),
        ({"holdout": EAST.replace("-89", "500000")}, "are not degrees"),
    ],
)
def test_splits_that_are_refused(splits: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Splits(**splits)  # type: ignore[arg-type]


def test_labels_have_the_table_of_their_legend_without_what_is_missing() -> None:
    assert Labels(asset="a").table == packaged("cdl")
    assert Labels(asset="a", legend="nlcd").table == packaged("nlcd")
    water = Labels(asset="a", legend="worldcover", nodata=80).table  # type: ignore[arg-type]
    assert (water.name, water.unlabelled, water.missing) == ("worldcover", (0, 80), (80,))
    own = Labels(asset="a", legend={"7": "A", "300": ["B", "#000102"]})  # type: ignore[arg-type]
    assert own.legend == ((7, "A", ""), (300, "B", "#000102"))
    assert (own.table.name, own.table.dtype) == ("", "uint16")
    assert Labels(asset="a", legend=own.legend) == own


def test_a_band_is_a_name_or_a_number_from_1() -> None:
    assert [Labels(asset="a", band=band).band for band in ("Map", 2, "")] == ["Map", 2, ""]
    with pytest.raises(ValueError, match="0: bands are counted from 1"):
        Labels(asset="a", band=0)
