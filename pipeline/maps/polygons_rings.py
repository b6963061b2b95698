"""The rings of complete components: simple, each from its upper left vertex on, the outer ring of a polygon before its holes.

A component may touch itself at a corner of the pixel grid. Its ring passes there twice. The ring is parted at each such corner, so that no
ring touches itself; two rings of a polygon may share a point, as the Simple Features standard allows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from cropcam.pipeline.maps.polygons_stores import (
    FREE_NODE,
    FREE_RING,
    NEXT,
    NODES,
    RINGS,
    TOUCH,
    Components,
    Int32,
    Int64,
    Rings,
    Vertices,
    X,
    Y,
)
from cropcam.pipeline.maps.polygons_sweep import Sweep
from cropcam.pipeline.maps.windows import Classes
from cropcam.pipeline.runtime.compiled import compiled

PART_VERTICES = 1 << 21  # of polygons in one part; a larger polygon is a part of its own


class Outlines(NamedTuple):
    """The rings of some polygons, on the corners of the pixel grid.

    Attributes:
        x_V: columns to the left of each vertex.
        y_V: rows above it.
        flag_V: `NODE` where three or four outlines meet.
        start_R: the place of each ring's first vertex; rings are in the order of polygons, the outer ring before its holes.
        length_R: vertices of each ring; the first is not repeated at the end.
        area_R: twice the area in pixels where y points up: positive for outer rings, negative for holes.
        first_P: the first ring of each polygon, and at the end the number of rings.
    """

    x_V: Int32
    y_V: Int32
    flag_V: Classes
    start_R: Int64
    length_R: Int64
    area_R: Int64
    first_P: Int64


def rings_of(sweep: Sweep, done_P: Int32) -> Iterator[tuple[Int32, Outlines]]:
    """Take the rings of complete components out of a sweep, in parts of about `PART_VERTICES` vertices.

    Args:
        sweep: that `done_P` was taken from; it gets the room of the rings back.
        done_P: components.

    Yields:
        The components of a part, in order, and their outlines.
    """
    vertices_P, rings_P = _sizes(done_P, sweep.components, sweep.rings)
    part_P = np.cumsum(vertices_P) // PART_VERTICES
    for begin, end in zip(edges := [0, *(np.flatnonzero(np.diff(part_P)) + 1).tolist()], [*edges[1:], len(done_P)], strict=True):
        some_P = done_P[begin:end]
        if len(some_P):
            count = int(vertices_P[begin:end].sum()), int(rings_P[begin:end].sum())
            yield some_P, _outlines(sweep, some_P, *count)


def _outlines(sweep: Sweep, done_P: Int32, vertices: int, rings: int) -> Outlines:
    x_V, y_V, flag_V = np.empty(vertices, np.int32), np.empty(vertices, np.int32), np.empty(vertices, np.uint8)
    offset_R, polygon_R = np.zeros(rings + 1, np.int64), np.empty(rings, np.int64)
    _take(done_P, sweep.components, sweep.rings, sweep.vertices, sweep.counts, x_V, y_V, flag_V, offset_R, polygon_R)
    more = rings + int((flag_V & TOUCH != 0).sum()) // 2
    simple = np.empty(vertices, np.int32), np.empty(vertices, np.int32), np.empty(vertices, np.uint8)
    start_R, area_R, owner_R = (np.empty(more, np.int64) for _ in range(3))
    found = _part(x_V, y_V, flag_V, offset_R, polygon_R, *simple, start_R, area_R, owner_R)
    start_R, area_R, owner_R = start_R[:found], area_R[:found], owner_R[:found]
    length_R = np.diff(start_R, append=vertices)
    order = np.lexsort((simple[0][start_R], simple[1][start_R], area_R < 0, owner_R))
    first_P = np.searchsorted(owner_R[order], np.arange(len(done_P) + 1))
    return Outlines(*simple, start_R[order], length_R[order], area_R[order], first_P)


@compiled
def _sizes(done_P: Int32, c: Components, rings: Rings) -> tuple[Int64, Int64]:
    """Vertices and rings of each component."""
    vertices_P, rings_P = np.zeros(len(done_P), np.int64), np.zeros(len(done_P), np.int64)
    for index in range(len(done_P)):
        ring = c.ring[done_P[index]]
        while ring >= 0:
            vertices_P[index] += rings.length[ring]
            rings_P[index] += 1
            ring = rings.next[ring]
    return vertices_P, rings_P


@compiled
def _take(
    done_P: Int32,
    c: Components,
    rings: Rings,
    v: Vertices,
    counts: Int64,
    x_V: Int32,
    y_V: Int32,
    flag_V: Classes,
    offset_R: Int64,
    polygon_R: Int64,
) -> None:
    """Copy rings out of their stores, whose places are free then."""
    place, found = 0, 0
    for index in range(len(done_P)):
        ring = c.ring[done_P[index]]
        while ring >= 0:
            first = rings.vertex[ring]
            vertex, last = first, first
            while True:
                x_V[place], y_V[place], flag_V[place] = v[vertex, X] >> 2, v[vertex, Y], v[vertex, X] & 3
                place += 1
                last, vertex = vertex, v[vertex, NEXT]
                if vertex == first:
                    break
            v[last, NEXT] = counts[FREE_NODE]
            counts[FREE_NODE] = first
            counts[NODES] += place - offset_R[found]
            polygon_R[found] = index
            found += 1
            offset_R[found] = place
            following = rings.next[ring]
            rings.next[ring] = counts[FREE_RING]
            counts[FREE_RING] = ring
            counts[RINGS] += 1
            ring = following


@compiled
def _part(
    x_V: Int32,
    y_V: Int32,
    flag_V: Classes,
    offset_R: Int64,
    polygon_R: Int64,
    simple_x_V: Int32,
    simple_y_V: Int32,
    simple_flag_V: Classes,
    start_S: Int64,
    area_S: Int64,
    owner_S: Int64,
) -> int:
    """Part rings where they touch themselves, and begin each at its upper left vertex; the number of simple rings."""
    follow_V = np.empty(len(x_V), np.int32)
    seen_V = np.zeros(len(x_V), np.bool_)
    place, found = 0, 0
    for ring in range(len(polygon_R)):
        begin, end = offset_R[ring], offset_R[ring + 1]
        touches = 0
        for vertex in range(begin, end):
            follow_V[vertex] = vertex + 1
            touches += (flag_V[vertex] & TOUCH) != 0
        follow_V[end - 1] = begin
        if touches > 1:
            _cross_over(begin, end, touches, x_V, y_V, flag_V, follow_V)
        for each in range(begin, end):
            if seen_V[each]:
                continue
            best, vertex, area = each, each, np.int64(0)
            while not seen_V[vertex]:
                seen_V[vertex] = True
                if (y_V[vertex], x_V[vertex]) < (y_V[best], x_V[best]):
                    best = vertex
                after = follow_V[vertex]
                area += np.int64(x_V[after]) * y_V[vertex] - np.int64(x_V[vertex]) * y_V[after]
                vertex = after
            start_S[found], area_S[found], owner_S[found] = place, area, polygon_R[ring]
            found += 1
            vertex = best
            while True:
                simple_x_V[place], simple_y_V[place], simple_flag_V[place] = x_V[vertex], y_V[vertex], flag_V[vertex]
                place += 1
                vertex = follow_V[vertex]
                if vertex == best:
                    break
    return found


@compiled
def _cross_over(begin: int, end: int, touches: int, x_V: Int32, y_V: Int32, flag_V: Classes, follow_V: Int32) -> None:
    """At each corner that a ring passes twice, lead each way on along the other."""
    places, keys = np.empty(touches, np.int64), np.empty(touches, np.int64)
    index = 0
    for vertex in range(begin, end):
        if flag_V[vertex] & TOUCH:
            places[index], keys[index] = vertex, (np.int64(y_V[vertex]) << 32) | np.int64(x_V[vertex])
            index += 1
    order = np.argsort(keys)
    for index in range(touches - 1):
        one, other = places[order[index]], places[order[index + 1]]
        if keys[order[index]] == keys[order[index + 1]]:
            follow_V[one], follow_V[other] = follow_V[other], follow_V[one]
