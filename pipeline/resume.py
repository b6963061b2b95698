"""Cutting that goes on where it stopped: a hidden folder of finished zarr shards and a journal of what is in them.

    .NAME.partial/asked.json      what is being made
                  digests.json    from which input files; work killed before they are known starts over
                  journal.jsonl   one line per finished part and per finished zarr shard, in order; a torn last line counts as none
                  parts/N.npz     small figures of each patch of part N
                  spool/          what a cluster's workers cut, in files that go once zarr shards hold it
                  store.zarr/     the store; its metadata come last

A zarr shard is written whole by one process and renamed; it counts once its checksum stands in the journal.
"""

from __future__ import annotations

import io
import json
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from itertools import accumulate, compress, islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.chunks import Patches, of_bytes, sizes, split
from cropcam.pipeline.cutting import Encoded
from cropcam.pipeline.runtime.atomic import atomic_write, remove
from cropcam.pipeline.runtime.hashing import Map, blake3_by_name, blake3_in_background
from cropcam.pipeline.shardfile import GrowingShard, file_checksum, unpack, write_shard
from cropcam.pipeline.spool import Assembled, Left, SpooledShard
from cropcam.pipeline.store import schema as stores

HEAVY = ("image", "label")
Small = dict[str, npt.NDArray[Any]]
Shard = GrowingShard | SpooledShard


