"""The cost of an export, foreseen: a few windows of each layer are computed under the client's profiling and scaled up by pixels.

Source: Earth Engine guides "Computation overview" (EECU, profiler, caching), "Noncommercial tiers".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import ee

from cropcam.pipeline.earthengine.cost import HOUR_S, TIERS, in_hours, share
from cropcam.pipeline.earthengine.error_messages import TOO_MUCH, ServiceError
from cropcam.pipeline.earthengine.graphs import graph
from cropcam.pipeline.earthengine.kept import Pixels
from cropcam.pipeline.earthengine.layers import Layer, layers_of
from cropcam.pipeline.earthengine.preflight import check_inputs
from cropcam.pipeline.earthengine.profiles import profile_seconds
from cropcam.pipeline.earthengine.sample_windows import SIDE_PX, windows_of
from cropcam.pipeline.earthengine.session import Session
from cropcam.pipeline.grid import Window
from cropcam.pipeline.runtime.progress import Progress, silent
from cropcam.pipeline.study.study import Study

_SMALLEST_PX = 32
Result = TypeVar("Result")


@dataclass(frozen=True)
class Sample:
    """One window that was computed: its pixels and EECU-seconds."""

    pixels: int
    eecu_s: float


@dataclass(frozen=True)
class LayerEstimate:
    """A layer's EECU-hours, by the cost a pixel of its samples."""

    layer: str
    pixels: int
    samples: tuple[Sample, ...]

    @property
    def hours(self) -> float:
        """EECU-hours of all pixels at the mean of the samples."""
        return math.fsum(one.eecu_s for one in self.samples) / sum(one.pixels for one in self.samples) * self.pixels / HOUR_S

    @property
    def range_hours(self) -> tuple[float, float]:
        """EECU-hours of all pixels at the cheapest and at the costliest sample."""
        rates = [one.eecu_s / one.pixels for one in self.samples]
        return min(rates) * self.pixels / HOUR_S, max(rates) * self.pixels / HOUR_S


@dataclass(frozen=True)
class Estimate:
    """The estimates of all layers, and the EECU-seconds of making them."""

    layers: tuple[LayerEstimate, ...]
    own_eecu_s: float

    @property
    def hours(self) -> float:
        """EECU-hours of all layers."""
        return math.fsum(layer.hours for layer in self.layers)

    def to_dict(self) -> dict[str, object]:
        """JSON values, in EECU-hours."""
        layers = [
            {"layer": each.layer, "pixels": each.pixels, "eecu_hours": each.hours, "between": list(each.range_hours)}
            for each in self.layers
        ]
        return {"eecu_hours": self.hours, "layers": layers, "own_eecu_hours": self.own_eecu_s / HOUR_S}

    def text(self) -> str:
        """A table of layers and tiers, and how far it holds."""
        count = max(len(layer.samples) for layer in self.layers)
        lows, highs = zip(*(layer.range_hours for layer in self.layers), strict=True)
        found = [(layer.layer, layer.hours, *layer.range_hours) for layer in self.layers]
        if len(found) > 1:
            found.append(("together", self.hours, math.fsum(lows), math.fsum(highs)))
        titles = ("layer", "EECU-hours", "between windows", *(f"{tier.name} ({tier.hours:,})" for tier in TIERS))
        table = [(name, in_hours(hours), _between(low, high), *(share(hours, tier) for tier in TIERS)) for name, hours, low, high in found]
        widths = [max(len(line[column]) for line in (titles, *table)) for column in range(len(titles))]
        lines = [
            "  ".join((line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))))
            for line in (titles, *table)
        ]
        unmeasured = [layer.layer for layer in self.layers if not layer.hours]
        notes = [f"{', '.join(unmeasured)}: nothing was computed anew, the service had these windows in its cache"] if unmeasured else []
        notes += [
            "per cent: of a month of that tier of noncommercial projects, which has so many EECU-hours",
            f"from {count} window{'s' * (count > 1)} a layer, scaled up by pixels; the estimate itself used {in_hours(self.own_eecu_s / HOUR_S)} EECU-hours",
            "batch tasks may use more or less than these interactive requests, and cached windows less; no estimate has been compared with a bill yet",
        ]
        return "\n".join((*lines, *notes))


def estimate(
    study: Study, session: Session, pixels: Mapping[str, int], *, images: Pixels | None = None, progress: Progress = silent
) -> Estimate:
    """Estimate the cost of an export by computing windows of each layer.

    Args:
        study: the study.
        session: an open session.
        pixels: number of each planned layer, by its name.
        images: of a layer and a grid, where the export reads a composite that is kept (`kept.pixels_of`); by default the graphs.
        progress: called with (windows done, windows in all, layer).

    Raises:
        EarthEngineError: the service refuses, has no scenes, or returns no profile.
    """
    meter, images = _Meter(session), images or partial(graph, study)
    meter.measure(lambda: check_inputs(study, session))
    places, layers = windows_of(study), [layer for layer in layers_of(study) if layer.name in pixels]
    found, done = [], 0
    for layer in layers:
        samples, side = [], SIDE_PX
        for place in places:
            sample, side = _sample(study, meter, images, layer, place, side)
            samples.append(sample)
            done += 1
            progress(done, len(layers) * len(places), layer.name)
        found.append(LayerEstimate(layer.name, pixels[layer.name], tuple(samples)))
    return Estimate(tuple(found), meter.total_s)


def _between(low: float, high: float) -> str:
    first, last = in_hours(low), in_hours(high)
    return first if first == last else f"{first} to {last}"


def _sample(study: Study, meter: _Meter, images: Pixels, layer: Layer, place: Window, side: int) -> tuple[Sample, int]:
    """Compute the middle of a place, half its side where the service finds it too much; the sample, and the side that went through."""
    while True:
        window = _middle(place, side)
        grid = study.grid.window(window)
        name = f"{layer.name} at row {window.row}, column {window.col}"
        image = images(layer.name, grid)
        try:
            _, eecu_s = meter.measure(lambda image=image, grid=grid, name=name: meter.session.pixels(image, grid, name))  # type: ignore[misc]
        except ServiceError as error:
            if error.kind not in TOO_MUCH or side <= _SMALLEST_PX:
                raise
            side //= 2
        else:
            if eecu_s is None:
                raise ServiceError(f"{name}: the service returned no profile of a pixel request, so nothing can be estimated", "profile")
            return Sample(window.height * window.width, eecu_s), side


def _middle(place: Window, side: int) -> Window:
    height, width = min(side, place.height), min(side, place.width)
    return Window(place.row + (place.height - height) // 2, place.col + (place.width - width) // 2, height, width)


class _Meter:
    """Sends requests under profiling and adds up what they cost."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.total_s = 0.0

    def measure(self, send: Callable[[], Result]) -> tuple[Result, float | None]:
        """The result of requests, and their EECU-seconds; None where no response named a profile.

        Those of failed requests count in the total too, as far as the service gives a profile of them.
        """
        ids: list[str] = []
        try:
            with ee.data.profiling(ids.append):
                result = send()
        except ServiceError:
            self.total_s += profile_seconds(self.session, ids)
            raise
        seconds = profile_seconds(self.session, ids)
        self.total_s += seconds
        return result, seconds if ids else None
