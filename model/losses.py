"""Losses over image-level labels. Axis suffixes: B batch, K class."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def presence_loss(logits_BK: Tensor, label_BK: Tensor) -> Tensor:
    """Mean binary cross entropy over patches and classes: K independent yes or no questions, as in the poster.

    Taken from the logits (log-sum-exp form), so that a saturated answer still has a gradient.

    Source: Chen, Guo, S. Wang (poster, Stanford): multi-label classification, one 0/1 per class.
    """
    return F.binary_cross_entropy_with_logits(logits_BK, label_BK)
