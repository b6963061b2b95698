"""Which of the files that lie at a place make one whole export: the newest complete set of each layer. Pure.

On Drive several files of one name may lie in one folder, and several folders may have one name. Where files lie on the grid decides
what belongs together, their times which of two comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.fetch.remote import RemoteFile
from cropcam.pipeline.grid import Window
from cropcam.pipeline.rasters.mosaic import intersection


@dataclass(frozen=True)
class Shard:
    """A remote file of a study: its layer, the task that its name belongs to, its place on the study's grid."""

    file: RemoteFile
    layer: str
    task: str
    place: Window


@dataclass
class Choice:
    """The files to fetch of one layer. `missing` is empty where they are a whole export, `conflict` where nothing contradicts.

    `newer` has the names of files of a newer export, of which others are not there.
    """

    shards: list[Shard]
    missing: str = ""
    conflict: str = ""
    newer: str = ""
    notes: list[str] = field(default_factory=list)


def _always(_: Window) -> bool:
    return True


def choose(
    layer: str,
    shards: Sequence[Shard],
    shape_yx: tuple[int, int],
    retried: Collection[str] = (),
    is_needed: Callable[[Window], bool] = _always,
) -> Choice:
    """The newest complete set of one layer.

    The files are taken by time. A file that lies over another one, with other bytes, begins a new set; one with the same bytes
    is a copy. Where no set is complete by itself, the newest file of each place is taken if only tasks overlap that
    were tried more than once: a failed attempt leaves files behind.

    Args:
        layer: its name.
        shards: of this layer.
        shape_yx: of the study's grid.
        retried: names of the tasks that were tried more than once.
        is_needed: whether a window without a file is missing; a study may leave parts of its grid out.
    """
    board = _Board([shard.place for shard in shards], shape_yx, is_needed)
    ordered = sorted(shards, key=lambda shard: (shard.file.modified, shard.file.key))
    sets, copies = _sets(ordered, board)
    notes = (
        [f"{layer}: {copies} {'files lie' if copies > 1 else 'file lies'} there twice, with the same bytes; one of each is fetched"]
        if copies
        else []
    )
    newer: list[Shard] = []  # of exports, not of further attempts of a task
    for found in reversed(sets):
        if found.is_full:
            own = set(found.shards)
            left = [shard for other in sets if other is not found for shard in other.shards if shard not in own]
            if left:
                which = "the newest set" if found is sets[-1] else "the newest set that is complete"
                notes.append(
                    f"{layer}: {which}, until {_time(found.shards)}, is fetched; {_names(left)} of other exports stay where they are"
                )
            return Choice(found.shards, newer=_names(newer), notes=notes)
        newer += [shard for shard in found.shards if shard.task not in retried]
    if len(sets) == 1:
        return Choice(sets[0].shards, f"{layer}: {sets[0].missing()}", notes=notes)
    merged = _Set(board)
    left = [shard for shard in reversed(ordered) if not merged.add(shard)]
    if all(shard.task in retried for shard in left):
        notes.append(f"{layer}: {_names(left)} of earlier attempts of these tasks stay where they are")
        return Choice(merged.shards, "" if merged.is_full else f"{layer}: {merged.missing()}", notes=notes)
    pairs = [
        (next(one for one in merged.shards if intersection(one.place, old.place) or one.file.name == old.file.name), old)
        for old in left[:2]
    ]
    text = "; ".join(f"{_about(new.file)} and {_about(old.file)}" for new, old in pairs)
    conflict = f"{layer}: files of {len(sets)} exports lie over each other, and none of these is complete: {text}"
    return Choice([], f"{layer}: {sets[-1].missing()}", conflict, notes=notes)


class _Board:
    """The grid cut along the edges of all files: small enough to count its fields."""

    def __init__(self, places: Sequence[Window], shape_yx: tuple[int, int], is_needed: Callable[[Window], bool]) -> None:
        self._is_needed = is_needed
        self.rows = np.unique([0, shape_yx[0], *(edge for p in places for edge in (p.row, p.row + p.height))])
        self.cols = np.unique([0, shape_yx[1], *(edge for p in places for edge in (p.col, p.col + p.width))])

    def slices(self, place: Window) -> tuple[slice, slice]:
        rows = np.searchsorted(self.rows, (place.row, place.row + place.height))
        cols = np.searchsorted(self.cols, (place.col, place.col + place.width))
        return slice(*rows), slice(*cols)

    def gaps(self, is_held: npt.NDArray[np.bool_]) -> list[Window]:
        """The fields without a file that need one."""
        fields = [
            Window(*map(int, (self.rows[r], self.cols[c], self.rows[r + 1] - self.rows[r], self.cols[c + 1] - self.cols[c])))
            for r, c in np.argwhere(~is_held)
        ]
        return [field for field in fields if self._is_needed(field)]


class _Set:
    """Files that do not overlap and have different names."""

    def __init__(self, board: _Board) -> None:
        self._board = board
        self._by_place: dict[Window, Shard] = {}
        self._names: set[str] = set()
        self._is_held = np.zeros((len(board.rows) - 1, len(board.cols) - 1), bool)

    @property
    def shards(self) -> list[Shard]:
        return list(self._by_place.values())

    @property
    def is_full(self) -> bool:
        return not self._board.gaps(self._is_held)

    def at(self, place: Window) -> Shard | None:
        return self._by_place.get(place)

    def add(self, shard: Shard) -> bool:
        """Add a file unless it overlaps another or has its name; whether it was added."""
        fields = self._is_held[self._board.slices(shard.place)]
        if fields.any() or shard.file.name in self._names:
            return False
        fields[:] = True
        self._names.add(shard.file.name)
        self._by_place[shard.place] = shard
        return True

    def missing(self) -> str:
        """How many pixels lie in no file, and the first places of them."""
        gaps = self._board.gaps(self._is_held)
        places = [f"rows {gap.row}..{gap.row + gap.height}, columns {gap.col}..{gap.col + gap.width}" for gap in gaps[:3]]
        more = f"; and {len(gaps) - 3} more places" if len(gaps) > 3 else ""
        pixels, whole = sum(gap.height * gap.width for gap in gaps), int(self._board.rows[-1] * self._board.cols[-1])
        return f"{pixels:,} of {whole:,} pixels lie in no file ({'; '.join(places)}{more})"


def _sets(ordered: Sequence[Shard], board: _Board) -> tuple[list[_Set], int]:
    """Sets of files that do not overlap, by time, and the number of copies."""
    sets = [_Set(board)]
    again: list[Shard] = []  # copies, newer than their originals: they belong to a set that follows as well
    copies = 0
    for shard in ordered:
        same = sets[-1].at(shard.place)
        if same and same.file.digest == shard.file.digest:
            copies += 1
            again.append(shard)
        elif not sets[-1].add(shard):
            sets.append(_Set(board))
            for one in (shard, *reversed(again)):
                sets[-1].add(one)
            again = []
    return sets, copies


def _time(shards: Sequence[Shard]) -> str:
    return f"{max(shard.file.modified for shard in shards):%Y-%m-%d %H:%M:%S} UTC"


def _about(file: RemoteFile) -> str:
    return f"{file.name} of {file.modified:%Y-%m-%d %H:%M:%S} in {file.folder}"


def _names(shards: Sequence[Shard]) -> str:
    names = sorted({shard.file.name for shard in shards})
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
