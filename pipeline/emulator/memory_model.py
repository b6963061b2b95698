"""How much memory the computation of one tile needs: a model, not the service's own count.

The service computes an export tile by tile, `shardSize` px a side, and answers "User memory limit exceeded." where a tile needs
too much; a smaller shardSize is its documented remedy. How it counts is not documented. Here each band of each scene that the
export reads counts 8 bytes a pixel of a tile.

Source: Earth Engine guide "Debugging guide"; API, ee.batch.Export.image.toDrive, `shardSize`.
"""

from __future__ import annotations

from cropcam.pipeline.emulator.images import LazyImage
from cropcam.pipeline.emulator.limits import Limits
from cropcam.pipeline.emulator.pixels import Node
from cropcam.pipeline.emulator.service_texts import TEXTS
from cropcam.pipeline.emulator.sources import Source
from cropcam.pipeline.grid import PixelGrid

VALUE_BYTES = 8


def inputs(image: LazyImage, grid: PixelGrid) -> int:
    """How many bands of scenes an image reads on a grid, each counted once."""
    waiting: list[Node] = [band.node for band in image.bands]
    seen = set(waiting)
    while waiting:
        for node in waiting.pop().inputs:
            if node not in seen:
                seen.add(node)
                waiting.append(node)
    return sum(node.meets(grid) for node in seen if isinstance(node, Source))


def check_tile(image: LazyImage, grid: PixelGrid, tile_px: int, limits: Limits) -> None:
    """Refuse an export whose tiles need too much memory.

    Raises:
        EngineError: "User memory limit exceeded."
    """
    if inputs(image, grid) * tile_px**2 * VALUE_BYTES > limits.tile_bytes:
        raise TEXTS["memory"].failure()
