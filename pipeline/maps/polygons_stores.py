"""The stores of a sweep over a class map: vertices, open chains, components and rings, with their free places."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.maps.windows import Classes

NODE, TOUCH = 1, 2  # flags of a vertex: three or four outlines meet; the component is on the other side of the corner too
X, Y, NEXT = range(3)  # of a vertex: its column times four plus its flag; its row; the place of the next vertex, or of the next free place
NODES, FREE_NODE, FREE_CHAIN, COMPONENTS, FREE_COMPONENT, RINGS, FREE_RING = range(7)  # of a sweep's counts
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Vertices = Int32  # (N, 3), so that a vertex lies in one line of the processor's cache


class Chains(NamedTuple):
    """Open chains. A chain's start and its end each lie in a slot: a column of the line that is swept, or one of three beside."""

    head: Int32
    tail: Int32
    length: Int64  # vertices
    start: Int32  # slot of its start
    end: Int32
    free: Int32
    at_start: Int32  # by slot: the chain that starts there
    at_end: Int32


class Components(NamedTuple):
    """Components: a merged component has a parent, and the figures are of the roots.

    Attributes:
        parent: itself, or the component that it was merged into.
        kind: class index.
        pixels: count.
        first: number of its first pixel in raster order.
        last_row: of its pixels.
        hectares: sum of its pixels' areas.
        probability: sum of its pixels' values, round(250 p).
        ring: its first ring, or -1.
        last_ring: its last ring.
        free: unused places, a stack.
    """

    parent: Int32
    kind: Classes
    pixels: Int64
    first: Int64
    last_row: Int32
    hectares: Floats
    probability: Int64
    ring: Int32
    last_ring: Int32
    free: Int32


class Rings(NamedTuple):
    """Closed rings: a vertex of each, its vertices, and the next ring of the same component; a free place is linked to the next free place."""

    vertex: Int32
    length: Int64
    next: Int32


class Line(NamedTuple):
    """The row above the line that is swept: its classes, nodata before and after; the component of each pixel."""

    classes: Classes
    component: Int32
    below: Classes
    component_below: Int32


def grown(arrays: Any, least: int) -> tuple[Any, int]:  # noqa: ANN401 - a named tuple of arrays, and the same again
    """The arrays, larger by a quarter, and their length before; one is copied at a time."""
    first = len(arrays[0])
    size = first + max(least, first // 4)
    for array in arrays:
        array.resize((size, *array.shape[1:]), refcheck=False)  # in place: no second copy
    return arrays, first


def chain_free(following: Int32, first: int, free: int) -> int:
    """Link new places before the free places; the first free place."""
    following[first:] = np.arange(first + 1, len(following) + 1)
    following[-1] = free
    return first
