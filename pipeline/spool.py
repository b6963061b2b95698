"""Encoded patches on their way from a cluster's workers to the one writer: through files beside the store, where both see the same disk.

As messages they would pass through sockets and event loops, on processors that could cut instead. A worker on another disk sends messages.
"""

from __future__ import annotations

import errno
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.aside import remove
from pipeline.chunks import Chunks, memory, sizes
from pipeline.cutting import Encoded

_MARK = "token"  # the file that says whose folder it is


@dataclass(frozen=True)
class Left:
    """What a worker left in the file `name`: images, then labels, as their sizes say; and the small figures."""

    name: str
    image_sizes: npt.NDArray[np.int64]
    label_sizes: npt.NDArray[np.int64]
    small: dict[str, npt.NDArray[Any]]
    dropped: Counter[str]


@dataclass(frozen=True)
class Spool:
    """The folder that results pass through. Picklable; `token` stands in it: who reads it there sees the writer's disk."""

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
        name = uuid.uuid4().hex  # not the part's number: a worker believed dead may still write the same part
        path = self.folder / name
        try:
            if (self.folder / _MARK).read_text() == self.token:
                with path.open("xb") as file:
                    for chunks in (*found.image, *found.label):
                        file.write(chunks.data.data)
                return Left(name, sizes(found.image), sizes(found.label), found.small, found.dropped)
        except OSError:
            path.unlink(missing_ok=True)
        return replace(found, image=[_joined(found.image)], label=[_joined(found.label)])

    def take(self, found: Encoded | Left) -> Encoded:
        """At the writer: the result. Its file goes.

        Raises:
            OSError: the file is gone or too short.
        """
        if isinstance(found, Encoded):
            return found
        path, images = self.folder / found.name, int(found.image_sizes.sum())
        data = memory((images + int(found.label_sizes.sum()),), np.uint8)
        with path.open("rb", buffering=0) as file:  # not mapped: the faults of its pages would take longer than a copy
            if file.readinto(data.data) != data.size:
                raise OSError(errno.EIO, "shorter than it was written", str(path))
        path.unlink()
        return Encoded([Chunks(data[:images], found.image_sizes)], [Chunks(data[images:], found.label_sizes)], found.small, found.dropped)


def _joined(chunks: Sequence[Chunks]) -> Chunks:
    return Chunks(np.concatenate([np.empty(0, np.uint8), *(one.data for one in chunks)]), sizes(chunks))
