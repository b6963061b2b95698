"""Lists of assets: pages and filters by time."""

from __future__ import annotations

import pytest

from cropcam.pipeline.emulator import listing
from cropcam.pipeline.emulator.errors import EngineError


def test_assets_are_paged_and_filtered_by_time() -> None:
    assets = [{"id": f"L/{month}", "startTime": f"2016-{month:02}-01T00:00:00Z"} for month in range(1, 8)]
    wanted = 'startTime >= "2016-02-01T00:00:00Z" AND endTime < "2016-06-01T00:00:00Z"'
    first = listing.page(assets, "assets", {"filter": wanted, "pageSize": "3"})
    second = listing.page(assets, "assets", {"filter": wanted, "pageSize": "3", "pageToken": first["nextPageToken"]})
    assert [asset["id"] for asset in first["assets"] + second["assets"]] == ["L/2", "L/3", "L/4", "L/5"]
    assert "nextPageToken" not in second
    assert first["assets"][0]["name"] == "projects/earthengine-public/assets/L/2"


def test_other_asset_filters_are_refused_by_name() -> None:
    with pytest.raises(EngineError, match=r"properties\.CLOUD_COVER < 5.* is not implemented by the embedded engine"):
        listing.page([{"id": "x"}], "assets", {"filter": "properties.CLOUD_COVER < 5"})
    with pytest.raises(EngineError, match="Invalid time 'soon'"):
        listing.page([{"id": "x", "startTime": "2016-01-01"}], "assets", {"filter": 'startTime > "soon"'})


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        ("projects/earthengine-public/assets/A/B", "A/B"),
        ("projects/earthengine-legacy/assets/A/B/", "A/B"),
        ("projects/mine/assets/A", "projects/mine/assets/A"),
    ],
)
def test_public_assets_have_ids_without_a_project(name: str, identity: str) -> None:
    assert listing.asset_id(name) == identity
    assert listing.asset_id(listing.asset_name(identity)) == identity


@pytest.mark.parametrize(("query", "expected"), [({}, 500), ({"pageSize": "0"}, 500), ({"pageSize": "7"}, 7), ({"pageSize": "501"}, 500)])
def test_a_page_has_at_most_its_largest_size(query: dict[str, str], expected: int) -> None:
    assert listing.page_size(query, 500) == expected


def test_a_page_size_must_be_a_number() -> None:
    with pytest.raises(EngineError, match="Invalid pageSize 'many'"):
        listing.page_size({"pageSize": "many"}, 500)
