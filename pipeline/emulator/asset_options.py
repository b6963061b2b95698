"""The options of an export to an asset, as a request carries them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cropcam.pipeline.emulator.pyramids import Policy, parse_policy


@dataclass(frozen=True)
class AssetOptions:
    """The assetExportOptions of a request.

    Source: Earth Engine REST reference, ImageAssetExportOptions, EarthEngineDestination.
    """

    name: str
    overwrite: bool = False
    policy: Policy = "MEAN"
    overrides: tuple[tuple[str, Policy], ...] = ()

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> AssetOptions:
        """The options of a request body.

        Raises:
            EngineError: a pyramiding policy that is none.
        """
        target = options.get("earthEngineDestination") or {}
        named: Mapping[str, str] = options.get("pyramidingPolicyOverrides") or {}
        policy = options.get("pyramidingPolicy") or "MEAN"
        return cls(
            str(target.get("name") or ""),
            bool(target.get("overwrite", False)),
            parse_policy("MEAN" if policy == "PYRAMIDING_POLICY_UNSPECIFIED" else str(policy)),
            tuple((band, parse_policy(str(value))) for band, value in named.items()),
        )
