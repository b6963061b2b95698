"""What a run has seen: RUN/seen.json, from the images of its store alone. No label is read.

Training patches give the range of each band, the range of each band within each predicted class, and the classes' features. Validation
patches give what is usual at home: feature distance, confidence, predicted shares. The file belongs to one checkpoint by its sha256.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from pydantic import TypeAdapter

from cropcam.model.networks import Network
from cropcam.model.runs.checkpoint import BEST
from cropcam.model.runs.config import RunConfig
from cropcam.model.runs.sealed import read_sealed, sealed
from cropcam.model.segmentation.fitting import fitted_segmenter
from cropcam.model.segmentation.methods import Method
from cropcam.model.segmentation.predictions import open_trained_store
from cropcam.model.transfer.class_distance import ClassDistance, Rows
from cropcam.model.transfer.pixels import Floats, Pixels, pixels_of_store
from cropcam.model.transfer.tally import QUANTILES, Figures, Limits, Tally, rounded
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.runtime.atomic import atomic_write
from cropcam.pipeline.runtime.hashing import file_sha256
from cropcam.pipeline.store.patch_store import PatchStore
from cropcam.pipeline.store.schema import evenly

SEEN = "seen.json"
PATCHES = 256  # of the training split, and as many of the validation split
CLASS_PIXELS = 200  # a class predicted for fewer pixels has the range of all pixels
FAR, UNSURE = 0.99, 0.2  # quantiles of the feature distance and of the confidence at home
PERCENTS = 100  # of the stored distributions of distance and confidence


@dataclass(frozen=True)
class Seen:
    """The content of RUN/seen.json but for the digest."""

    bands: tuple[str, ...]
    mean_C: tuple[float, ...]  # of the bands, in the physical unit: the run's standardisation
    std_C: tuple[float, ...]
    quantiles_CQ: Rows  # of the training pixels at `QUANTILES`, in the physical unit
    class_pixels_K: tuple[int, ...]  # training pixels sampled, by predicted class
    class_quantiles_KCQ: tuple[
        Rows, ...
    ]  # as `quantiles_CQ`, by predicted class; of all pixels where the class has fewer than `CLASS_PIXELS`
    distance: ClassDistance
    distance_E: tuple[float, ...]  # feature distance of the validation pixels at 0, 1, .. 100 %
    confidence_E: tuple[float, ...]  # confidence of the validation pixels at 0, 1, .. 100 %
    home: Figures | None = None  # of the validation patches

    @cached_property
    def limits(self) -> Limits:
        """What is outside, in standardised values."""
        mean_C1, std_C1 = np.array(self.mean_C)[:, None], np.array(self.std_C)[:, None]
        all_CQ = (np.array(self.quantiles_CQ) - mean_C1) / std_C1
        class_KCQ = (np.array(self.class_quantiles_KCQ) - mean_C1) / std_C1
        far, unsure = self.distance_E[round(FAR * PERCENTS)], self.confidence_E[round(UNSURE * PERCENTS)]
        return Limits(all_CQ[:, 0], all_CQ[:, -1], class_KCQ[..., 0], class_KCQ[..., -1], self.distance, far, unsure)

    def tally(self) -> Tally:
        """Empty counts for an image of the run's bands."""
        return Tally(self.limits, len(self.bands), len(self.class_pixels_K))

    @classmethod
    def of(cls, config: RunConfig, train: Pixels, validation: Pixels) -> Seen:
        """From sampled pixels of both splits, at least one of each.

        Raises:
            DataError: the network's features are not finite.
        """
        mean_C, std_C = np.array(config.store.mean), np.array(config.store.std)

        def quantiles(x_PC: Floats) -> Rows:
            return tuple(map(rounded, (np.quantile(x_PC.astype(np.float64), QUANTILES, axis=0) * std_C + mean_C).T))

        everywhere = quantiles(train.x_PC)
        pixels_K = np.bincount(train.class_P, minlength=len(config.store.classes))
        of_class = (
            quantiles(train.x_PC[train.class_P == index]) if count >= CLASS_PIXELS else everywhere for index, count in enumerate(pixels_K)
        )
        distance, percents_E = ClassDistance.fit(train.feature_PD, train.class_P), np.arange(PERCENTS + 1) / PERCENTS
        seen = cls(
            config.store.bands,
            config.store.mean,
            config.store.std,
            everywhere,
            tuple(map(int, pixels_K)),
            tuple(of_class),
            distance,
            rounded(np.quantile(distance(torch.from_numpy(validation.feature_PD)).numpy(), percents_E)),
            rounded(np.quantile(validation.confidence_P, percents_E)),
        )
        tally = seen.tally()
        tally.add(validation)
        return replace(seen, home=tally.figures())


def seen_by(
    run: Path, network: Network, config: RunConfig, device: torch.device, store: PatchStore | None = None, method: Method | None = None
) -> Seen:
    """What a run has seen, read from RUN/seen.json, or measured on its store and written there.

    Args:
        run: the run folder.
        network: the run's, on `device`.
        config: the run's.
        device: of the network.
        store: the run's, where it is open already.
        method: the run's default method, where it is known already.

    Raises:
        DataError: it has to be measured, and the run's store is missing or damaged, or it holds no patch to measure.
        OSError: writing failed.
    """
    digest = file_sha256(run / BEST)
    if (found := load(run, digest)) is not None:
        return found
    opened = store or open_trained_store(run, config)
    chosen = method or fitted_segmenter(run, network, config, opened, device).method
    splits = []
    for split in ("train", "validation"):
        patches_N = opened.split_indices(split if opened.has_patches(split) else "train")  # a small store may have no validation
        sample_N = patches_N[evenly(len(patches_N), PATCHES)]
        splits.append(Pixels.joined([pixels for _, pixels in pixels_of_store(network, config, chosen, opened, sample_N, device)]))
        if not len(splits[-1].class_P):
            raise DataError(f"{opened.path}: no patch of the {split} split has as many valid pixels as the study asks for")
    seen = Seen.of(config, *splits)
    atomic_write(run / SEEN, json.dumps(sealed({"checkpoint_digest": digest, **asdict(seen)})) + "\n")
    return seen


def load(run: Path, checkpoint_digest: str) -> Seen | None:
    """What RUN/seen.json holds; None where it is absent, damaged, changed or of another checkpoint."""
    try:
        values = read_sealed(run / SEEN, "what a run has seen", step="evaluate the run again")
        return _SEEN.validate_python(values) if values.pop("checkpoint_digest") == checkpoint_digest else None
    except (DataError, ValueError, KeyError):
        return None


_SEEN = TypeAdapter(Seen)
