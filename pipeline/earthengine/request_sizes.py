"""How large the requests of a layer may be: learned from the requests that the service could not compute.

A request that times out lasts five minutes, is charged, and gives nothing. After two of them a layer's requests have half the side,
for the whole run and for the runs that resume it.

Source: Earth Engine guides "Processing environments" (five minutes of an interactive request) and "Debugging guide".
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from cropcam.pipeline.earthengine.error_messages import TOO_MUCH, ServiceError

Result = TypeVar("Result")
SMALLEST_PX = 32
FAILURES = 2  # of one size, after which the layer's requests are smaller


@dataclass
class _Size:
    failures: int = 0
    under_way: int = 0
    is_proven: bool = False


@dataclass
class _Layer:
    lattice_px: int  # side of the layer's windows
    side_px: int  # side of its requests: that of the windows, or a half, a quarter, ...
    sizes: dict[int, _Size] = field(default_factory=dict)

    def size_px(self, px: int) -> int:
        """The side of windows, halves, quarters, ... that a request of `px` belongs to."""
        side = self.lattice_px
        while side > SMALLEST_PX and px <= half(side):
            side = half(side)
        return side


class RequestSizes:
    """The largest request of each layer. Methods may be called from any thread.

    Until a request of a size has succeeded, at most two of it are under way, however many workers wait: so a layer that always
    times out costs two windows of each size.
    """

    def __init__(
        self, lattice_px: Mapping[str, int], known_px: Mapping[str, int] | None = None, changed: Callable[[str, int], object] | None = None
    ) -> None:
        """Start a run.

        Args:
            lattice_px: side of the windows of each layer, by layer name.
            known_px: side of the requests that an earlier run has learned.
            changed: called with a layer's name and its new side.
        """
        known = known_px or {}
        self._layers = {name: _Layer(side, min(side, known.get(name, side))) for name, side in lattice_px.items()}
        self._changed = changed or (lambda _name, _side: None)
        self._turn = threading.Condition()
        self._is_stopped = False

    def side_px(self, layer: str) -> int:
        """The largest side of a request of a layer, now."""
        return self._layers[layer].side_px

    def ask(self, layer: str, px: int, request: Callable[[], Result]) -> Result | None:
        """The result of a request in its turn, or None where it is too large: ask in parts of at most `part_px`.

        Args:
            layer: its name.
            px: the longer side of the request.
            request: sends it.

        Raises:
            ServiceError: the request failed for another reason, is too large at the smallest size, or the run was stopped.
        """
        about = self._layers[layer]
        size_px = about.size_px(px)
        with self._turn:
            size = about.sizes.setdefault(size_px, _Size())
            while not self._is_stopped and size_px <= about.side_px and not size.is_proven and size.under_way + size.failures >= FAILURES:
                self._turn.wait()
            if self._is_stopped:
                raise ServiceError("stopped", "stopped")
            if size_px > about.side_px:
                return None
            size.under_way += 1
        result, is_too_much, is_done = None, False, False
        try:
            result = request()
            is_done = True
        except ServiceError as error:
            is_too_much = error.kind in TOO_MUCH and px > SMALLEST_PX
            if not is_too_much:
                raise
        finally:
            with self._turn:
                size.under_way -= 1
                size.is_proven |= is_done
                size.failures += is_too_much
                if is_too_much and size.failures >= FAILURES and size_px <= about.side_px:
                    about.side_px = half(size_px)
                    self._changed(layer, about.side_px)
                self._turn.notify_all()
        return result

    def part_px(self, layer: str, px: int) -> int:
        """The side of the parts in which a request that was too large is asked for."""
        side = self._layers[layer].side_px
        return side if px > side else half(px)

    def stop(self) -> None:
        """End the waiting of all threads with an error."""
        with self._turn:
            self._is_stopped = True
            self._turn.notify_all()


def half(side_px: int) -> int:
    """Half a side, rounded up."""
    return -(-side_px // 2)
