"""The cost of pixel requests: the profile of every twentieth window of a delivery, scaled up by pixels.

The service reports EECU for batch tasks only, so for windows the profile is the one source.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import ee

from cropcam.pipeline.earthengine.cost import HOUR_S, TIERS, in_hours, share
from cropcam.pipeline.earthengine.error_messages import ServiceError
from cropcam.pipeline.earthengine.profiles import profile_seconds
from cropcam.pipeline.earthengine.session import Session

EVERY = 20


@dataclass
class _Layer:
    """Windows and pixels of a layer so far; of them, those that were profiled, with the ids."""

    windows: int = 0
    pixels: int = 0
    sampled_windows: int = 0
    sampled_pixels: int = 0
    ids: list[str] = field(default_factory=list)


class DeliveryCost:
    """Counts the windows of one run. Methods may be called from any thread."""

    def __init__(self, session: Session, every: int = EVERY) -> None:
        self._session, self._every = session, every
        self._layers: dict[str, _Layer] = {}
        self._lock = threading.Lock()
        self._begun: dict[str, int] = {}

    @contextmanager
    def window(self, layer: str, pixels: int) -> Iterator[None]:
        """Around the requests of one window: the first of each layer and every twentieth after it are profiled."""
        with self._lock:
            number = self._begun.get(layer, 0)
            self._begun[layer] = number + 1
        ids: list[str] = []
        if number % self._every:
            yield
        else:
            with ee.data.profiling(ids.append):
                yield
        with self._lock:
            found = self._layers.setdefault(layer, _Layer())
            found.windows, found.pixels = found.windows + 1, found.pixels + pixels
            if ids:
                found.sampled_windows, found.sampled_pixels = found.sampled_windows + 1, found.sampled_pixels + pixels
                found.ids += ids

    def text(self) -> str:
        """One line about the windows of this run; "" where none was fetched.

        Earlier runs of the same delivery are not in it.
        """
        with self._lock:
            layers = list(self._layers.values())
        if not layers:
            return ""
        if not all(layer.ids for layer in layers):
            return "EECU: the service returned no profile of a window, so the cost of this run is not known"
        try:
            hours = sum(profile_seconds(self._session, layer.ids) * layer.pixels / layer.sampled_pixels for layer in layers) / HOUR_S
        except ServiceError as error:
            return f"EECU: the cost of this run is not known ({error})"
        windows, sampled = sum(layer.windows for layer in layers), sum(layer.sampled_windows for layer in layers)
        shares = ", ".join(f"{share(hours, tier)} of a {tier.name} month" for tier in TIERS)
        return f"about {in_hours(hours)} EECU-hours in this run, by the profiles of {sampled} of {windows} windows: {shares}"
