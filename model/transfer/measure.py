"""The shift of a store from what a run has seen, and the accuracy to expect there. No label of that store is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from cropcam.model.networks import Network
from cropcam.model.runs.checkpoint import BEST, METRICS
from cropcam.model.runs.config import RunConfig
from cropcam.model.runs.sealed import read_sealed
from cropcam.model.segmentation.fitting import method_of
from cropcam.model.transfer.domain import Place
from cropcam.model.transfer.pixels import Indices, pixels_of_store
from cropcam.model.transfer.score import ERROR, accuracy_at
from cropcam.model.transfer.seen import seen_by
from cropcam.model.transfer.shift import Shift
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.runtime.hashing import file_sha256
from cropcam.pipeline.runtime.terminal import quoted
from cropcam.pipeline.store.patch_store import PatchStore
from cropcam.pipeline.store.schema import evenly

PATCHES = 512  # of a store, evenly spread


def measure_store(run: Path, network: Network, config: RunConfig, store: PatchStore, patches_N: Indices, device: torch.device) -> Shift:
    """The shift of patches of a store with the run's bands; its images are read, its labels are not.

    Args:
        run: the run folder; RUN/seen.json is made from the run's store where it is absent.
        network: the run's, on `device`.
        config: the run's.
        store: any store with the run's bands, with or without labels.
        patches_N: indices of its patches; at most `PATCHES` of them are measured, evenly spread.
        device: of the network.

    Raises:
        DataError: other bands, no patch as valid as the run's study asks for, or RUN/seen.json cannot be made.
        OSError: writing RUN/seen.json failed.
    """
    if store.bands != config.store.bands:
        raise DataError(
            f"{store.path}: its bands are {', '.join(store.bands)}, the run {run} was trained on {', '.join(config.store.bands)}"
        )
    seen = seen_by(run, network, config, device)
    method, tally = method_of(run, network, config), seen.tally()
    columns, rows = store.info.split_block_patches
    block_N = list(zip((store.row_N // rows).tolist(), (store.col_N // columns).tolist(), strict=True))
    sample_N = patches_N[evenly(len(patches_N), PATCHES)] if len(patches_N) else patches_N
    for patches_B, pixels in pixels_of_store(network, config, method, store, sample_N, device):
        tally.add(pixels, [block_N[index] for index in patches_B])
    shift = Shift.of(seen, config.store.classes.names, tally, Place.of(config, store))
    if shift is None:
        raise DataError(f"{store.path}: none of the {len(patches_N):,} patches has as many valid pixels as the run's study asks for")
    return shift


@dataclass(frozen=True)
class ExpectedAccuracy:
    """An estimate of the pixel accuracy at another place, without its labels."""

    accuracy: float | None  # 0..1; None where the run's accuracy at home is not known
    home: float | None  # pixel accuracy of RUN/metrics.json
    error: float  # mean absolute error of the estimate, measured elsewhere
    next_step: str = ""  # where there is no estimate

    def line(self) -> str:
        """The estimate as text."""
        if self.accuracy is None:
            return f"no estimate of the accuracy: {self.next_step}"
        return (
            f"estimated pixel accuracy {self.accuracy:.2f}, without labels (mean absolute error {self.error:.2f}; {self.home:.2f} at home)"
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {"pixel_accuracy": self.accuracy, "home": self.home, "mean_absolute_error": self.error, "next_step": self.next_step}


def expected_accuracy(run: Path, shift: Shift) -> ExpectedAccuracy:
    """The pixel accuracy to expect at a shift (`cropcam.model.transfer.score.accuracy_at`), from the run's accuracy at home.

    The accuracy at home is that of RUN/metrics.json, where `evaluate` wrote it for this checkpoint on the test or the validation split.
    """
    home = home_accuracy(run)
    if home is None:
        return ExpectedAccuracy(None, None, ERROR, f"the run's accuracy at home is not known; run: cropcam evaluate {quoted(run)}")
    return ExpectedAccuracy(accuracy_at(home, shift.score), home, ERROR)


def home_accuracy(run: Path) -> float | None:
    """Pixel accuracy (0..1) of the default method in RUN/metrics.json; None where it is absent, damaged, of another checkpoint or of the training split."""
    try:
        metrics = read_sealed(run / METRICS, "the metrics of a run", "provenance", step="evaluate the run again")
        segmentation = metrics["segmentation"]
        if metrics["split"] not in ("test", "validation") or metrics["provenance"]["checkpoint_digest"] != file_sha256(run / BEST):
            return None
        return float(segmentation["methods"][segmentation["default"]]["pixel_accuracy"])
    except (DataError, OSError, ValueError, KeyError, TypeError):
        return None
