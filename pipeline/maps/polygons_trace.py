"""Compiled loops over the rows of a class map: components of equal pixels, and the chains of pixel edges around them.

At each corner of the pixel grid the edges between unequal pixels are linked into chains, one chain for each side of an edge. A chain that closes is a
ring of its component. Chains run with their component on the left where y points up, so outer rings are counterclockwise and holes clockwise.
Where two pixels of a component touch at a corner alone, a chain stays with its pixel; `polygons_rings` parts the ring there.

The loops lie in one file: the compiled code that numba keeps on disk does not notice a change in another file.
"""

from __future__ import annotations

import numpy as np

from cropcam.pipeline.maps.polygons_stores import (
    COMPONENTS,
    FREE_CHAIN,
    FREE_COMPONENT,
    FREE_NODE,
    FREE_RING,
    NEXT,
    NODE,
    NODES,
    RINGS,
    TOUCH,
    Chains,
    Components,
    Floats,
    Int32,
    Int64,
    Line,
    Rings,
    Vertices,
    X,
    Y,
)
from cropcam.pipeline.maps.windows import NODATA_CLASS, Classes
from cropcam.pipeline.runtime.compiled import compiled, inlined


@compiled
def find(parent: Int32, component: int) -> int:
    """The root of a component."""
    while parent[component] != component:
        parent[component] = parent[parent[component]]
        component = parent[component]
    return component


@compiled
def _merge(c: Components, rings: Rings, one: int, other: int) -> int:
    """Merge two roots; the component with the earlier pixel stays."""
    if c.first[other] < c.first[one]:
        one, other = other, one
    c.parent[other] = one
    c.pixels[one] += c.pixels[other]
    c.hectares[one] += c.hectares[other]
    c.probability[one] += c.probability[other]
    c.last_row[one] = max(c.last_row[one], c.last_row[other])
    if c.ring[other] >= 0:
        if c.ring[one] >= 0:
            rings.next[c.last_ring[one]] = c.ring[other]
        else:
            c.ring[one] = c.ring[other]
        c.last_ring[one] = c.last_ring[other]
    return one


@compiled
def _label(row: int, own_X: Classes, hectares_X: Floats, line: Line, c: Components, rings: Rings, counts: Int64) -> None:
    """Give each pixel of the row below the line its component, and add the pixels to their figures."""
    width, step = len(own_X), 0 if len(hectares_X) == 1 else 1
    column = 0
    while column < width:
        kind = line.below[column + 1]
        if kind == NODATA_CLASS:
            column += 1
            continue
        first, root, last_above = column, -1, -1
        while column < width and line.below[column + 1] == kind:
            if line.classes[column + 1] == kind and line.component[column] != last_above:
                last_above = line.component[column]
                above = find(c.parent, last_above)
                if root < 0:
                    root = above
                elif root != above:
                    root = _merge(c, rings, root, above)
            column += 1
        if root < 0:
            counts[FREE_COMPONENT] -= 1
            root = c.free[counts[FREE_COMPONENT]]
            counts[COMPONENTS] = max(counts[COMPONENTS], root + 1)
            c.parent[root], c.kind[root], c.pixels[root] = root, kind, 0
            c.first[root] = np.int64(row) * width + first
            c.hectares[root], c.probability[root] = 0.0, 0
            c.ring[root] = c.last_ring[root] = -1
        hectares, probability = 0.0, np.int64(0)
        for each in range(first, column):
            line.component_below[each] = root
            hectares += hectares_X[each * step]
            probability += own_X[each]
        c.pixels[root] += column - first
        c.last_row[root] = row
        c.hectares[root] += hectares
        c.probability[root] += probability


@compiled
def _close(vertex: int, length: int, component: int, c: Components, rings: Rings, counts: Int64) -> None:
    """A closed chain is a ring of its component."""
    ring = counts[FREE_RING]
    counts[FREE_RING] = rings.next[ring]
    counts[RINGS] -= 1
    rings.vertex[ring], rings.length[ring], rings.next[ring] = vertex, length, -1
    if c.ring[component] >= 0:
        rings.next[c.last_ring[component]] = ring
    else:
        c.ring[component] = ring
    c.last_ring[component] = ring


