"""Pseudo-labels: the class that a teacher network predicts for every pixel, with marginals aligned to known proportions.

With proportions as labels, the teacher's probabilities are scaled until each patch, or bag, has its labelled proportions. With presence
labels and known class shares of the region they are scaled to both. No pixel truth is read.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from cropcam.model.losses.objectives import ModelOutputs, Targets, bagged, mean_probability, share_of_label
from cropcam.model.networks.cam import argmax_classes
from cropcam.pipeline.legend import UNLABELLED

MATCHING_ITERATIONS = 5  # more iterations change almost no pixel
_MIN_SHARE = 1e-6


@dataclass(frozen=True)
class PseudoLabeler:
    """From a teacher's logits to pseudo-labels and the loss on them."""

    kind: str  # of weak label; proportions are matched (`proportion_matched_labels`)
    min_share: float = 0.0  # share above which a presence label is 1
    remainder_K: Tensor | None = None  # classes whose logit is set to 0: predicted where every other logit is negative
    prior_K: Tensor | None = None  # class shares of all pixels, with presence labels (`prior_matched_labels`); None = unknown

    def loss(self, outputs: ModelOutputs, teacher_logits_BKHW: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
        """Mean cross-entropy of the student's outputs with the teacher's pseudo-labels, and the number of pseudo-labelled pixels."""
        logits_BKHW = outputs.logits_BKHW
        if self.remainder_K is not None:
            remainder_K11 = self.remainder_K[:, None, None]
            logits_BKHW, teacher_logits_BKHW = (t.masked_fill(remainder_K11, 0.0) for t in (logits_BKHW, teacher_logits_BKHW))
        if self.kind == "shares":
            pseudo_label_BHW = proportion_matched_labels(teacher_logits_BKHW, targets)
        elif self.prior_K is not None:
            pseudo_label_BHW = prior_matched_labels(teacher_logits_BKHW, targets, self.prior_K, self.min_share)
        else:
            pseudo_label_BHW = argmax_labels(teacher_logits_BKHW, targets.valid_BHW)
        entropy_BHW = F.cross_entropy(logits_BKHW, pseudo_label_BHW, ignore_index=UNLABELLED, reduction="none")  # as in `pixel_loss`
        pixels = (pseudo_label_BHW != UNLABELLED).sum()
        return entropy_BHW.sum() / pixels.clamp(min=1), pixels


@torch.no_grad()
def argmax_labels(logits_BKHW: Tensor, valid_BHW: Tensor) -> Tensor:
    """The class of the largest logit (B, H, W), int64, of each pixel; 255 without image data."""
    return argmax_classes(logits_BKHW).masked_fill(~valid_BHW, UNLABELLED)


@torch.no_grad()
def proportion_matched_labels(logits_BKHW: Tensor, targets: Targets) -> Tensor:
    """Class index (B, H, W), int64, of each pixel; 255 without image data or in a patch without a label.

    The softmax is averaged over 3 x 3 pixels; then each class is scaled, patch by patch or bag by bag, until the mean over the pixels
    is its labelled share; the argmax is the pseudo-label.

    Source: matching proportions as in Liu et al. 2021, "Two-stage Training for Learning from Label Proportions", arXiv 2105.10635.
    """
    share_BK = targets.image_BK
    assert share_BK is not None
    known_BHW = targets.valid_BHW & ~share_BK.isnan().any(dim=1)[:, None, None]
    averaged_BKHW = _averaged(logits_BKHW, targets.valid_BHW)
    return argmax_labels(_align_marginals(averaged_BKHW, targets.valid_BHW, lambda log_BK: _to_shares(log_BK, targets)), known_BHW)


@torch.no_grad()
def prior_matched_labels(logits_BKHW: Tensor, targets: Targets, prior_K: Tensor, min_share: float) -> Tensor:
    """Class index (B, H, W), int64, of each pixel; 255 without image data.

    As `proportion_matched_labels`, with two marginals: the whole batch has the known class shares; then, in each patch, an absent class
    has at most the presence threshold `min_share` (0: half a pixel), and a present class at least that.

    Source: distribution alignment, Berthelot et al. 2020, "ReMixMatch", arXiv 1911.09785, section 3.1.
    """
    assert targets.image_BK is not None
    label_BK, all_B = targets.image_BK, torch.zeros(len(logits_BKHW), dtype=torch.int64, device=logits_BKHW.device)
    region = targets._replace(image_BK=prior_K.expand_as(label_BK), bag_B=all_B)
    log_share = math.log(share_of_label(min_share, targets.valid_BHW))
    matched_BKHW = _align_marginals(
        _averaged(logits_BKHW, targets.valid_BHW),
        targets.valid_BHW,
        lambda log_BK: _to_shares(log_BK, region),
        lambda log_BK: _to_presence(log_BK, label_BK, log_share),
    )
    return argmax_labels(matched_BKHW, targets.valid_BHW)


def _averaged(logits_BKHW: Tensor, valid_BHW: Tensor) -> Tensor:
    """Log of the softmax averaged over the valid pixels within 3 x 3 (B, K, H, W)."""
    valid_B1HW = valid_BHW[:, None].to(logits_BKHW.dtype)
    around_B1HW = F.avg_pool2d(valid_B1HW, 3, stride=1, padding=1).clamp(min=_MIN_SHARE)
    mean_BKHW = F.avg_pool2d(logits_BKHW.softmax(dim=1) * valid_B1HW, 3, stride=1, padding=1) / around_B1HW
    return mean_BKHW.clamp(min=_MIN_SHARE).log()


def _align_marginals(log_BKHW: Tensor, valid_BHW: Tensor, *corrections: Callable[[Tensor], Tensor]) -> Tensor:
    """Log probabilities (B, K, H, W) after alternating corrections, each from log mean probabilities (B, K) to offsets of the logits."""
    for _ in range(MATCHING_ITERATIONS):
        for correction in corrections:
            log_BKHW = log_BKHW + correction(mean_probability(log_BKHW, valid_BHW))[:, :, None, None]
    return log_BKHW


def _to_shares(log_BK: Tensor, targets: Targets) -> Tensor:
    """Offsets from the mean probability of each patch, or bag, to its labelled shares."""
    log_GK, share_GK, bag_B = bagged(log_BK, targets)
    return (share_GK.nan_to_num().clamp(min=_MIN_SHARE).log() - log_GK)[bag_B]


def _to_presence(log_BK: Tensor, label_BK: Tensor, log_share: float) -> Tensor:
    """Offsets that raise a present class to the presence threshold and lower an absent class to it."""
    target_BK = torch.where(label_BK > 0.5, log_BK.clamp(min=log_share), log_BK.clamp(max=log_share))
    return torch.where(label_BK.isnan(), 0.0, target_BK - log_BK)
