"""The work of cutting in parts: bands of rows, read in pieces. Bands and pieces end where the files' own tiles end, so each tile is decoded once.

A piece is what one thread holds. Pixels at its lower and right edge, too few for a patch, are handed to the pieces below and beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import rasterio

from cropcam.pipeline.chunks import memory
from cropcam.pipeline.cutting import Encoded, Rules, cut, join
from cropcam.pipeline.grid import PatchGrid, Window
from cropcam.pipeline.rasters.mosaic import LabelMosaic, RasterMosaic
from cropcam.pipeline.splits import units
from cropcam.pipeline.study.study import Study

_BAND_BYTES = 104 * 2**20  # of image DN in a band, if a row of tiles is not larger; its encoded patches are held until it is complete
_PIECE_BYTES = 16 * 2**20  # of image DN in a piece and its margins, if a tile is not larger
_LIMIT_BYTES = 192 * 2**20  # a piece whose tiles are larger than this cuts through them, and they are decoded more than once
_CACHE_MB = 32


class Block(NamedTuple):
    """Image DN (band, y, x) and CDL codes (y, x) of the same pixels."""

    dn: npt.NDArray[np.uint16]
    codes: npt.NDArray[np.uint8]

    def part(self, rows: slice, cols: slice) -> Block:
        """A view of some rows and columns."""
        return Block(self.dn[:, rows, cols], self.codes[rows, cols])

    def copy(self) -> Block:
        """The same in memory of its own."""
        return Block(self.dn.copy(), self.codes.copy())

    def fill(self, other: Block) -> None:
        """Take the pixels of another of the same shape."""
        self.dn[:], self.codes[:] = other


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
    source: RasterMosaic
    labels: LabelMosaic

    @property
    def grid(self) -> PatchGrid:
        """The patch grid."""
        return PatchGrid(self.source.grid, self.study.patches.size_px)

    def read(self, piece: Piece) -> Block:
        """The pixels of a piece, in a block whose margins, above and to the left, `cut` fills with what was left over there."""
        top, left = piece.first * self.grid.size_px, piece.first_col * self.grid.size_px
        shape = (piece.bottom - top, piece.right - left)
        block = Block(memory((len(self.source.bands), *shape), np.uint16), memory(shape, np.uint8))
        self._read(
            piece.top, piece.bottom, piece.left, piece.right, block.part(slice(piece.top - top, None), slice(piece.left - left, None))
        )
        return block

    def above(self, piece: Piece) -> Block:
        """The rows above a piece that its first patches need, read on their own."""
        shape = (piece.top - piece.first * self.grid.size_px, piece.right - piece.left)
        block = Block(np.empty((len(self.source.bands), *shape), np.uint16), np.empty(shape, np.uint8))
        if shape[0]:
            self._read(piece.top - shape[0], piece.top, piece.left, piece.right, block)
        return block

    def below(self, piece: Piece, block: Block) -> Block:
        """The rows of a piece that the piece below needs."""
        own = slice(piece.left - piece.first_col * self.grid.size_px, None)
        return block.part(slice((piece.last - piece.first) * self.grid.size_px, None), own).copy()

    def beside(self, piece: Piece, block: Block, above: Block) -> Block:
        """The columns of a piece, and of what lies above it, that the piece to the right needs."""
        size = self.grid.size_px
        found = block.part(slice(None), slice((piece.last_col - piece.first_col) * size, None)).copy()
        found.part(slice(0, piece.top - piece.first * size), slice(None)).fill(
            above.part(slice(None), slice(piece.last_col * size - piece.left, None))
        )
        return found

    def cut(self, piece: Piece, block: Block, above: Block, before: Block | None) -> Encoded:
        """The patches that end in a piece, encoded.

        Args:
            piece: where.
            block: its own pixels; its margins are filled.
            above: what the piece above left over.
            before: what the piece to the left left over; None at the western edge.
        """
        size, legend = self.grid.size_px, self.study.legend
        left = piece.left - piece.first_col * size
        block.part(slice(0, piece.top - piece.first * size), slice(left, None)).fill(above)
        if before is not None:
            block.part(slice(None), slice(0, left)).fill(before)
        row, col = np.indices((piece.last - piece.first, piece.last_col - piece.first_col), np.int32)
        unit_RC = units(row + piece.first, col + piece.first_col, self.study.splits, self.grid)
        found = cut(block.dn, block.codes, Rules(size, legend.lookup(), len(legend), self.study.patches.valid_min_share), unit_RC)
        found.small["row"] += piece.first
        found.small["col"] += piece.first_col
        return found

    def join(self, found: Sequence[Encoded]) -> Encoded:
        """Several results as one, patches in row-major order."""
        return join(found)

    def _read(self, top: int, bottom: int, left: int, right: int, into: Block) -> None:
        window = Window(top, left, bottom - top, right - left)
        with rasterio.Env(GDAL_CACHEMAX=_CACHE_MB):  # whole tiles are read once: a cache of them would only take memory
            self.source.read(window, into.dn)
            self.labels.read(window, into.codes)


def plan(job: Job) -> list[Part]:
    """Parts that cover every patch once, in order."""
    size, grid, pixel = job.grid.size_px, job.source.grid, 2 * len(job.source.bands)
    rows, cols = job.source.tile_edges()
    row = pixel * grid.width
    bands = list(_spans(rows, job.grid.rows * size, size, _BAND_BYTES // row, _LIMIT_BYTES // row))
    high = pixel * max(bottom - top // size * size for top, bottom in bands)  # with the rows above that its first patches need
    across = list(_spans(cols, job.grid.columns * size, size, _PIECE_BYTES // high - size, _LIMIT_BYTES // high))
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
