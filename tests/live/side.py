"""One side of the live test: the service or the embedded engine, with its budget, its costs and its raw answers."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ee
import numpy as np
import numpy.typing as npt

from cropcam.pipeline.earthengine.destinations import Destination
from cropcam.pipeline.earthengine.error_messages import Backoff, ServiceError, classify_error, raw_text
from cropcam.pipeline.earthengine.error_texts import redacted
from cropcam.pipeline.earthengine.profiles import profile_seconds
from cropcam.pipeline.earthengine.session import Session
from cropcam.pipeline.earthengine.task_status import is_active
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.study.study import Study

_UNKNOWN_LOOKS = 4  # for a task that the service does not know, or not yet
ONCE = Backoff(attempts=1)  # answers are wanted as they are


@dataclass
class Budget:
    """Seconds and EECU-seconds that may still be spent. Batch costs count as the service reports them."""

    seconds: float = 15 * 60.0
    eecu_s: float = 0.5 * 3600.0
    clock: Callable[[], float] = time.monotonic
    used_eecu_s: float = 0.0
    reserved_eecu_s: float = 0.0  # for tasks that run
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.clock()

    @property
    def used_s(self) -> float:
        """Seconds since the beginning."""
        return self.clock() - self.began

    @property
    def left_s(self) -> float:
        """Seconds that are left."""
        return self.seconds - self.used_s

    def lacks(self, seconds: float, eecu_s: float) -> str:
        """What is lacking for something of this cost: "time", "EECU" or ""."""
        if seconds > self.left_s:
            return "time"
        return "EECU" if self.used_eecu_s + self.reserved_eecu_s + eecu_s > self.eecu_s else ""


@dataclass
class Side:
    """Where questions go. `many` is a study of few pixels with many observations, `destinations` where exports go."""

    session: Session
    study: Study
    many: Study
    destinations: tuple[Destination, ...]
    folder: Path  # for fetched files
    budget: Budget
    stamp: str  # of this run: part of names, so that no earlier run's tasks are met
    poll_s: float = 10.0
    sleep: Callable[[float], object] = time.sleep
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)  # operations by name, as last seen
    shared: dict[str, Any] = field(default_factory=dict)  # from one question to a later one of this side
    eecu_s: float | None = None  # of the question under way

    def value(self, computed: Any) -> Any:
        """An object's value, its cost counted."""
        with self._counting():
            return self.session.value(computed, "a value")

    def pixels(self, image: ee.Image, grid: PixelGrid) -> npt.NDArray[Any]:
        """An image's pixels: a structured array (y, x), its cost counted."""
        with self._counting():
            return np.load(io.BytesIO(self.session.pixels(image, grid, "pixels")))

    def whole(self, image: ee.Image) -> npt.NDArray[Any]:
        """An image's pixels on its own grid, whatever that is."""
        with self._counting():
            content = self.session.backoff.call(lambda: ee.data.computePixels({"expression": image, "fileFormat": "NPY"}), "pixels")
        return np.load(io.BytesIO(content))

    def answer(self, request: Callable[[], Any]) -> dict[str, Any]:
        """The raw answer to a request that may be refused: {"answer": ...} or text, kind and HTTP status."""
        began = time.monotonic()
        try:
            found = request()
        except Exception as error:  # noqa: BLE001 - any answer is one
            inner = error.__cause__ if isinstance(error, ServiceError) and error.__cause__ else error
            fault = classify_error(inner)
            status = re.match(r"HTTP (\d+)", raw_text(inner))
            words = {"text": redacted(str(inner))[:1000], "kind": fault.kind, "transient": fault.is_transient}
            return {"status": int(status.group(1)) if status else None, **words, "seconds": round(time.monotonic() - began, 2)}
        return {"answer": found, "seconds": round(time.monotonic() - began, 2)}

    def submit(self, request_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send an export once; the operation is watched from then on.

        Raises:
            ServiceError: the service refuses.
        """
        operation = self.session.with_backoff(ONCE).export(request_id, body, "submitting")
        self.tasks[operation["name"]] = operation
        return operation

    def wait(self, name: str, patience_s: float = 240.0) -> dict[str, Any]:
        """A task once it has ended, or as it is after some time; {} where the service no longer knows it."""
        until, unknown = self.budget.clock() + min(patience_s, self.budget.left_s - 2 * self.poll_s), 0
        while True:
            try:
                operation = self.session.operation(name)
                self.tasks[name] = operation
                self._count_tasks()
            except ServiceError as error:
                if error.kind != "absent":
                    raise
                operation, unknown = {}, unknown + 1
            has_ended = operation and not is_active(str(operation.get("metadata", {}).get("state", "")))
            if has_ended or unknown == _UNKNOWN_LOOKS or self.budget.clock() > until:
                return operation
            self.sleep(self.poll_s)

    def cancel_the_rest(self) -> list[str]:
        """Cancel what still waits or runs; names of the tasks that could not be cancelled."""
        left = []
        for name in self.tasks:
            try:
                self.tasks[name] = self.session.operation(name)
                if is_active(str(self.tasks[name].get("metadata", {}).get("state", ""))):
                    self.session.cancel(name)
            except ServiceError as error:
                if error.kind not in ("absent", "ended"):
                    left.append(name)
        self._count_tasks()
        return left

    def _count_tasks(self) -> None:
        batch_s = sum(float(one.get("metadata", {}).get("batchEecuUsageSeconds", 0)) for one in self.tasks.values())
        self.budget.used_eecu_s += batch_s - self.shared.get("batch_eecu_s", 0.0)
        self.shared["batch_eecu_s"] = batch_s

    @contextmanager
    def _counting(self) -> Iterator[None]:
        """Count the EECU-seconds of the requests within, as their profiles give them."""
        ids: list[str] = []
        try:
            with ee.data.profiling(ids.append):
                yield
        finally:
            if ids and (cost := self._profiled(ids)) is not None:
                self.eecu_s = (self.eecu_s or 0.0) + cost
                self.budget.used_eecu_s += cost

    def _profiled(self, ids: list[str]) -> float | None:
        """EECU-seconds of profiles; None where the service does not give them."""
        try:
            with ee.data.profiling(None):
                return profile_seconds(self.session, ids)
        except ServiceError:
            return None
