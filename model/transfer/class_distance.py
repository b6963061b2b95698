"""Distance of a pixel's features to the nearest class: Mahalanobis, one covariance for all classes.

Source: Lee et al. 2018, "A Simple Unified Framework for Detecting Out-of-Distribution Samples and Adversarial Attacks", arXiv 1807.03888,
equation 2; here with predicted classes, since no label of a pixel may be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cropcam.pipeline.errors import DataError

SHRINKAGE = 0.1  # share of the covariance that is its mean variance, in every direction: features that are always 0 have none
MIN_PIXELS = 30  # a class with fewer has no mean
Floats = npt.NDArray[np.float32]
Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class ClassDistance:
    """Class means and the shared whitening, from features of the training patches."""

    mean_KD: Rows  # of the whitened features; a row per class with enough pixels
    whiten_DD: Rows  # feature x whiten has unit covariance within classes

    @classmethod
    def fit(cls, feature_PD: Floats, class_P: npt.NDArray[np.int64]) -> Self:
        """From features (P, D) of pixels and their predicted classes (P,).

        Raises:
            DataError: a feature is not finite.
        """
        if not np.isfinite(feature_PD).all():
            raise DataError("the network's features are not finite: its training diverged; train again with a lower --lr")
        values_PD = feature_PD.astype(np.float64)
        frequent = [index for index in np.unique(class_P) if (class_P == index).sum() >= MIN_PIXELS]
        groups = [values_PD[class_P == index] for index in frequent] or [values_PD]
        mean_KD = np.stack([group.mean(axis=0) for group in groups])
        within_PD = np.concatenate([group - mean for group, mean in zip(groups, mean_KD, strict=True)])
        cov_DD = within_PD.T @ within_PD / len(within_PD)
        size = len(cov_DD)
        level = max(np.trace(cov_DD) / size, 1e-12)
        cov_DD = (1 - SHRINKAGE) * cov_DD + SHRINKAGE * level * np.eye(size)
        whiten_DD = np.linalg.inv(np.linalg.cholesky(cov_DD)).T
        return cls(_rows(mean_KD @ whiten_DD), _rows(whiten_DD))

    def __call__(self, feature_PD: Tensor) -> Tensor:
        """Distance (P,), in standard deviations of the features within a class, to the nearest class; on the features' device."""
        mean_KD, whiten_DD, centre_D = (values.to(feature_PD.device) for values in self._tensors)
        white_PD = torch.addmm(-centre_D, feature_PD.float(), whiten_DD)
        return torch.cdist(white_PD, mean_KD, compute_mode="donot_use_mm_for_euclid_dist").amin(dim=1)

    @cached_property
    def _tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """Class means about their centre, the whitening, and the centre, which keeps the digits of distances by matrix products."""
        mean_KD, whiten_DD = (torch.tensor(rows, dtype=torch.float64) for rows in (self.mean_KD, self.whiten_DD))
        centre_D = mean_KD.mean(dim=0)
        return (mean_KD - centre_D).float(), whiten_DD.float(), centre_D.float()


def _rows(values: npt.NDArray[np.float64]) -> Rows:
    return tuple(tuple(float(f"{value:.6g}") for value in row) for row in values)
