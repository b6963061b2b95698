"""Fault injection: failures of the service, a counted number of times, never at random."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

from cropcam.pipeline.errors import ConfigError

Kind = Literal["status", "slow", "truncate", "disconnect", "memory", "timeout", "no_range", "corrupt", "grow", "replace", "new_folder"]
EXPORT_RUN = "export:run"  # the "route" of a running batch task
EXPORT_FOLDER = "export:folder"  # of a task that looks for its Drive folder


@dataclass(frozen=True)
class Fault:
    """One fault: the next `count` requests on `route`, once `after` of them have passed.

    Attributes:
        route: a route's name as in `routes.ROUTES`, "export:run" for a running task, "*" for any request.
        kind: "status" responds with `status`; "slow" waits `seconds` (a running task: at every block); "truncate" sends half
            the body; "disconnect" sends nothing; "memory" and "timeout" respond as an exhausted computation does. On the
            routes of files ("drive:...", "gs:..."): "no_range" sends the whole file, "corrupt" one wrong byte; "grow" and
            "replace" respond as before the file grew or was replaced. On "export:folder": "new_folder" makes a second
            Drive folder of the name.
        count: number of requests (or tasks) that fail.
        after: number of requests that pass first.
        status: the HTTP status of "status".
        reason: on the routes of files, the reason that the error of "status" names; "" for the usual one of the status.
        seconds: the delay of "slow".
        share: of its blocks that a failing task has written.
    """

    route: str = "*"
    kind: Kind = "status"
    count: int = 1
    after: int = 0
    status: int = 429
    reason: str = ""
    seconds: float = 0.0
    share: float = 0.5

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ConfigError(f"a fault of kind {self.kind!r} is not known; choose one of {', '.join(get_args(Kind))}")


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
                if fault.route != route and (fault.route != "*" or route in {EXPORT_RUN, EXPORT_FOLDER}):
                    continue
                if fault.after > 0:
                    self.waiting[place] = replace(fault, after=fault.after - 1)
                    continue
                if fault.count <= 1:
                    del self.waiting[place]
                else:
                    self.waiting[place] = replace(fault, count=fault.count - 1)
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
