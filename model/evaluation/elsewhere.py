"""A store that a run was not trained on, made ready to be scored: its bands, units and classes checked, its labels read as the run's classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cropcam.model.runs.config import RunConfig
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.store.compatible import check_fits
from cropcam.pipeline.store.joined import JoinedStore
from cropcam.pipeline.store.patch_store import PatchStore, open_store

AND = " + "  # between the names of several stores
ON = "on"  # the folder of a run that has its metrics elsewhere, one folder for each store
UNIT_STD = 30.0  # a mean that is further away, in standard deviations of the training data, is of another unit


@dataclass(frozen=True)
class Scored:
    """A store and the split of it that is scored."""

    store: PatchStore
    split: str  # train, validation, test or all
    folder: Path  # the metrics are written to
    name: str
    home: bool  # the run was trained on the store

    def about(self) -> dict[str, str]:
        """The store, for metrics.json; of several stores those that are scored, with their own digest where it is one."""
        named = [part for name, part in self.store.parts.items() if name in self.name.split(AND)]
        scored = named if len(self.store.parts) > 1 else [self.store]
        digest = scored[0].info.digest if len(scored) == 1 else self.store.info.digest
        return {"name": self.name, "path": ", ".join(str(part.path) for part in scored), "digest": digest}


def open_elsewhere(run: Path, config: RunConfig, on: Path, split: str | None) -> Scored:
    """The store `on`, for a run; without a split all patches, of a store that the run was trained on the test split.

    Raises:
        DataError: other bands, patches, units or classes than the run's; names both and the way to make them fit.
    """
    opened = open_store(on)
    check_fits(opened, config.store.bands, config.store.size_px, f"the run {run}")
    check_units(opened, config, run)
    own = JoinedStore([opened], config.store.classes) if opened.info.classes != config.store.classes else opened
    home, name = opened.info.digest in config.trained_digests, on.resolve().stem
    return Scored(own, split or ("test" if home else "all"), folder_on(run, on, opened.info.digest), name, home)


def folder_on(run: Path, on: Path, digest: str) -> Path:
    """The folder of a run's metrics on the store `on`."""
    return run / ON / f"{on.resolve().stem}-{digest[:8]}"


def check_units(store: PatchStore, config: RunConfig, run: Path) -> None:
    """Whether the values of a store can be of the unit of the run's.

    Raises:
        DataError: the mean of a band is far from that of the run's training data; names band and both means.
    """
    means = store.info.statistics["mean"]
    for band, own, trained, std in zip(store.bands, means, config.store.mean, config.store.std, strict=True):
        if np.isfinite(own) and abs(own - trained) > UNIT_STD * std:
            raise DataError(
                f"{store.path}: the mean of {band} is {own:.4g}, in the training data of {run} it is {trained:.4g} (standard deviation "
                f"{std:.4g}): the values are of another unit; build the store again with 'cropcam patches --scale S --offset O'"
            )
