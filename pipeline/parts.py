"""The work of cutting in parts: bands of rows, read in pieces. Bands and pieces end where the files' own tiles end, so each tile is decoded once.

A piece is what one thread holds. Pixels at its lower and right edge, too few for a patch, are handed to the pieces below and beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
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

_BAND_BYTES = 104 * 2**20  # of image DN in a band, if a row of tiles is not larger; its encoded patches are held until it is complete
_PIECE_BYTES = 16 * 2**20  # of image DN in a piece, if a tile is not larger
_LIMIT_BYTES = 192 * 2**20  # a piece whose tiles are larger than this cuts through them, and they are decoded more than once
_CACHE_MB = 32
_TOGETHER_BYTES = 2**20  # of patches that are cut, measured and encoded together


class Block(NamedTuple):
    """Image DN (band, y, x) and CDL codes (y, x) of the same pixels."""

    dn: npt.NDArray[np.uint16]
    codes: npt.NDArray[np.uint8]

    def part(self, rows: slice, cols: slice) -> Block:
        """A view of some rows and columns."""
        return Block(self.dn[:, rows, cols], self.codes[rows, cols])


@dataclass(frozen=True)
class Piece:
    """Pixels rows [top, bottom), columns [left, right) are read; patch rows [first, last), columns [first_col, last_col) end in them."""

    top: int
    bottom: int
    first: int
    last: int
    left: int
    right: int
    first_col: int
    last_col: int


@dataclass(frozen=True)
class Part:
    """One band over the full width: its pieces from west to east."""

    index: int
    pieces: tuple[Piece, ...]


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

    def read(self, piece: Piece) -> Block:
        """The pixels of a piece alone."""
        return self._read(piece.top, piece.bottom, piece.left, piece.right)

    def above(self, piece: Piece) -> Block:
        """The rows above a piece that its first patches need, read on their own."""
        return self._read(piece.first * self.grid.size_px, piece.top, piece.left, piece.right)

    def below(self, piece: Piece, block: Block) -> Block:
        """The rows of a piece that the piece below needs."""
        return _copied([block.part(slice(piece.last * self.grid.size_px - piece.top, None), slice(None))])

    def beside(self, piece: Piece, block: Block, above: Block) -> Block:
        """The columns of a piece, and of what lies above it, that the piece to the right needs."""
        cols = slice(piece.last_col * self.grid.size_px - piece.left, None)
        return _copied([above.part(slice(None), cols), block.part(slice(None), cols)])

    def cut(self, piece: Piece, block: Block, above: Block, before: Block | None) -> Encoded:
        """The patches that end in a piece, encoded, a few at a time: they stay in the processor's cache from cutting to encoding.

        Args:
            piece: where.
            block: its own pixels.
            above: what the piece above left over.
            before: what the piece to the left left over; None at the western edge.
        """
        size, legend, found = self.grid.size_px, self.study.legend, []
        lookup, least = legend.lookup(), self.study.patches.valid_min_share
        step = max(1, _TOGETHER_BYTES // (2 * len(self.source.bands) * size**2))
        for row in range(piece.first, piece.last):
            rows = slice(row * size - piece.first * size, (row + 1) * size - piece.first * size)
            strip = _strip(rows, block, above, before)
            for first in range(0, piece.last_col - piece.first_col, step):
                few = strip.part(slice(None), slice(first * size, min(first + step, piece.last_col - piece.first_col) * size))
                patches = cut(few.dn, few.codes, size, lookup, len(legend), least).moved(row, piece.first_col + first)
                found.append(encode(patches, units(patches.row, patches.col, self.study.splits, self.grid)))
        return self.join(found)

    def join(self, found: Sequence[Encoded]) -> Encoded:
        """Several results as one, patches in row-major order."""
        small = {name: np.concatenate([one.small[name] for one in found]) for name in found[0].small}
        order = np.lexsort([small["col"], small["row"]]).tolist()
        small |= {name: small[name][order] for name in ("row", "col", "counts", "valid", "moments")}
        small["units"], small["histogram"] = by_unit(small["units"], small["histogram"])
        image = [chunk for one in found for chunk in one.image]
        label = [chunk for one in found for chunk in one.label]
        dropped: Counter[str] = Counter()
        for one in found:
            dropped.update(one.dropped)
        return Encoded([image[n] for n in order], [label[n] for n in order], small, dropped)

    def _read(self, top: int, bottom: int, left: int, right: int) -> Block:
        window = Window(top, left, bottom - top, right - left)
        with rasterio.Env(GDAL_CACHEMAX=_CACHE_MB):  # whole tiles are read once: a cache of them would only take memory
            return Block(self.source.read(window), self.labels.read(window))


def plan(job: Job) -> list[Part]:
    """Parts that cover every patch once, in order."""
    size, grid, pixel = job.grid.size_px, job.source.grid, 2 * len(job.source.bands)
    rows, cols = job.source.tile_edges()
    row = pixel * grid.width
    bands = list(_spans(rows, job.grid.rows * size, size, _BAND_BYTES // row, _LIMIT_BYTES // row))
    high = pixel * max(bottom - top for top, bottom in bands)
    across = list(_spans(cols, job.grid.columns * size, size, _PIECE_BYTES // high, _LIMIT_BYTES // high))
    return [
        Part(number, tuple(Piece(top, bottom, top // size, bottom // size, *side, side[0] // size, side[1] // size) for side in across))
        for number, (top, bottom) in enumerate(bands)
    ]


def _spans(edges: npt.NDArray[np.int64], end: int, size: int, wanted: int, limit: int) -> Iterator[tuple[int, int]]:
    """[0, end) in spans that complete a patch each: to the last edge within `wanted`, else to the first within `limit`, else anywhere."""
    start = 0
    while start < end:
        lowest = (start // size + 1) * size
        fits = edges[(edges >= lowest) & (edges <= start + max(limit, size))]
        near = fits[fits <= start + max(wanted, size)]
        stop = int(near[-1]) if near.size else int(fits[0]) if fits.size else max(lowest, (start + wanted) // size * size)
        yield start, min(stop, end)
        start = stop


def _strip(rows: slice, block: Block, above: Block, before: Block | None) -> Block:
    """Some rows, counted from the first row above, of a block with what was left over around it."""
    over = above.codes.shape[0]
    own = block.part(slice(max(rows.start - over, 0), rows.stop - over), slice(None))
    if rows.start < over:
        own = _copied([above.part(slice(rows.start, rows.stop), slice(None)), own])
    if before is None or not before.codes.shape[1]:
        return own
    left = before.part(rows, slice(None))
    return Block(np.concatenate([left.dn, own.dn], axis=2), np.concatenate([left.codes, own.codes], axis=1))


def _copied(blocks: Sequence[Block]) -> Block:
    """Blocks one above the other."""
    return Block(np.concatenate([block.dn for block in blocks], axis=1), np.concatenate([block.codes for block in blocks]))
