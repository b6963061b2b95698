"""Encoded patches on their way into zarr shards on a cluster: workers leave them in files beside the store, and workers put the zarr shards together.

As messages they would pass through sockets, event loops and one process, on processors that could cut instead. The writer says what goes where, and
each zarr shard is written by one worker. A worker on another disk sends messages; the writer then leaves them in a file itself.
"""

from __future__ import annotations

import errno
import os
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.chunks import Chunks, memory, sizes
from cropcam.pipeline.cluster import Answer
from cropcam.pipeline.cutting import Encoded
from cropcam.pipeline.runtime.atomic import remove
from cropcam.pipeline.shardfile import write_shard

_MARK = "token"  # the file that says whose folder it is


class Stretch(NamedTuple):
    """Bytes [start, stop) of the file `name` of the spool."""

    name: str
    start: int
    stop: int


@dataclass(frozen=True)
class Spooled:
    """Encoded patches, one behind the other, in the file `name` of the spool from byte `start`; their sizes in bytes (int64)."""

    name: str
    start: int
    sizes: npt.NDArray[np.int64]

    @property
    def data(self) -> Stretch:
        """Where their bytes are."""
        return Stretch(self.name, self.start, self.start + int(self.sizes.sum()))

    def __len__(self) -> int:
        return len(self.sizes)

    def part(self, start: int, stop: int) -> Spooled:
        """Some of them."""
        return Spooled(self.name, self.start + int(self.sizes[:start].sum()), self.sizes[start:stop])


@dataclass(frozen=True)
class Left:
    """What cutting left of one part, as `Encoded`: patches in a file of the spool, and the small figures."""

    image: list[Spooled]
    label: list[Spooled]
    small: dict[str, npt.NDArray[Any]]
    dropped: Counter[str]

    def __len__(self) -> int:
        return len(self.small["row"])


@dataclass(frozen=True)
class Spool:
    """The folder of those files. Picklable; `token` stands in it: who reads it there sees the writer's disk."""

    folder: Path
    token: str

    @classmethod
    def begin(cls, folder: Path) -> Spool:
        """An empty folder, whatever a killed run left there.

        Raises:
            OSError: the disk says no.
        """
        spool = cls(folder.resolve(), uuid.uuid4().hex)
        spool.end()
        folder.mkdir(parents=True)
        (folder / _MARK).write_text(spool.token)
        return spool

    def end(self) -> None:
        """Remove it."""
        remove(self.folder)

    def leave(self, found: Encoded) -> Encoded | Left:
        """On a worker: what travels to the writer; the result itself, in few pieces, where the folder is not to be written."""
        if self._is_here():
            try:
                return self.keep(found)
            except OSError:
                pass  # the writer will say what is wrong with the disk
        return replace(found, image=[_joined(found.image)], label=[_joined(found.label)])

    def keep(self, found: Encoded) -> Left:
        """Write the patches of a result, if it has any, into a file: images, then labels.

        Raises:
            OSError: the disk says no; nothing is left.
        """
        if not len(found):
            return Left([], [], found.small, found.dropped)
        path = self.folder / uuid.uuid4().hex  # not the part's number: a worker believed dead may still write the same part
        try:
            with path.open("xb") as file:
                for chunks in (*found.image, *found.label):
                    file.write(chunks.data.data)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        image = Spooled(path.name, 0, sizes(found.image))
        return Left([image], [Spooled(path.name, image.data.stop, sizes(found.label))], found.small, found.dropped)

    def assemble(self, path: Path, stretches: Sequence[Stretch], sizes: npt.NDArray[np.int64], room: int) -> str:
        """Write the zarr shard at `path`, of patches of these sizes that lie in these stretches; its checksum.

        Raises:
            OSError: the disk says no, a file is gone or too short, or the folder is another run's by now; nothing is left.
        """
        data, end = memory((int(sizes.sum()),), np.uint8), 0
        for name, start, stop in stretches:
            with (self.folder / name).open("rb", buffering=0) as file:  # not mapped: the faults of its pages would take longer than a copy
                file.seek(start)
                if file.readinto(data[end : end + stop - start].data) != stop - start:
                    raise OSError(errno.EIO, "shorter than it was written", str(self.folder / name))
            end += stop - start
        aside = self.folder / uuid.uuid4().hex  # two workers may write the same zarr shard, where one was believed dead
        checksum = write_shard(aside, [data], sizes, room)
        if not self._is_here():
            aside.unlink(missing_ok=True)
            raise OSError(errno.ENOENT, "taken over by another run", str(self.folder))
        path.parent.mkdir(parents=True, exist_ok=True)
        os.replace(aside, path)  # noqa: PTH105 - says what it does
        return checksum

    def assemble_there(self, path: Path, stretches: Sequence[Stretch], sizes: npt.NDArray[np.int64], room: int) -> str | None:
        """`assemble` on a worker; None on one that does not see the folder."""
        return self.assemble(path, stretches, sizes, room) if self._is_here() else None

    def _is_here(self) -> bool:
        try:
            return (self.folder / _MARK).read_text() == self.token
        except OSError:
            return False


