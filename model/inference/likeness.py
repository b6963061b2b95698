"""Is the image like the training data? One line before it is mapped."""

from __future__ import annotations

from pathlib import Path

import torch

from cropcam.model.inference.layers import Layers
from cropcam.model.inference.survey import Survey, measured
from cropcam.model.networks import Network
from cropcam.model.runs.config import RunConfig
from cropcam.model.segmentation.methods import Method
from cropcam.model.transfer.domain import Place
from cropcam.model.transfer.seen import Seen, seen_by
from cropcam.model.transfer.shift import Shift
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.maps.windows import Source


def seen_by_run(run: Path, network: Network, config: RunConfig, method: Method, *, needed: bool) -> tuple[Seen | None, str]:
    """The statistics of the run's training data, or why they are not known: a run of an earlier version has no RUN/seen.json, and its store may be elsewhere.

    Raises:
        DataError: they are not known, and `needed`.
    """
    try:
        return seen_by(run, network, config, torch.device("cpu"), method=method), ""
    except DataError as error:
        if needed:
            raise
        return None, str(error)


def likeness(config: RunConfig, source: Source, survey: Survey, layers: Layers, seen: Seen | None, unmeasured: str) -> str:
    """A warning, or a note, or nothing: whether patches of the image are like the training data, and of its area and season.

    Args:
        config: the run's.
        source: the image.
        survey: patches of it.
        layers: of the run's default method.
        seen: the statistics of the run's training data.
        unmeasured: why they are not known.
    """
    place = Place.of(config, source)
    if seen is not None:
        tally = seen.tally()
        measured(survey, layers, config, tally)
        if shift := Shift.of(seen, config.store.classes.names, tally, place):
            return shift.warning() or place.note()
    reason = unmeasured or "no patch of it is as valid as those of the training data"
    text = f"whether the image is like the training data is not measured: {reason}"
    return f"{place.note()}; {text}" if place.note() else f"note: {text}"
