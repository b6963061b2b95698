"""A service in memory that sends a profile with each response, and gives its text."""

from __future__ import annotations

from typing import Any

import ee

from cropcam.pipeline.earthengine.error_messages import ServiceError
from cropcam.pipeline.grid import PixelGrid
from support.engines import FakeService, invocations


def table(seconds: float) -> str:
    """A profile of so many EECU-seconds."""
    return f" EECU·s PeakMem Count  Description\n{seconds:7.3f}     59k     6  all of it\n"


class Profiled(FakeService):
    """Sends a profile with each response: as many EECU-seconds as pixels / 1,000, a hundredth of it for labels.

    Args:
        largest_px: side of the largest window that it computes.
        is_profiling: whether it sends profiles.
        broken: so many requests for a profile fail.
    """

    def __init__(self, largest_px: int = 10_000, *, is_profiling: bool = True, broken: int = 0) -> None:
        super().__init__()
        self.__dict__.update(costs={}, asked=[], largest_px=largest_px, is_profiling=is_profiling, broken=broken)

    def value(self, computed: Any, what: str) -> Any:
        sought = [found for found in invocations(ee.serializer.encode(computed)) if found["functionName"] == "Profile.getProfiles"]
        if not sought:
            self._tell(0.5)
            return super().value(computed, what)
        assert ee.data._thread_locals.profile_hook is None, "the cost of asking would be counted"
        if self.broken:
            self.__dict__["broken"] -= 1
            raise ServiceError("not ready", "service")
        ids = sought[0]["arguments"]["ids"]["constantValue"]
        return table(sum(self.costs[name] for name in ids))

    def _tell(self, seconds: float) -> None:
        hook = ee.data._thread_locals.profile_hook
        if hook and self.is_profiling:
            name = f"profile-{len(self.costs)}"
            self.costs[name] = seconds
            hook(name)

    def pixels(self, image: Any, grid: PixelGrid, what: str) -> bytes:  # noqa: ARG002
        self.asked.append((what, grid.shape_yx))
        self._tell(grid.width * grid.height / 1_000 * (0.01 if "labels" in what else 1))
        if max(grid.shape_yx) > self.largest_px:
            raise ServiceError(f"{what}: User memory limit exceeded.", "memory")
        return b""