class Assembly:
    """At the writer: has workers put zarr shards together, and removes files whose patches all stand in one."""

    def __init__(self, spool: Spool, submit: Callable[..., Answer]) -> None:
        """Begin.

        Args:
            spool: where workers leave patches.
            submit: has a worker call a function with arguments; how many bytes it works on comes first.
        """
        self.spool, self.submit = spool, submit
        self._waiting: dict[str, int] = {}  # bytes of each file that stand in no zarr shard yet

    def take(self, found: Encoded | Left) -> Left:
        """What a worker left.

        Raises:
            OSError: patches came as messages, and the disk says no.
        """
        left = found if isinstance(found, Left) else self.spool.keep(found)
        for one in (*left.image, *left.label):
            self._waiting[one.name] = self._waiting.get(one.name, 0) + int(one.sizes.sum())
        return left

    def shard(self, path: Path, room: int) -> SpooledShard:
        """A zarr shard that takes what `take` gave."""
        return SpooledShard(self, path.resolve(), room)

    def placed(self, stretches: Sequence[Stretch]) -> None:
        """These stand in a zarr shard."""
        for name, start, stop in stretches:
            self._waiting[name] -= stop - start
            if not self._waiting[name]:
                del self._waiting[name]
                (self.spool.folder / name).unlink(missing_ok=True)


class SpooledShard:
    """A zarr shard that a worker will write whole; appended to as a `GrowingShard` is."""

    def __init__(self, assembly: Assembly, path: Path, room: int) -> None:
        """Begin; see `GrowingShard`."""
        self._assembly, self._path = assembly, path
        self._stretches: list[Stretch] = []
        self._sizes: list[npt.NDArray[np.int64]] = []
        self.room = room
        self.count = 0

    def append(self, pieces: Sequence[Stretch], sizes: npt.NDArray[np.int64]) -> None:
        """Chunks of these sizes come behind those there are."""
        self._stretches += pieces
        self._sizes.append(sizes)
        self.count += len(sizes)

    def finish(self) -> Assembled:
        """Have it written."""
        sizes = np.concatenate(self._sizes)
        work = (self._path, tuple(self._stretches), sizes, self.room)
        spool = self._assembly.spool
        answer = self._assembly.submit(int(sizes.sum()), spool.assemble_there, *work)
        return Assembled(answer, partial(spool.assemble, *work), partial(self._assembly.placed, work[1]))


@dataclass(frozen=True)
class Assembled:
    """A zarr shard that is being written: by a worker, else `here`; `then` it is there."""

    answer: Answer
    here: Callable[[], str]
    then: Callable[[], None]

    def done(self) -> bool:
        """Whether `result` need not wait."""
        return self.answer.done()

    def result(self) -> str:
        """Its checksum; waits for it.

        Raises:
            OSError: the disk says no.
            WorkStoppedError: the cluster went away.
        """
        checksum = str(self.answer.result() or self.here())
        self.then()
        return checksum


def _joined(chunks: Sequence[Chunks]) -> Chunks:
    return Chunks(np.concatenate([np.empty(0, np.uint8), *(one.data for one in chunks)]), sizes(chunks))
