"""A stream network as a pure function of position.

Each cell of a square lattice holds one jittered node of hashed height; a node drains to the lowest of its eight
neighbours, or is a sink (a lake) where none is lower. That makes dendritic trees; a stream's width grows with the
nodes upstream of it within a fixed number of steps, so a finite surrounding decides every value exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.landscape.noise import Floats, Metres, lattice_hash, salt, unit

_NEIGHBOURS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]
_JITTER = 0.72
Heights = Callable[[Metres, Metres], Floats]


@dataclass(frozen=True)
class Streams:
    """One level of the network: cell size, how far upstream counts, widths and lakes, all in metres."""

    name: str
    cell_m: float
    steps: int
    half_width_m: float  # of a stream with no node upstream; grows with the square root of the count
    lake_share: float  # of the sinks
    lake_radius_m: tuple[float, float]


RIVERS = Streams("rivers", 7000.0, 7, 9.0, 0.5, (300.0, 900.0))
CREEKS = Streams("creeks", 1350.0, 5, 1.2, 0.3, (60.0, 260.0))
FAR_M = 3.0e4


def bank_distance(x_m: Metres, y_m: Metres, level: Streams, heights: Heights, seed: int) -> Floats:
    """Metres to the nearest bank of this level, negative in the water (float32, shape of `x_m`).

    Exact up to one cell away; farther streams may be missed, so the value is only "far" there.
    """
    cell_m = level.cell_m
    cx, cy = np.floor(x_m / cell_m), np.floor(y_m / cell_m)
    pad = level.steps + 4
    x0, y0 = int(cx.min()) - pad, int(cy.min()) - pad
    width, height = int(cx.max()) - x0 + pad + 1, int(cy.max()) - y0 + pad + 1
    node_x, node_y, edge_x, edge_y, half_m = _network(x0, y0, width, height, level, heights, seed)
    inverse = 1 / np.maximum(edge_x * edge_x + edge_y * edge_y, np.float32(1))
    at = ((cy - y0) * width + (cx - x0)).astype(np.int32)
    px, py = (x_m - cx * cell_m).astype(np.float32), (y_m - cy * cell_m).astype(np.float32)
    best = np.full(x_m.shape, FAR_M, np.float32)
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            cells = at + np.int32(dy * width + dx)
            rx = px - np.float32(dx * cell_m) - node_x.take(cells)
            ry = py - np.float32(dy * cell_m) - node_y.take(cells)
            ex, ey = edge_x.take(cells), edge_y.take(cells)
            along = rx * ex
            along += ry * ey
            along *= inverse.take(cells)
            np.clip(along, 0, 1, out=along)
            rx -= along * ex
            ry -= along * ey
            rx *= rx
            ry *= ry
            rx += ry
            np.sqrt(rx, out=rx)
            rx -= half_m.take(cells)
            np.minimum(best, rx, out=best)
    return best


def _network(
    x0: int, y0: int, width: int, height: int, level: Streams, heights: Heights, seed: int
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Per cell, flattened: node position in its cell, vector to the node it drains to, half width (all metres)."""
    ix, iy = np.meshgrid(np.arange(x0, x0 + width), np.arange(y0, y0 + height))
    centre = np.float32(0.5 - _JITTER / 2)
    jx = (unit(lattice_hash(ix, iy, salt(seed, level.name, "x"))) * np.float32(_JITTER) + centre) * np.float32(level.cell_m)
    jy = (unit(lattice_hash(ix, iy, salt(seed, level.name, "y"))) * np.float32(_JITTER) + centre) * np.float32(level.cell_m)
    level_m = heights(ix * level.cell_m + jx, iy * level.cell_m + jy)
    level_m = level_m + unit(lattice_hash(ix, iy, salt(seed, level.name, "h"))) * np.float32(0.15)
    lowest, choice = level_m.copy(), np.full(level_m.shape, -1)
    for k, (dy, dx) in enumerate(_NEIGHBOURS):
        other = np.full(level_m.shape, np.inf, np.float32)
        ys, xs = slice(max(dy, 0), height + min(dy, 0)), slice(max(dx, 0), width + min(dx, 0))
        yt, xt = slice(max(-dy, 0), height + min(-dy, 0)), slice(max(-dx, 0), width + min(-dx, 0))
        other[yt, xt] = level_m[ys, xs]
        lower = other < lowest
        lowest, choice = np.where(lower, other, lowest), np.where(lower, k, choice)
    steps = np.array([*_NEIGHBOURS, (0, 0)])[choice]
    target = (np.arange(height)[:, None] + steps[..., 0]) * width + np.arange(width)[None, :] + steps[..., 1]
    flow = choice >= 0
    edge_x = (jx.ravel()[target] - jx + (steps[..., 1] * level.cell_m).astype(np.float32)).astype(np.float32)
    edge_y = (jy.ravel()[target] - jy + (steps[..., 0] * level.cell_m).astype(np.float32)).astype(np.float32)
    upstream = _upstream(target[flow], flow, level.steps)
    stream_m = np.float32(level.half_width_m) * np.sqrt(upstream, dtype=np.float32)
    draw = unit(lattice_hash(ix, iy, salt(seed, level.name, "lake")))
    low_m, high_m = level.lake_radius_m
    share = np.float32(level.lake_share)
    lake_m = np.where(draw < share, np.float32(low_m) + np.float32(high_m - low_m) * (draw / share) ** 2, np.float32(-FAR_M))
    half_m = np.where(flow, stream_m, lake_m).astype(np.float32)
    return jx.ravel(), jy.ravel(), edge_x.ravel(), edge_y.ravel(), half_m.ravel()


def _upstream(target: npt.NDArray[np.int64], flow: npt.NDArray[np.bool_], steps: int) -> npt.NDArray[np.float64]:
    """Nodes (itself included) that reach each node within `steps` steps."""
    count: npt.NDArray[np.float64] = np.ones(flow.shape)
    for _ in range(steps):
        count = np.bincount(target, weights=count[flow], minlength=flow.size).astype(np.float64).reshape(flow.shape) + 1.0
    return count
