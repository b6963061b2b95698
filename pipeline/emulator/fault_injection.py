"""Fault injection: failures of the service, a counted number of times, never at random."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from cropcam.pipeline.emulator.service_texts import TEXTS
from cropcam.pipeline.errors import ConfigError

EXPORT_RUN = "export:run"  # a running batch task
EXPORT_FOLDER = "export:folder"  # a batch task that looks for its Drive folder
SAME_REQUEST = "request_id:same"  # an export sent again, byte for byte
OTHER_REQUEST = "request_id:other"  # an export with the request id of another
NO_REQUESTS = frozenset({EXPORT_RUN, EXPORT_FOLDER, SAME_REQUEST, OTHER_REQUEST})  # events of the engine, which "*" leaves alone
AFTER_ANSWER = frozenset({"truncate", "disconnect"})  # kinds that strike when the response is sent
OF_FILES = frozenset({"no_range", "corrupt", "grow", "replace", "new_folder"})
IN_HANDLER = frozenset({"late", "forget", "state", "ends", "stall"}) | OF_FILES  # kinds that the handler or the task carries out
KINDS = frozenset({"status", "slow"}) | AFTER_ANSWER | IN_HANDLER | TEXTS.keys()


@dataclass(frozen=True)
class Fault:
    """One fault: the next `count` requests on `route`, once `after` of them have passed.

    Kinds:
        a name of `service_texts.TEXTS`: the response is that error; a running task fails with it.
        "status": the response has the HTTP status `status`.
        "slow": the response waits `seconds`; a running task waits at every block.
        "stall": a running task waits `seconds` once, with neither progress nor a new update time.
        "truncate", "disconnect": the request is carried out, and half of the response, or none of it, is sent.
        "late" (route "operations"): the list leaves out every operation that no list has shown before.
        "forget" (routes "operations", "operation"): every ended operation is forgotten first.
        "state" (the same routes): active operations are in the state `state`.
        "ends" (route "cancel"): the operation ends before it is cancelled.
        "no_range", "corrupt" (routes "drive:media", "gs:media"): the whole file is sent, or one byte is wrong.
        "grow", "replace" (routes "drive:..." and "gs:..." of files): the response is that before the file grew or was replaced.
        "new_folder" (event "export:folder"): the task makes a second Drive folder of the name.

    Attributes:
        route: a route's name as in `routes.ROUTES`, "*" for any request, or an event: "export:run" a running task,
            "export:folder" a task that looks for its Drive folder,
            "request_id:same" an export sent again, "request_id:other" an export with the request id of another.
        kind: as above.
        count: number of requests (or tasks) that fail.
        after: number of requests that pass first.
        every: of the requests that follow the first failure, each `every`-th fails; 1: all.
        status: the HTTP status of "status".
        reason: on the routes of files, the reason that the error of "status" names; "" for the usual one of the status.
        seconds: the delay of "slow" and "stall".
        share: of its blocks that a task has written when it fails or stalls.
        state: of "state".

    Example: `Fault("*", "unavailable", after=9, every=10, count=1000)` is a fault at every tenth request.
    """

    route: str = "*"
    kind: str = "status"
    count: int = 1
    after: int = 0
    every: int = 1
    status: int = 429
    reason: str = ""
    seconds: float = 0.0
    share: float = 0.5
    state: str = "STATE_UNSPECIFIED"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"a fault of kind {self.kind!r} is not known; choose one of {', '.join(sorted(KINDS))}")
        if self.every < 1:
            raise ConfigError(f"a fault at every {self.every}th request is none; give a number from 1")


@dataclass
class Faults:
    """The pending faults; thread-safe.

    Example: `Faults.of(Fault("image:computePixels", status=429, count=40))`
    """

    waiting: list[Fault] = field(default_factory=list)
    is_open: bool = False  # whether POST /faults may order more
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def of(cls, *faults: Fault, is_open: bool = False) -> Faults:
        """The given faults, in order on each route."""
        return cls(list(faults), is_open)

    def order(self, described: Iterable[Mapping[str, Any]]) -> None:
        """Add faults from JSON objects with the fields of `Fault`.

        Raises:
            ConfigError: an object has other fields.
        """
        try:
            faults = [Fault(**entry) for entry in described]
        except TypeError as error:
            raise ConfigError(f"a fault is a JSON object with the fields of Fault: {error}") from None
        with self._lock:
            self.waiting.extend(faults)

    def take(self, route: str) -> Fault | None:
        """The fault of this request, counted down; None where the request passes."""
        if not self.waiting:
            return None
        with self._lock:
            for place, fault in enumerate(self.waiting):
                if fault.route != route and (fault.route != "*" or route in NO_REQUESTS):
                    continue
                if fault.after > 0:
                    self.waiting[place] = replace(fault, after=fault.after - 1)
                    continue
                if fault.count <= 1:
                    del self.waiting[place]
                else:
                    self.waiting[place] = replace(fault, count=fault.count - 1, after=fault.every - 1)
                return fault
        return None

    def left(self) -> list[dict[str, Any]]:
        """The pending faults, as JSON objects."""
        with self._lock:
            return [asdict(fault) for fault in self.waiting]

    def clear(self) -> None:
        """Remove all pending faults."""
        with self._lock:
            self.waiting.clear()
