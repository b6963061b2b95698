"""The options of an export to an asset, as the client sends them."""

from __future__ import annotations

from typing import Any

import ee
import pytest

from cropcam.pipeline.emulator.asset_options import AssetOptions
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.requests import parse_export
from support.engines import offline
from support.scenes import encoded

NAME = "projects/my-project/assets/x"


def sent(**options: Any) -> dict[str, Any]:
    """The body of the client's request."""
    config = ee.batch.Export.image.toAsset(ee.Image(1), "keep", NAME, **options).config
    return {**config, "expression": encoded(config["expression"])}


def test_the_client_sends_what_is_read() -> None:
    with offline():
        plain = parse_export(sent())
        full = parse_export(
            sent(overwrite=True, pyramidingPolicy={".default": "mode", "a": "sample"}, shardSize=128, maxPixels=5, priority=7)
        )
    assert (plain.kind, plain.place, plain.tile_px) == ("asset", NAME, 256)
    assert plain.asset == AssetOptions(NAME)
    assert full.asset == AssetOptions(NAME, overwrite=True, policy="MODE", overrides=(("a", "SAMPLE"),))
    assert (full.tile_px, full.max_pixels, full.priority) == (128, 5, 7)


def test_a_request_without_destination_or_with_an_odd_policy_is_refused() -> None:
    with offline():
        body = sent(pyramidingPolicy={".default": "best"})
        with pytest.raises(EngineError, match="Invalid pyramiding policy 'BEST'"):
            parse_export(body)
        with pytest.raises(EngineError, match="needs fileExportOptions or assetExportOptions"):
            parse_export({key: value for key, value in body.items() if key != "assetExportOptions"})
        with pytest.raises(EngineError, match="Invalid asset name ''"):
            parse_export({**body, "assetExportOptions": {}})
    assert AssetOptions.parse({"pyramidingPolicy": "PYRAMIDING_POLICY_UNSPECIFIED"}).policy == "MEAN"
