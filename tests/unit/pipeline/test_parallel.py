"""Work in pieces on dask's threads: in order, with what neighbours leave over, and no more in memory than is promised."""

from __future__ import annotations

import threading
import time
import weakref
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cropcam.pipeline.cluster import groups
from cropcam.pipeline.parallel import AHEAD, run_steps, work_one

Piece = tuple[int, int]


@dataclass(frozen=True)
class Part:
    number: int
    columns: int

    @property
    def pieces(self) -> list[Piece]:
        return [(self.number, column) for column in range(self.columns)]


class Block:
    def __init__(self, piece: Piece) -> None:
        self.piece = piece


class Watched:
    """Steps that know what each should be given, and count what is held."""

    def __init__(self) -> None:
        self.blocks: weakref.WeakSet[Block] = weakref.WeakSet()
        self.most = 0
        self.lock = threading.Lock()

    def read(self, piece: Piece) -> Block:
        block = Block(piece)
        with self.lock:
            self.blocks.add(block)
            self.most = max(self.most, len(self.blocks))
        return block

    def above(self, piece: Piece) -> Piece:
        return piece[0] - 1, piece[1]

    def below(self, piece: Piece, block: Block) -> Piece:
        assert block.piece == piece
        return piece

    def beside(self, piece: Piece, block: Block, above: Piece) -> Piece:
        assert (block.piece, above) == (piece, self.above(piece))
        return piece

    def cut(self, piece: Piece, block: Block, above: Piece, before: Piece | None) -> Piece:
        assert (block.piece, above, before) == (piece, self.above(piece), (piece[0], piece[1] - 1) if piece[1] else None)
        return piece

    def join(self, found: list[Any]) -> list[Any]:
        return found


@settings(deadline=None, max_examples=40)
@given(rows=st.integers(0, 6), columns=st.integers(1, 12), workers=st.integers(1, 4))
def test_parts_come_in_order_and_few_pieces_are_held(rows: int, columns: int, workers: int) -> None:
    steps, parts, seen = Watched(), [Part(number, columns) for number in range(rows)], []
    run_steps(steps, parts, lambda part, found: seen.append((part, found)), workers)
    assert seen == [(part, part.pieces) for part in parts]
    assert steps.most <= AHEAD * workers
    assert not steps.blocks


def test_nothing_is_consumed_once_a_piece_has_failed() -> None:
    steps, began, seen = Watched(), threading.Event(), []

    def slow(part: Part, _found: Any) -> None:
        began.set()
        time.sleep(0.3)
        seen.append(part.number)

    def read(piece: Piece) -> Block:
        if piece == (1, 3):  # parts 0 and 1 are worked at the same time
            assert began.wait(60)
            raise ValueError("truncated")
        return Block(piece)

    steps.read = read  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="truncated"):
        run_steps(steps, [Part(number, 9) for number in range(3)], slow, 2)
    after = list(seen)
    time.sleep(0.5)
    assert seen == after == [0]


def test_one_part_takes_what_the_one_before_left_over() -> None:
    steps, first, second = Watched(), Part(0, 3), Part(1, 3)
    found, below = work_one(steps, first)
    assert (found, below) == (first.pieces, first.pieces)
    assert work_one(steps, second, below) == work_one(steps, second)


@given(parts=st.integers(0, 99), threads=st.integers(1, 12))
def test_groups_hold_each_part_once_in_order_and_equally_many(parts: int, threads: int) -> None:
    found = [[part.number for part in group] for group in groups([Part(number, 1) for number in range(parts)], threads)]
    assert [number for group in found for number in group] == list(range(parts))
    assert all(1 <= len(group) <= 5 for group in found)
    assert max(map(len, found), default=0) - min(map(len, found), default=0) <= 1
