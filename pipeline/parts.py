"""The work of cutting in parts: bands of rows that end where the files' own tiles end, so that each tile is decoded once.

A part reads a block of whole tile rows. The last rows of a block, too few for a patch, are the head of the next part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import rasterio

from pipeline.cutting import Encoded, by_unit, cut, encode
from pipeline.grid import PatchGrid, Window
from pipeline.sources import LabelSource, Source
from pipeline.splits import units
from pipeline.study import Study

_BLOCK_BYTES = 48 * 2**20  # of image DN that a part reads, if tile rows are not larger
_CACHE_MB = 32
_PIECE_BYTES = 2**20  # of patches that are cut, measured and encoded together
_LIMIT_BYTES = 192 * 2**20  # tile rows larger than this are read in pieces, and decoded more than once


class Block(NamedTuple):
    """Rows of image DN (band, y, x) and of CDL codes (y, x)."""

    dn: npt.NDArray[np.uint16]
    codes: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Part:
    """Pixel rows [top, bottom) are read; patch rows [first, last) are complete with the head above `top`."""

    index: int
    top: int
    bottom: int
    first: int
    last: int


@dataclass(frozen=True)
class Job:
    """All that a worker needs to know: where pixels come from and what becomes of them. Picklable."""

    study: Study
    source: Source
    labels: LabelSource

    @property
    def grid(self) -> PatchGrid:
        """The patch grid."""
        return PatchGrid(self.source.grid, self.study.patches.size_px)

    def read(self, part: Part) -> Block:
        """The rows of a part, without its head."""
        return self._rows(part.top, part.bottom)

    def head(self, part: Part) -> Block:
        """The rows above a part that its first patches need, read on their own."""
        return self._rows(part.first * self.grid.size_px, part.top)

    def tail(self, part: Part, block: Block) -> Block:
        """The rows of a part that the next one needs."""
        start = part.last * self.grid.size_px - part.top
        return Block(block.dn[:, start:].copy(), block.codes[start:].copy())

    def cut(self, part: Part, block: Block, head: Block) -> Encoded:
        """The patches of a part, encoded, a few at a time: they stay in the processor's cache from cutting to encoding."""
        size, legend, found = self.grid.size_px, self.study.legend, []
        lookup, least = legend.lookup(), self.study.patches.valid_min_share
        step = max(1, _PIECE_BYTES // (2 * len(self.source.bands) * size**2)) * size
        for number, rows in enumerate(_patch_rows(part, block, head, size)):
            row = part.first + number
            for left in range(0, self.grid.columns * size, step):
                here = slice(left, min(left + step, self.grid.columns * size))
                piece = cut(rows.dn[:, :, here], rows.codes[:, here], size, lookup, len(legend), least)
                piece = piece.moved(row, left // size)
                found.append(encode(piece, units(piece.row, piece.col, self.study.splits, self.grid)))
        return _joined(found)

    def _rows(self, top: int, bottom: int) -> Block:
        window = Window(top, 0, bottom - top, self.source.grid.width)
        with rasterio.Env(GDAL_CACHEMAX=_CACHE_MB):  # whole tiles are read once: a cache of them would only take memory
            return Block(self.source.read(window), self.labels.read(window))


def plan(job: Job) -> list[Part]:
    """Parts that cover every patch row once, in order."""
    grid, per_row = job.grid, 2 * len(job.source.bands) * job.source.grid.width
    wanted, limit = (max(grid.size_px, size // per_row) for size in (_BLOCK_BYTES, _LIMIT_BYTES))
    parts: list[Part] = []
    end, top = grid.rows * grid.size_px, 0
    edges = job.source.tile_edges()
    while top < end:
        first = top // grid.size_px
        lowest = (first + 1) * grid.size_px  # a part completes at least one patch row
        fits = edges[(edges >= lowest) & (edges <= top + limit)]
        near = fits[fits <= top + wanted]
        bottom = int(near[-1]) if near.size else int(fits[0]) if fits.size else max(lowest, (top + wanted) // grid.size_px * grid.size_px)
        bottom = end if bottom >= end else bottom
        parts.append(Part(len(parts), top, bottom, first, bottom // grid.size_px))
        top = bottom
    return parts


def _patch_rows(part: Part, block: Block, head: Block, size_px: int) -> Iterator[Block]:
    above = head.codes.shape[0]
    for row in range(part.first, part.last):
        start, stop = row * size_px - part.top, (row + 1) * size_px - part.top
        if start >= 0:
            yield Block(block.dn[:, start:stop], block.codes[start:stop])
        else:
            dn = np.concatenate([head.dn[:, above + start :], block.dn[:, :stop]], axis=1)
            yield Block(dn, np.concatenate([head.codes[above + start :], block.codes[:stop]]))


def _joined(found: list[Encoded]) -> Encoded:
    small = {name: np.concatenate([one.small[name] for one in found]) for name in found[0].small}
    small["units"], small["histogram"] = by_unit(small["units"], small["histogram"])
    dropped: Counter[str] = Counter()
    for one in found:
        dropped.update(one.dropped)
    return Encoded([chunk for one in found for chunk in one.image], [chunk for one in found for chunk in one.label], small, dropped)
