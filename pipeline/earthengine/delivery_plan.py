"""The plan of a delivery, made before the first request: windows of each layer within the limits, shards, and the plan as text. Needs no client.

Source: Earth Engine REST reference, "projects.image/computePixels".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cropcam.pipeline.earthengine.layers import layers_of
from cropcam.pipeline.earthengine.pixel_requests import check_window_px, window_px_for
from cropcam.pipeline.earthengine.plan import cells
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.grid import Window
from cropcam.pipeline.study.polygons import meets
from cropcam.pipeline.study.study import Study

SHARD_PX = 8192


def plan_facts(study: Study, *, window_px: int | None = None, shard_px: int = SHARD_PX) -> dict[str, Any]:
    """The plan of `deliver` as JSON values: files, requests, pixels and uncompressed bytes, together and by layer. Needs no client.

    Raises:
        ConfigError: an option breaks a limit.
    """
    sides = window_sides(study, window_px, shard_px)
    shards, _ = cells(study, shard_px)
    layers = []
    for layer in layers_of(study):
        side = sides[layer.name]
        windows = sum(len(windows_of(study, shard, side)) for _, shard in shards)
        pixels = sum(shard.height * shard.width for _, shard in shards)
        layers.append(
            {
                "layer": layer.name,
                "pixels": pixels,
                "bytes": pixels * layer.bytes_per_px,
                "requests": windows,
                "request_px": side,
                "files": len(shards),
            }
        )
    return {"tasks": [], "layers": layers, **{key: sum(each[key] for each in layers) for key in ("requests", "pixels", "bytes", "files")}}


def plan_text(study: Study, out: Path, *, window_px: int | None = None, shard_px: int = SHARD_PX) -> str:
    """The same as text.

    Raises:
        ConfigError: an option breaks a limit.
    """
    facts = plan_facts(study, window_px=window_px, shard_px=shard_px)
    lines = [
        f"{each['layer']:<6}  {each['pixels']:>13,} px  {each['bytes'] / 1e6:>9,.1f} MB  {each['requests']:,} request{'s' * (each['requests'] != 1)}"
        f" of {each['request_px']} px  {each['files']} file{'s' * (each['files'] != 1)}"
        for each in facts["layers"]
    ]
    return "\n".join((*lines, f"to {out}: {facts['requests']:,} requests, {facts['bytes'] / 1e9:,.2f} GB uncompressed"))


def layer_pixels(study: Study, *, window_px: int | None = None, shard_px: int = SHARD_PX) -> dict[str, int]:
    """Pixels of each layer that `deliver` requests, by layer name: windows that lie outside `area.region` are written without a request."""
    sides, (shards, _) = window_sides(study, window_px, shard_px), cells(study, shard_px)
    return {
        name: sum(window.height * window.width for _, shard in shards for window in windows_of(study, shard, side))
        for name, side in sides.items()
    }


def window_sides(study: Study, window_px: int | None, shard_px: int) -> dict[str, int]:
    """Side of each layer's windows, by layer name, checked against the limits and the side of the shards."""
    sides = {layer.name: window_px_for(layer, shard_px) if window_px is None else window_px for layer in layers_of(study)}
    for layer in layers_of(study):
        check_window_px(layer, sides[layer.name])
    if shard_px < 1 or any(shard_px % side for side in sides.values()):
        raise ConfigError(f"--shard-px {shard_px}: not a multiple of the windows' {max(sides.values())} px")
    return sides


def windows_of(study: Study, shard: Window, side: int) -> list[Window]:
    """The windows of a shard that may hold a pixel of `area.region`."""
    return [window for window in shard.cut(side) if meets(study.area.region, study.grid, window)]
