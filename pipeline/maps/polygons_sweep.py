"""The outlines of a class map, swept row by row.

Pixels that share an edge and a class are one component (4-connected). A component without a pixel in the last row swept is complete. Work is
linear in pixels. Memory is that of the components that are not complete.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cropcam.pipeline.maps.polygons_stores import (
    COMPONENTS,
    FREE_COMPONENT,
    FREE_NODE,
    FREE_RING,
    NEXT,
    NODES,
    RINGS,
    Chains,
    Components,
    Floats,
    Int32,
    Line,
    Rings,
    Vertices,
    chain_free,
    grown,
)
from cropcam.pipeline.maps.polygons_trace import find, sweep_rows
from cropcam.pipeline.maps.windows import NODATA_CLASS, Classes


class Sweep:
    """A sweep over a map from its first row to its last.

    Attributes:
        vertices: of all chains and of the rings of components that were not taken.
        components: the components that were not taken.
        rings: their rings.
        counts: free places, and the tops of the stacks of free places.
        corner_YB: a bit a vertex of the pixel grid, set where outlines have one; empty rows where it is not asked for.
    """

    def __init__(self, shape_yx: tuple[int, int], *, corners: bool) -> None:
        height, width = shape_yx
        self._shape_yx, self._row = shape_yx, 0
        self.counts = np.array([0, -1, width + 4, 0, 0, 0, -1], np.int64)
        self.vertices: Vertices = np.empty((0, 3), np.int32)
        kinds: list[Any] = [np.int32, np.uint8, np.int64, np.int64, np.int32, np.float64, np.int64, np.int32, np.int32, np.int32]
        self.components = Components(*(np.empty(0, kind) for kind in kinds))
        self.rings = Rings(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int32))
        chains: list[Any] = [np.empty(width + 4, np.int64 if name == "length" else np.int32) for name in Chains._fields]
        self._chains = Chains(*chains)
        self._chains.free[:] = np.arange(width + 4)
        self._line = Line(
            *(np.full(width + 2, NODATA_CLASS, np.uint8), np.zeros(width, np.int32)),
            *(np.full(width + 2, NODATA_CLASS, np.uint8), np.zeros(width, np.int32)),
        )
        self.corner_YB = np.zeros((height + 1, -(-(width + 1) // 8) if corners else 0), np.uint8)

    def rows(self, rows_YX: Classes, own_YX: Classes, hectares_YX: Floats) -> None:
        """Sweep the next rows.

        Args:
            rows_YX: class indices, 255 = nodata.
            own_YX: round(250 p) of each pixel's class.
            hectares_YX: area of each pixel; (Y, 1) where those of a row are equal.
        """
        done = 0
        while done < len(rows_YX):
            self._make_room()
            parts = rows_YX[done:], own_YX[done:], hectares_YX[done:], self.corner_YB
            stores: Any = self._line, self.vertices, self._chains, self.components, self.rings, self.counts
            more = int(sweep_rows(self._row, *parts, *stores))
            done, self._row = done + more, self._row + more

    def end(self) -> None:
        """Sweep the line below the last row, which closes every chain."""
        nothing_YX = np.full((1, self._shape_yx[1]), NODATA_CLASS, np.uint8)
        self.rows(nothing_YX, nothing_YX, np.zeros((1, 1)))

    def take(self) -> Int32:
        """The components that no later row can extend, by their last row, then by their first pixel; the others are kept.

        Their vertices and rings stay until `polygons_rings.rings_of` reads them. Call it before the next rows.
        """
        c, line = self.components, self._line
        count = int(self.counts[COMPONENTS])
        live = np.zeros(count, np.bool_)
        mapped_X = line.classes[1:-1] != NODATA_CLASS
        last_X = line.component[mapped_X]
        roots = np.unique(last_X)
        root_of = np.arange(count, dtype=np.int32)
        root_of[roots] = [find(c.parent, each) for each in roots.tolist()]
        line.component[mapped_X] = root_of[last_X]
        live[root_of[roots]] = True
        used = np.ones(count, np.bool_)
        used[c.free[: self.counts[FREE_COMPONENT]][c.free[: self.counts[FREE_COMPONENT]] < count]] = False
        done = np.flatnonzero(used & ~live & (c.parent[:count] == np.arange(count)))
        free = np.concatenate([np.arange(len(c.parent) - 1, count - 1, -1), np.flatnonzero(~live)[::-1]])
        c.free[: len(free)] = free
        self.counts[FREE_COMPONENT] = len(free)
        return done[np.lexsort((c.first[done], c.last_row[done]))].astype(np.int32)

    def _make_room(self) -> None:
        """More places where the next row might lack some."""
        width = self._shape_yx[1]
        if self.counts[NODES] <= 4 * (width + 1):
            (self.vertices,), first = grown((self.vertices,), 8 * (width + 1))
            self.counts[FREE_NODE] = chain_free(self.vertices[:, NEXT], first, self.counts[FREE_NODE])
            self.counts[NODES] += len(self.vertices) - first
        if self.counts[RINGS] <= 2 * width + 2:
            self.rings, first = grown(self.rings, 4 * width + 4)
            self.counts[FREE_RING] = chain_free(self.rings.next, first, self.counts[FREE_RING])
            self.counts[RINGS] += len(self.rings.next) - first
        if (top := int(self.counts[FREE_COMPONENT])) <= width:
            self.components, first = grown(self.components, 2 * width)
            more = np.arange(len(self.components.parent) - 1, first - 1, -1)
            self.components.free[len(more) : len(more) + top] = self.components.free[:top]
            self.components.free[: len(more)] = more
            self.counts[FREE_COMPONENT] = top + len(more)
