"""Outlines with fewer vertices, which keep their shared borders: no gap, no overlap, whatever lies in memory.

Rings are cut into arcs at the nodes, where three or four outlines meet. Both polygons beside an arc have the same vertices of it, so both
come to the same simplified arc without knowing each other. An arc loses the vertex whose triangle with its two neighbours is smallest, until
no triangle below the limit is left (Visvalingam and Whyatt 1993), as `shapely.coverage_simplify` does. A vertex stays if its triangle
holds another vertex: one that its own arc still has, or one that another arc had before it was simplified. An arc that enters an empty triangle would have a
vertex inside, so arcs never cross, in whatever order they are simplified. Those other vertices are bits on the corners of the pixel grid.

Two arcs between the same two nodes must not both become the straight line. Only an arc that bends to the left of that line may, seen from its upper
node, and only where the line runs along neither rows nor columns: arcs that both can be drawn straight lie on both sides of the line.
"""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np

from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.maps.pixel_areas import HECTARE_M2, point_hectares
from cropcam.pipeline.maps.polygons_rings import Outlines
from cropcam.pipeline.maps.polygons_stores import NODE, Floats, Int32, Int64
from cropcam.pipeline.maps.windows import Classes
from cropcam.pipeline.runtime.compiled import compiled


def limits(grid: PixelGrid, simplify_m: float) -> Floats:
    """Twice the area in pixels of a square of `simplify_m`, (Y + 1,): at each line of the pixel grid, in its middle column.

    Raises:
        DataError: the CRS does not reach these pixels.
    """
    row_Y = np.minimum(np.arange(grid.height + 1), grid.height - 1)
    hectares_Y = point_hectares(grid, row_Y, np.full_like(row_Y, grid.width // 2))
    return np.asarray(2 * simplify_m**2 / (hectares_Y * HECTARE_M2))


def simplify(outlines: Outlines, corner_YB: Classes, limit_Y: Floats) -> None:
    """Drop vertices in place: `length_R` and `area_R` become those of the simplified rings.

    Args:
        outlines: of complete components.
        corner_YB: a bit for each vertex that any outline had before simplification, down to the last row of these; unchanged in the end.
        limit_Y: twice the area in pixels below which a triangle is dropped, at each line.
    """
    longest = int(outlines.length_R.max(initial=0)) + 1
    work = [np.empty(longest, np.int32) for _ in range(5)]
    _rings(*outlines[:6], corner_YB, limit_Y, *work)


@compiled
def _rings(
    x_V: Int32,
    y_V: Int32,
    flag_V: Classes,
    start_R: Int64,
    length_R: Int64,
    area_R: Int64,
    corner_YB: Classes,
    limit_Y: Floats,
    x_A: Int32,
    y_A: Int32,
    before_A: Int32,
    after_A: Int32,
    age_A: Int32,
) -> None:
    for ring in range(len(start_R)):
        begin, count = start_R[ring], length_R[ring]
        node = 0
        while node < count and not flag_V[begin + node] & NODE:
            node += 1
        closed = node == count
        node = 0 if closed else node
        for index in range(count + 1):  # from a node around to the same node
            place = begin + (node + index) % count
            x_A[index], y_A[index] = x_V[place], y_V[place]
            age_A[index] = flag_V[place] & NODE
        kept, first = 0, 0
        while first < count:
            last = first + 1
            while last < count and (closed or not age_A[last]):
                last += 1
            _arc(first, last, closed, corner_YB, limit_Y, x_A, y_A, before_A, after_A, age_A)
            for index in range(first, last):
                if age_A[index] >= 0:
                    x_V[begin + kept], y_V[begin + kept] = x_A[index], y_A[index]
                    kept += 1
            first = last
        length_R[ring] = kept
        area = np.int64(0)
        for index in range(kept):
            one, other = begin + index, begin + (index + 1) % kept
            area += np.int64(x_V[other]) * y_V[one] - np.int64(x_V[one]) * y_V[other]
        area_R[ring] = area


@compiled
def _arc(
    first: int,
    last: int,
    closed: bool,
    corner_YB: Classes,
    limit_Y: Floats,
    x_A: Int32,
    y_A: Int32,
    before_A: Int32,
    after_A: Int32,
    age_A: Int32,
) -> None:
    """Drop vertices of the arc from `first` to `last`: their age becomes -1. All of a closed ring may go, of another arc not its two ends."""
    zero: Any = np.int64(0)  # numba finds the type of the entries in it
    heap = [(zero, zero, zero, zero, zero)]
    heap.pop()
    end = last - 1 if closed else last
    next_node = age_A[last]
    inner = range(first, last) if closed else range(first + 1, last)
    for index in range(first, end + 1):
        before_A[index], after_A[index], age_A[index] = index - 1, index + 1, 0
    if closed:
        before_A[first], after_A[end] = end, first
    for index in inner:
        _weigh(index, limit_Y, x_A, y_A, before_A, after_A, age_A, heap)
    count, least = len(inner), 3 if closed else _least(first, last, x_A, y_A)
    while heap and count > least:
        _, _, _, vertex, age = heapq.heappop(heap)
        one, other = before_A[vertex], after_A[vertex]
        if age != age_A[vertex] or _holds(one, vertex, other, x_A, y_A, corner_YB):
            continue
        after_A[one], before_A[other], age_A[vertex] = other, one, -1
        _flip(vertex, x_A, y_A, corner_YB)
        count -= 1
        for each in (one, other):
            if closed or first < each < last:
                age_A[each] += 1
                _weigh(each, limit_Y, x_A, y_A, before_A, after_A, age_A, heap)
    for index in inner:
        if age_A[index] < 0:
            _flip(index, x_A, y_A, corner_YB)
    if not closed:
        age_A[last] = next_node


@compiled
def _weigh(
    index: int, limit_Y: Floats, x_A: Int32, y_A: Int32, before_A: Int32, after_A: Int32, age_A: Int32, heap: list[tuple[Any, ...]]
) -> None:
    """Put a vertex on the heap if its triangle is below the limit. Equal triangles go by place, so that both sides of an arc go alike."""
    x, y = np.int64(x_A[index]), np.int64(y_A[index])
    one, other = before_A[index], after_A[index]
    area = abs((x_A[one] - x) * (y_A[other] - y) - (x_A[other] - x) * (y_A[one] - y))
    if area < limit_Y[y]:
        heapq.heappush(heap, (area, y, x, np.int64(index), np.int64(age_A[index])))


@compiled
def _least(first: int, last: int, x_A: Int32, y_A: Int32) -> int:
    """How many vertices between its ends an arc keeps."""
    if x_A[first] == x_A[last] and y_A[first] == y_A[last]:
        return 2
    if x_A[first] == x_A[last] or y_A[first] == y_A[last]:
        return 1
    area = np.int64(x_A[first]) * y_A[last] - np.int64(x_A[last]) * y_A[first]
    for index in range(first, last):
        area += np.int64(x_A[index + 1]) * y_A[index] - np.int64(x_A[index]) * y_A[index + 1]
    return 0 if (area > 0) == (y_A[first] < y_A[last]) and area != 0 else 1


@compiled
def _flip(vertex: int, x_A: Int32, y_A: Int32, corner_YB: Classes) -> None:
    corner_YB[y_A[vertex], x_A[vertex] >> 3] ^= np.uint8(1 << (x_A[vertex] & 7))


@compiled
def _holds(one: int, middle: int, other: int, x_A: Int32, y_A: Int32, corner_YB: Classes) -> bool:
    """Whether a triangle, its border included, holds a vertex beside its own three."""
    corner = (np.int64(one), np.int64(middle), np.int64(other))
    top, bottom = min(y_A[one], y_A[middle], y_A[other]), max(y_A[one], y_A[middle], y_A[other])
    for y in range(np.int64(top), np.int64(bottom) + 1):
        left, right = np.int64(1 << 40), np.int64(-1)
        for index in range(3):
            p, q = corner[index], corner[(index + 1) % 3]
            x_p, y_p, x_q, y_q = np.int64(x_A[p]), np.int64(y_A[p]), np.int64(x_A[q]), np.int64(y_A[q])
            if y_p == y_q:
                if y == y_p:
                    left, right = min(left, x_p, x_q), max(right, x_p, x_q)
            elif min(y_p, y_q) <= y <= max(y_p, y_q):
                run, rise = (x_q - x_p) * (y - y_p), y_q - y_p
                left, right = min(left, x_p - (-run) // rise), max(right, x_p + run // rise)
        for x in range(left, right + 1):
            if corner_YB[y, x >> 3] >> (x & 7) & 1:
                own = False
                for p in corner:
                    own |= x_A[p] == x and y_A[p] == y
                if not own:
                    return True
    return False