@inlined
def _link(vertex: int, came: int, goes: int, slot_E: Int64, v: Vertices, chains: Chains, counts: Int64) -> int:
    """Lead a chain through a vertex, from the edge `came` to the edge `goes`; the chain if it closed there, else -1.

    Edges are 0 north, 1 east, 2 south, 3 west. The sweep has passed those to the north and to the west.
    """
    into, out = slot_E[came], slot_E[goes]
    if came in (0, 3):
        chain = chains.at_end[into]
        v[chains.tail[chain], NEXT] = vertex
        chains.length[chain] += 1
        if goes in (1, 2):
            chains.tail[chain] = vertex
            chains.at_end[out] = chain
            chains.end[chain] = out
            return -1
        other = chains.at_start[out]
        v[vertex, NEXT] = chains.head[other]
        chains.free[counts[FREE_CHAIN]] = other
        counts[FREE_CHAIN] += 1
        if chain == other:
            return int(chain)
        chains.length[chain] += chains.length[other]
        chains.tail[chain] = chains.tail[other]
        chains.end[chain] = chains.end[other]
        chains.at_end[chains.end[other]] = chain
        return -1
    if goes in (0, 3):
        chain = chains.at_start[out]
        v[vertex, NEXT] = chains.head[chain]
        chains.length[chain] += 1
    else:
        counts[FREE_CHAIN] -= 1
        chain = chains.free[counts[FREE_CHAIN]]
        chains.tail[chain], chains.length[chain] = vertex, 1
        chains.at_end[out] = chain
        chains.end[chain] = out
    chains.head[chain] = vertex
    chains.at_start[into] = chain
    chains.start[chain] = into
    return -1


@compiled
def _trace(y: int, corner_XB: Classes, line: Line, v: Vertices, chains: Chains, c: Components, rings: Rings, counts: Int64) -> None:
    """Link the edges that meet at each vertex of the line at row `y`."""
    width = len(line.component)
    west, east, south = width + 1, width + 2, width + 3
    slot_E = np.array([0, east, south, west])
    edge_E, pixel_E = np.zeros(4, np.bool_), np.zeros(4, np.uint8)
    for x in range(width + 1):
        nw, ne, sw, se = line.classes[x], line.classes[x + 1], line.below[x], line.below[x + 1]
        if nw == ne and sw == se and nw == sw:
            continue
        edge_E[0], edge_E[1], edge_E[2], edge_E[3] = nw != ne, ne != se, sw != se, nw != sw
        count = edge_E.sum()
        if count == 2 and edge_E[0] == edge_E[2]:  # straight on
            continue
        pixel_E[0], pixel_E[1], pixel_E[2], pixel_E[3] = ne, se, sw, nw
        slot_E[0] = x
        if len(corner_XB):
            corner_XB[x >> 3] |= np.uint8(1 << (x & 7))
        for came in range(4):
            if not edge_E[came] or pixel_E[came] == NODATA_CLASS:
                continue
            goes = (came + 1) & 3
            while not edge_E[goes]:
                goes = (goes + 1) & 3
            vertex = counts[FREE_NODE]
            counts[FREE_NODE] = v[vertex, NEXT]
            counts[NODES] -= 1
            touches = count == 4 and pixel_E[came] == pixel_E[(came + 2) & 3]
            v[vertex, X] = 4 * x + (NODE if count > 2 else 0) + (TOUCH if touches else 0)
            v[vertex, Y] = y
            closed = _link(vertex, came, goes, slot_E, v, chains, counts)
            if closed >= 0:
                inside = line.component[x - 1] if came == 3 else line.component[x]
                _close(vertex, chains.length[closed], find(c.parent, inside), c, rings, counts)
        if edge_E[2]:
            _move(south, x, se != NODATA_CLASS, sw != NODATA_CLASS, chains)
        if edge_E[1]:
            _move(east, west, ne != NODATA_CLASS, se != NODATA_CLASS, chains)


@inlined
def _move(slot: int, to: int, end: bool, start: bool, chains: Chains) -> None:
    """The content of a slot goes to another slot."""
    if end:
        chains.at_end[to] = chains.at_end[slot]
        chains.end[chains.at_end[to]] = to
    if start:
        chains.at_start[to] = chains.at_start[slot]
        chains.start[chains.at_start[to]] = to


@compiled
def sweep_rows(
    row: int,
    rows_YX: Classes,
    own_YX: Classes,
    hectares_YX: Floats,
    corner_YB: Classes,
    line: Line,
    v: Vertices,
    chains: Chains,
    c: Components,
    rings: Rings,
    counts: Int64,
) -> int:
    """Sweep rows until all are done or a store may be too small for the next one; the number of rows done."""
    width = rows_YX.shape[1]
    for done in range(len(rows_YX)):
        if counts[NODES] <= 4 * (width + 1) or counts[FREE_COMPONENT] <= width or counts[RINGS] <= 2 * width + 2:
            return done
        line.below[1 : width + 1] = rows_YX[done]
        _label(row + done, own_YX[done], hectares_YX[done], line, c, rings, counts)
        _trace(row + done, corner_YB[row + done], line, v, chains, c, rings, counts)
        line.classes[:] = line.below
        line.component[:] = line.component_below
    return len(rows_YX)
