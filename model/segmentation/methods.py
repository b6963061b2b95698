"""The segmentation methods of a run, from activation maps to classes; stored in RUN/segment.json.

A method is the argmax of an affine map of each class's activation map; `spectral` also refines class boundaries by the image
(`cropcam.model.segmentation.spectral`). Divided by a temperature, its logits are calibrated log probabilities
(`cropcam.model.segmentation.calibration`). No method reads pixel truth beyond the run's own kind of label.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import TypeAdapter
from torch import Tensor

from cropcam.model.networks.cam import argmax_classes
from cropcam.model.runs.checkpoint import write_json
from cropcam.model.runs.sealed import read_sealed, sealed
from cropcam.model.segmentation.spectral import ClassStatistics, class_statistics, refine_by_spectra
from cropcam.pipeline.errors import DataError

SEGMENT = "segment.json"
CAM_ARGMAX, LOGIT_ARGMAX, REMAINDER, PRIOR_MATCHED, SPECTRAL = "cam-argmax", "score-argmax", "remainder-class", "prior-matched", "spectral"
NAMES = (CAM_ARGMAX, LOGIT_ARGMAX, REMAINDER, PRIOR_MATCHED, SPECTRAL)
Values = tuple[float, ...]
Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Method:
    """The argmax over classes of scale x activation map + offset, optionally refined by spectra at class boundaries.

    `mean_KC` and `cov_CC` are the `spectral.ClassStatistics` of the training split; empty = no refinement. The softmax of `logits` over the
    classes is the probability of each; the map's class is the argmax of both.
    """

    name: str  # as in metrics.json
    scale_K: Values  # above 0; 0 for remainder classes, whose map is constant
    offset_K: Values  # in units of the scaled maps
    mean_KC: tuple[Values, ...] = ()
    cov_CC: tuple[Values, ...] = ()
    temperature: float = 1.0  # above 0; divides the refined logits

    def logits(self, cams_BKHW: Tensor, x_BCHW: Tensor, valid_BHW: Tensor) -> Tensor:
        """The calibrated logits (B, K, H, W) whose argmax is the segmentation, from activation maps without bias and standardised patches.

        A patch does not depend on the others.
        """
        return self.calibrated(self.uncalibrated(cams_BKHW, x_BCHW, valid_BHW))

    def calibrated(self, logits_BKHW: Tensor) -> Tensor:
        """Uncalibrated logits, of any shape, divided by the temperature."""
        return logits_BKHW / self.temperature

    def uncalibrated(self, cams_BKHW: Tensor, x_BCHW: Tensor, valid_BHW: Tensor) -> Tensor:
        """The logits (B, K, H, W) before the temperature. Arguments as of `logits`."""
        logits_BKHW = self.affine(cams_BKHW)
        if not self.mean_KC:
            return logits_BKHW
        statistics = ClassStatistics(*(x_BCHW.new_tensor(rows, dtype=torch.float32) for rows in (self.mean_KC, self.cov_CC)))
        return refine_by_spectra(logits_BKHW, x_BCHW, valid_BHW, statistics)

    def affine(self, cams_BKHW: Tensor) -> Tensor:
        """Scale x activation map + offset (B, K, H, W)."""
        scale_K, offset_K = (cams_BKHW.new_tensor(values)[:, None, None] for values in (self.scale_K, self.offset_K))
        return cams_BKHW * scale_K + offset_K

    def __call__(self, cams_BKHW: Tensor, x_BCHW: Tensor, valid_BHW: Tensor) -> Tensor:
        """Class index (B, H, W), uint8; the caller masks pixels without image data. Arguments as of `logits`."""
        return argmax_classes(self.logits(cams_BKHW, x_BCHW, valid_BHW)).byte()


@dataclass(frozen=True)
class Segmenter:
    """The methods of a run, by name, and its default."""

    methods: dict[str, Method]
    default: str
    calibration: str = "not fitted"  # the labels that the temperatures are fitted to, or why to none, in words

    @property
    def method(self) -> Method:
        """The default method."""
        return self.methods[self.default]


def unfitted(bias_K: Sequence[float]) -> dict[str, Method]:
    """The methods without a fit: the largest activation (the poster's) and the largest logit; `bias_K` is the dense layer's."""
    ones = (1.0,) * len(bias_K)
    methods = (Method(CAM_ARGMAX, ones, (0.0,) * len(bias_K)), Method(LOGIT_ARGMAX, ones, tuple(map(float, bias_K))))
    return {method.name: method for method in methods}


def remainder_class(bias_K: Sequence[float], ubiquitous_K: npt.NDArray[np.bool_]) -> Method:
    """Largest logit, with logit 0 for the classes `ubiquitous_K`, which are present in nearly every training patch.

    They are predicted where every other logit is negative: no label constrains their own maps. Of several the first wins.
    """
    scale_K, offset_K = np.where(ubiquitous_K, 0.0, 1.0), np.where(ubiquitous_K, 0.0, np.asarray(bias_K))
    return Method(REMAINDER, tuple(scale_K.tolist()), tuple(offset_K.tolist()))


def spectral(base: Method, cams_NKHW: Tensor, x_NCHW: Tensor, valid_NHW: Tensor) -> Method:
    """The affine method `base`, refined at class boundaries by class spectra of a sample of patches. Arguments as of `Method.logits`."""
    statistics = class_statistics(base.logits(cams_NKHW, x_NCHW, valid_NHW), x_NCHW, valid_NHW)
    mean_KC, cov_CC = (tuple(map(tuple, rows.tolist())) for rows in statistics)
    return replace(base, name=SPECTRAL, mean_KC=mean_KC, cov_CC=cov_CC)


def prior_matched(base: Method, cams_PK: Floats, prior_K: Floats) -> Method:
    """The affine method `base` with offsets that give a sample of pixels the known class shares `prior_K`; `cams_PK`: its activations."""
    offset_K = np.array(base.offset_K)
    return replace(base, name=PRIOR_MATCHED, offset_K=matched_offsets(cams_PK * np.array(base.scale_K) + offset_K, prior_K, offset_K))


def matched_offsets(logits_PK: Floats, prior_K: Floats, bias_K: Floats, steps: int = 300) -> Values:
    """Offsets of the activation maps for which each class's share of the argmax is its prior.

    Each of `steps` iterations raises classes with too few pixels and lowers those with too many, by decreasing amounts.

    `logits_PK` have the bias `bias_K`, which is added to the result. A class with prior 0 is never predicted.
    """
    sample_PK = logits_PK[:: max(len(logits_PK) // 50_000, 1)].astype(np.float64)
    scale, floor = 0.5 * (sample_PK.std() + 1e-12), 0.5 / len(sample_PK)
    prior_K = np.asarray(prior_K, np.float64) / np.sum(prior_K)
    offset_K = np.zeros(len(prior_K))
    best_error, best_K = np.inf, offset_K
    for step in range(steps):
        share_K = np.bincount((sample_PK + offset_K).argmax(axis=1), minlength=len(prior_K)) / len(sample_PK)
        if (error := float(np.abs(share_K - prior_K).sum())) < best_error:
            best_error, best_K = error, offset_K
        log_ratio_K = np.log(np.maximum(prior_K, floor) / np.maximum(share_K, floor))
        offset_K = offset_K + scale / (1 + step / 20) * np.clip(log_ratio_K, -2, 2)
    return tuple((best_K + bias_K).tolist())


def save(run: Path, segmenter: Segmenter, checkpoint_digest: str) -> None:
    """Write RUN/segment.json.

    Raises:
        OSError: writing failed.
    """
    write_json(run / SEGMENT, sealed({"checkpoint_digest": checkpoint_digest, **asdict(segmenter)}))


def load(run: Path, checkpoint_digest: str) -> Segmenter | None:
    """The stored methods; None where the file is absent, damaged, changed, of another checkpoint, or of a version without calibration."""
    try:
        values = read_sealed(run / SEGMENT, "segmentation methods", step="evaluate the run again")
        is_current = values.pop("checkpoint_digest") == checkpoint_digest and "calibration" in values
        found = _SEGMENTER.validate_python(values) if is_current else None
    except (DataError, ValueError, KeyError):
        return None
    return found if found and found.default in found.methods and all(map(_is_sound, found.methods.values())) else None


def _is_sound(method: Method) -> bool:
    shapes = {len(method.scale_K), len(method.offset_K), *((len(method.mean_KC),) if method.mean_KC else ())}
    numbers = [*method.scale_K, *method.offset_K, *(value for rows in (method.mean_KC, method.cov_CC) for row in rows for value in row)]
    sides = {*map(len, method.mean_KC), *map(len, method.cov_CC), *((len(method.cov_CC),) if method.cov_CC else ())}
    return len(shapes) == 1 and len(sides) <= 1 and all(map(math.isfinite, numbers)) and 0 < method.temperature < math.inf


_SEGMENTER = TypeAdapter(Segmenter)
