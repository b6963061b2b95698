"""Watching one running task: progress and cost, and what ends or slows it."""

from __future__ import annotations

from collections.abc import Callable

from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.fault_injection import Fault
from cropcam.pipeline.emulator.quotas import Usage
from cropcam.pipeline.emulator.service_texts import TEXTS
from cropcam.pipeline.emulator.tasks import Task, now


class TaskWatch:
    """Keeps the progress and cost of a task; ends it by a fault, a quota, or a destination without room.

    Args:
        task: that runs.
        fault: that strikes it; None: none.
        usage: of the projects.
        has_room: whether its destination takes files of its owner.
        restricted_s: wait at every block of a project that has used its month up.
        pause: waits so many seconds; raises where the task is cancelled or the server stops.
    """

    def __init__(
        self, task: Task, fault: Fault | None, usage: Usage, *, has_room: bool, restricted_s: float, pause: Callable[[float], None]
    ) -> None:
        self._task, self._fault, self._usage = task, fault, usage
        self._has_room, self._restricted_s, self._pause = has_room, restricted_s, pause
        self._stalls = fault is not None and fault.kind == "stall"

    def blocks(self, done: int, total: int, cpu_s: float) -> None:
        """Take the count and cost of a block.

        Raises:
            EngineError: a fault strikes, or the project has used its day up.
        """
        task, fault = self._task, self._fault
        strikes = fault is not None and done >= fault.share * total
        if fault and strikes and self._stalls:
            self._stalls = False
            self._pause(fault.seconds)
        task.progress = done / total
        task.eecu_s += cpu_s
        task.updated = now()
        self._usage.add(task.project, cpu_s)
        seconds = fault.seconds if fault and fault.kind == "slow" else 0.0
        self._pause(seconds + (self._restricted_s if self._usage.is_restricted(task.project) else 0.0))
        self._usage.check(task.project)
        if fault and strikes and fault.kind not in {"slow", "stall"}:
            raise TEXTS[fault.kind].failure(project=task.project) if fault.kind in TEXTS else EngineError("Internal error.", "INTERNAL")

    def stores(self) -> None:
        """Let a file move to its destination.

        Raises:
            EngineError: the destination has no room for its owner.
        """
        if not self._has_room:
            raise TEXTS["no_drive_space"].failure(project=self._task.project)