class Work:
    """The hidden folder beside a store that is being made. One process at a time: hold `exclusive_lock`."""

    def __init__(self, final: Path, asked: dict[str, str], inputs: Mapping[str, Path], each: Map | None = None) -> None:
        """Begin, or go on where the same work stopped.

        Args:
            final: the store that is to be.
            asked: everything its bytes depend on, beside its input files.
            inputs: those files by name. Their digests are found in the background, and at once where work goes on.
            each: who finds them, if not threads of this process.
        """
        self.folder = partial_folder(final)
        self.store = self.folder / "store.zarr"
        self.changed = self._begin(asked, inputs, each)
        lines = list(journal(self.folder))
        self.parts: list[dict[str, Any]] = [line for line in lines if "part" in line]
        shards = [line for line in lines if "shard" in line]
        self.checksums: dict[str, list[str]] = {name: [] for name in HEAVY}
        for number, line in enumerate(shards):
            if any(file_checksum(stores.shard_path(self.store, name, number)) != line[name] for name in HEAVY):
                break
            for name in HEAVY:
                self.checksums[name].append(line[name])
        self._growing: dict[str, Shard] = {}
        self._finishing: deque[dict[str, str | Assembled]] = deque()
        self._skip = 0

    @property
    def shards(self) -> int:
        """Finished zarr shards."""
        return len(self.checksums["image"])

    @property
    def count(self) -> int:
        """Patches kept in the finished parts."""
        return sum(part["count"] for part in self.parts)

    @property
    def dropped(self) -> Counter[str]:
        """Patches not kept in the finished parts, by reason."""
        dropped: Counter[str] = Counter()
        for part in self.parts:
            dropped.update(part["dropped"])
        return Counter(dict(sorted(dropped.items())))

    def rewind(self) -> int:
        """Forget parts whose patches are not all in finished zarr shards; return the first part to work on."""
        before = [0, *accumulate(part["count"] for part in self.parts)]
        safe = self.shards * stores.PATCHES_PER_SHARD
        first = max(number for number, count in enumerate(before) if count <= safe)
        self._skip = max(0, safe - before[first])  # patches of the first part that stand in finished zarr shards already
        self.parts = self.parts[:first]
        kept = [*self.parts, *({"shard": n, **{name: self.checksums[name][n] for name in HEAVY}} for n in range(self.shards))]
        atomic_write(self.folder / "journal.jsonl", b"".join(map(_line, kept)), sync=False)
        return first

    def add(self, found: Encoded | Left, begin: Callable[[Path, int], Shard] = GrowingShard) -> None:
        """Take the patches of the next part; write the zarr shards that are full.

        Args:
            found: the part's patches and small figures.
            begin: makes a zarr shard that takes such patches, of its path and the patches it has room for.
        """
        number = len(self.parts)
        buffer = io.BytesIO()
        np.savez(buffer, **found.small)  # type: ignore[arg-type]
        atomic_write(self.folder / "parts" / f"{number}.npz", buffer.getvalue(), sync=False)
        self._say({"part": number, "count": len(found), "dropped": dict(found.dropped)})
        rest: dict[str, list[Patches]] = {name: split(getattr(found, name), self._skip)[1] for name in HEAVY}
        self._skip = max(0, self._skip - len(found))
        while any(map(len, rest["image"])):
            for name in HEAVY:
                if name not in self._growing:
                    path = stores.shard_path(self.store, name, self.shards + len(self._finishing))
                    self._growing[name] = begin(path, stores.PATCHES_PER_SHARD)
                shard = self._growing[name]
                now, rest[name] = split(rest[name], shard.room - shard.count)
                shard.append([one.data for one in now], sizes(now))
            if shard.count == shard.room:
                self._finish(wait=False)

    def flush(self) -> None:
        """Finish the zarr shard that grows, if one does; the last one may not be full. Waits for those that workers write."""
        self._finish(wait=True)

    def _finish(self, *, wait: bool) -> None:
        if self._growing:
            self._finishing.append({name: shard.finish() for name, shard in self._growing.items()})
            self._growing = {}
        while self._finishing and (wait or all(isinstance(one, str) or one.done() for one in self._finishing[0].values())):
            checksums = {name: one if isinstance(one, str) else one.result() for name, one in self._finishing[0].items()}
            self._say({"shard": self.shards, **checksums})
            self._finishing.popleft()
            for name in HEAVY:
                self.checksums[name].append(checksums[name])

    def small(self, *names: str) -> Iterator[Small]:
        """Small figures of these names of each part, in order."""
        for number in range(len(self.parts)):
            with np.load(self.folder / "parts" / f"{number}.npz") as file:
                yield {name: file[name] for name in names}

    def patches(self, name: str) -> Iterator[bytes]:
        """Every patch of `image` or `label` as the bytes of its zarr chunk, in order."""
        for number in range(self.shards):
            yield from unpack(stores.shard_path(self.store, name, number), stores.PATCHES_PER_SHARD)

    def without(self, left_out: npt.NDArray[np.bool_]) -> dict[str, list[str]]:
        """Leave patches out: other zarr shards, in a folder of their own that becomes the store; their checksums."""
        target = self.folder / "thinned.zarr"
        remove(target)
        checksums: dict[str, list[str]] = {}
        for name in HEAVY:
            checksums[name], kept = [], compress(self.patches(name), ~left_out)
            while chunks := of_bytes(list(islice(kept, stores.PATCHES_PER_SHARD))):
                path = stores.shard_path(target, name, len(checksums[name]))
                checksums[name].append(write_shard(path, [chunks.data], chunks.sizes, stores.PATCHES_PER_SHARD))
        self.store = target
        return checksums

    def deliver(self, final: Path) -> None:
        """Give the finished store its name and remove the rest."""
        os.replace(self.store, final)  # noqa: PTH105 - a folder
        self.forget()

    def forget(self) -> None:
        """Remove all of it."""
        if digests := getattr(self, "_digests", None):
            wait([digests])  # it writes there
        remove(self.folder)

    def without_metadata(self) -> None:
        """Remove what only a finished store has."""
        if self.store.is_dir():
            for path in self.store.iterdir():
                if path.name not in HEAVY:
                    remove(path)
            for name in HEAVY:
                remove(self.store / name / "zarr.json")

    def _begin(self, asked: dict[str, str], inputs: Mapping[str, Path], each: Map | None) -> list[str]:
        """Names of what differs from the work found there, which is then thrown away."""
        note, digests = self.folder / "asked.json", self.folder / "digests.json"
        asked_before, digests_before = _json(note), _json(digests)
        changed: list[str] = []
        if asked_before is not None and digests_before is not None:
            self._digests: Future[dict[str, str]] = Future()
            self._digests.set_result(blake3_by_name(inputs, each))
            before = asked_before | {f"input {name}": value for name, value in digests_before.items()}
            now = asked | {f"input {name}": value for name, value in self._digests.result().items()}
            changed = differing(before, now)
            if not changed:
                self.without_metadata()
                for path in self.store.rglob(".*.part"):  # a zarr shard that grew; on a cluster nobody would write over it
                    path.unlink()
                return []
        self.forget()
        atomic_write(note, json.dumps(asked, indent=1, sort_keys=True), sync=False)
        self._digests = blake3_in_background(inputs, digests, each)
        return changed

    def digests(self) -> dict[str, str]:
        """Digest of each input file; waits for it."""
        return self._digests.result()

    def _say(self, entry: dict[str, Any]) -> None:
        with (self.folder / "journal.jsonl").open("ab", buffering=0) as file:
            file.write(_line(entry))
        if "part" in entry:
            self.parts.append(entry)


def differing(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Names of the options and inputs in which the store begun before and the one asked for now differ."""
    return sorted(key for key in {*before, *now} if before.get(key) != now.get(key))


def partial_folder(final: Path) -> Path:
    """Where work on the store that is to be `final` is kept until it is done."""
    return final.with_name(f".{final.name}.partial")


def journal(folder: Path) -> Iterator[dict[str, Any]]:
    """What is finished of the work in such a folder, in order; nothing where there is none."""
    try:
        lines = (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return
    for line in lines:
        if not line.endswith(b"\n"):
            return
        yield json.loads(line)


def _json(path: Path) -> dict[str, str] | None:
    try:
        found: dict[str, str] = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return found


def _line(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, sort_keys=True).encode() + b"\n"
