"""Labels of pixels from a network's own answers, where a label does not say where: as they are or, with shares, mended by them.

Once a network knows the classes, its own answer says where they are. Shares mend it: as much of each class as there is. Nothing here sees the truth
of a pixel.
Axis suffixes: B batch, K class, H/W rows and columns, G group.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from model.losses import Batch, Targets, grouped, mean_probability
from pipeline.legend import UNLABELLED

BEGIN = 0.3  # of the epochs: before, a network knows too little to teach itself
ROUNDS = 5  # of matching shares; more change next to no pixel
_LEAST = 1e-6


def own_label_loss(batch: Batch, said_BKHW: Tensor, targets: Targets, kind: str, rest_K: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean cross entropy of a network's scores with the labels that its own answers give all pixels, and how many they are; shares mend them.

    Args:
        batch: what it says of a batch.
        said_BKHW: the scores the labels are taken from: of the mean of its weights.
        targets: what the batch is labelled with.
        kind: of label.
        rest_K: classes that score 0: they get the pixels that no other class claims.
    """
    scores_BKHW = batch.scores_BKHW
    if rest_K is not None:
        scores_BKHW, said_BKHW = (each.masked_fill(rest_K[:, None, None], 0.0) for each in (scores_BKHW, said_BKHW))
    own_BHW = mended_labels(said_BKHW, targets) if kind == "shares" else self_labels(said_BKHW, targets.valid_BHW)
    entropy_BHW = F.cross_entropy(
        scores_BKHW, own_BHW, ignore_index=UNLABELLED, reduction="none"
    )  # a sum over pixels is not deterministic on GPUs
    pixels = (own_BHW != UNLABELLED).sum()
    return entropy_BHW.sum() / pixels.clamp(min=1), pixels


@torch.no_grad()
def self_labels(scores_BKHW: Tensor, valid_BHW: Tensor) -> Tensor:
    """The class of the largest score (B, H, W), int64, of each pixel; 255 without image data."""
    return scores_BKHW.argmax(dim=1).masked_fill(~valid_BHW, UNLABELLED)


@torch.no_grad()
def mended_labels(scores_BKHW: Tensor, targets: Targets) -> Tensor:
    """Class index (B, H, W), int64, of each pixel; 255 without image data or in a patch without a label.

    The softmax is averaged over 3 x 3 pixels; then each class is raised or lowered, patch by patch or group by group, until the mean over the pixels
    is its labelled share; the largest wins.

    Source: matching shares as in Liu et al. 2021, "Two-stage Training for Learning from Label Proportions", arXiv 2105.10635.

    Args:
        scores_BKHW: of classes that exclude each other.
        targets: shares of the patches, or of the groups they belong to.
    """
    assert targets.image_BK is not None
    known_B = ~targets.image_BK.isnan().any(dim=1)
    valid_B1HW = targets.valid_BHW[:, None].to(scores_BKHW.dtype)
    around_B1HW = F.avg_pool2d(valid_B1HW, 3, stride=1, padding=1).clamp(min=_LEAST)
    mean_BKHW = F.avg_pool2d(scores_BKHW.softmax(dim=1) * valid_B1HW, 3, stride=1, padding=1) / around_B1HW
    log_BKHW = mean_BKHW.clamp(min=_LEAST).log()
    offset_BK = log_BKHW.new_zeros(log_BKHW.shape[:2])
    for _ in range(ROUNDS):
        log_BK = mean_probability(log_BKHW + offset_BK[:, :, None, None], targets.valid_BHW)
        log_GK, share_GK, group_B = grouped(log_BK, targets)
        offset_BK = offset_BK + (share_GK.nan_to_num().clamp(min=_LEAST).log() - log_GK)[group_B]
    return self_labels(log_BKHW + offset_BK[:, :, None, None], targets.valid_BHW & known_B[:, None, None])
