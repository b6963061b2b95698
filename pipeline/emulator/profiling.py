"""Profiles of requests: what each part of a computation cost, kept under an id that a response's header carries.

A client asks for a profile with the header X-Earth-Engine-Computation-Profiling, finds its id in the response's header
X-Earth-Engine-Computation-Profile, and asks for the table by `Profile.getProfiles`. EECU-seconds are the CPU seconds
that this engine counted.

Source: Earth Engine Python client, `ee.data.profiling` and `ee.profilePrinting`; guide "Computation overview",
section "Profiler"; columns as in the printed profiles of geetools' documentation ("Profile Earth Engine computation").
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import thread_time

from cropcam.pipeline.emulator.block_reader import Block
from cropcam.pipeline.emulator.errors import EngineError

REQUEST_HEADER = "X-Earth-Engine-Computation-Profiling"
RESPONSE_HEADER = "X-Earth-Engine-Computation-Profile"
PLUMBING = "(plumbing)"
_KEPT = 1_000  # profiles; how long the service keeps one is not documented
_DEFAULT_ENTRIES = 200  # of a table, as the service documents it
_TITLE = " EECU·s PeakMem Count  Description"


@dataclass(frozen=True)
class Entry:
    """One row of a profile: EECU seconds, largest memory in bytes, how often."""

    description: str
    eecu_s: float
    peak_bytes: int
    count: int

    def plus(self, other: Entry) -> Entry:
        """Both as one entry under this one's description."""
        return Entry(self.description, self.eecu_s + other.eecu_s, max(self.peak_bytes, other.peak_bytes), self.count + other.count)


class Profile:
    """The cost of one request so far. Belongs to the request's thread."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def add(self, description: str, eecu_s: float, peak_bytes: int = 0, count: int = 1) -> None:
        """Count a part of the computation."""
        self.entries.append(Entry(description, eecu_s, peak_bytes, count))

    @contextmanager
    def counting(self, description: str) -> Iterator[None]:
        """Count the CPU time that this thread spends in the block, also of one that fails."""
        started = thread_time()
        try:
            yield
        finally:
            self.add(description, thread_time() - started)

    def blocks(self, blocks: Iterable[Block], description: str) -> Iterator[Block]:
        """The same blocks, each counted as it passes."""
        for block in blocks:
            self.add(description, block.cpu_s, block.values.nbytes + block.mask.nbytes)
            yield block


class Profiles:
    """The profiles of one server, by id; the oldest are forgotten. Methods may be called from any thread."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept, self._lock = kept, threading.Lock()
        self._profiles: OrderedDict[str, tuple[Entry, ...]] = OrderedDict()

    def keep(self, profile: Profile) -> str:
        """Keep a profile; return its id."""
        name = secrets.token_hex(16)
        with self._lock:
            self._profiles[name] = tuple(profile.entries)
            while len(self._profiles) > self._kept:
                self._profiles.popitem(last=False)
        return name

    def text(self, ids: Sequence[str], most: int | None = None) -> str:
        """The table of all profiles together, the costliest entry first.

        Args:
            ids: of the profiles.
            most: entries of the table, 200 by default; beyond it the cheapest are merged.

        Raises:
            EngineError: an id is unknown.
        """
        with self._lock:
            unknown = [name for name in ids if name not in self._profiles]
            if unknown:
                raise EngineError(f"Profile.getProfiles: profile '{unknown[0]}' not found.", "NOT_FOUND")
            entries = [entry for name in dict.fromkeys(ids) for entry in self._profiles[name]]
        return table(entries, _DEFAULT_ENTRIES if most is None else most)


def table(entries: Iterable[Entry], most: int = _DEFAULT_ENTRIES) -> str:
    """Entries as the service prints them; those of one description are one row."""
    merged: dict[str, Entry] = {}
    for entry in entries:
        known = merged.get(entry.description)
        merged[entry.description] = known.plus(entry) if known else entry
    rows = sorted(merged.values(), key=lambda entry: (-entry.eecu_s, entry.description))
    if len(rows) > most:
        rest = Entry("(...)", 0.0, 0, 0)
        for entry in rows[max(most - 1, 0) :]:
            rest = rest.plus(entry)
        rows = [*rows[: max(most - 1, 0)], rest]
    return "\n".join((_TITLE, *map(_row, rows))) + "\n"


def _row(entry: Entry) -> str:
    seconds = f"{entry.eecu_s:.3f}" if entry.eecu_s else "-"
    return f"{seconds:>7} {_memory(entry.peak_bytes):>7} {entry.count:>5}  {entry.description}"


def _memory(size: int) -> str:
    if not size:
        return "-"
    if size < 1_000:
        return str(size)
    if size < 1_000_000:
        return f"{size / 1e3:.0f}k"
    return f"{size / 1e6:.1f}M" if size < 10_000_000 else f"{size / 1e6:.0f}M"
