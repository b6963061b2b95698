"""Losses on weak labels, with the presence and the segmentation that belong to each of them.

Every network gives class logits per pixel (its activation maps and the bias of its dense layer). An objective treats them as K
one-vs-rest sigmoids, or as mutually exclusive classes (softmax).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from cropcam.model.networks import Network, NetworkOutput
from cropcam.model.networks.cam import argmax_classes, pixel_maps
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.legend import UNLABELLED

POOLING = 6.0  # of log-sum-exp: 4 and 8 did better than 1 and 2 with labels of any pixel
SHARPNESS = 3.0  # factor of the log mean shares in `majority_loss`
_SHARPEST = ((0.05, 3.0), (0.25, 20.0))  # (share, sharpness): the best of several at these two shares (docs/decisions/0018)


class Targets(NamedTuple):
    """The weak labels of a batch, on its device; None where the kind of label has none."""

    valid_BHW: Tensor  # pixels with image data in every band
    image_BK: Tensor | None = None  # presence or majority (0, 1) or shares; a row of NaN has no label
    pixel_BHW: Tensor | None = None  # class index, 255 = no label; uint8
    bag_B: Tensor | None = None  # bag number, int64; the patches of a bag share one row of proportions
    whole: bool = False  # every pixel of the batch is known to be valid
    weight_BK: Tensor | None = None  # of each label of `image_BK`; None = 1
    weight_K: Tensor | None = None  # of each class, for pixels; None = 1
    pct_BHW: Tensor | None = None  # of each label of `pixel_BHW`, in per cent; uint8; None = 100
    pct_B: Tensor | None = None  # of each patch, in per cent; float32; None = 100
    smoothing: float = 0.0  # share of a pixel's label that is spread evenly over the classes; `image_BK` is smoothed already

    def label_count(self) -> Tensor:
        """Number of labelled pixels with image data, or of labelled patches; the loss is a mean over them."""
        if self.pixel_BHW is not None:
            return ((self.pixel_BHW != UNLABELLED) & self.valid_BHW).sum()
        assert self.image_BK is not None
        return (~self.image_BK.isnan().any(dim=1)).sum()


@dataclass(frozen=True)
class ModelOutputs:
    """The network's outputs for a batch; maps at full resolution are computed when first used, float32. Image logits need no network."""

    network: Network | None
    output: NetworkOutput
    valid_BHW: Tensor

    @cached_property
    def cams_BKHW(self) -> Tensor:
        """Activation maps at full resolution, without the bias."""
        assert self.network is not None
        return pixel_maps(self.network, self.output.maps_BFhw, *self.valid_BHW.shape[1:]).float()

    @cached_property
    def logits_BKHW(self) -> Tensor:
        """Class logits: activation maps and the dense layer's bias."""
        assert self.network is not None
        return self.cams_BKHW + self.network.dense.bias[:, None, None]


@dataclass(frozen=True)
class Objective:
    """A loss, and how presence and segmentation follow from the network's outputs."""

    name: str
    kinds: tuple[str, ...]  # kinds of label it learns from
    is_softmax: bool  # classes are mutually exclusive; else one-vs-rest sigmoids
    loss: Callable[[ModelOutputs, Targets, float], Tensor]  # (outputs, targets, presence_min_share) -> scalar
    pooled: Callable[[ModelOutputs], Tensor] | None  # of sigmoids: (outputs) -> one logit per class and patch (B, K)
    method: str  # the default segmentation method (`cropcam.model.segmentation.methods`)
    uses_image_logits: bool = False  # the loss is of the network's logits per patch, not of its maps

    def presence_logits(self, batch: ModelOutputs, min_share: float) -> Tensor:
        """One logit (B, K) per class and patch, above 0 where the class is predicted to cover more than `min_share`.

        For sigmoids this is the pooled logit. For mutually exclusive classes the segmented pixels are counted, and the mean probability
        breaks ties: log odds of (count + mean probability) / (pixels + 1) less those of (min_share x pixels + 1/2) / (pixels + 1).
        """
        if self.pooled is not None:
            return self.pooled(batch)
        logits_BKHW, valid_B1HW = batch.logits_BKHW, batch.valid_BHW[:, None]
        pixels_B1 = valid_B1HW.sum(dim=(2, 3)).clamp(min=1).float()
        chosen_BKHW = F.one_hot(argmax_classes(logits_BKHW), logits_BKHW.shape[1]).movedim(-1, 1)
        count_BK = (chosen_BKHW * valid_B1HW).sum(dim=(2, 3)).float()
        mean_BK = mean_probability(logits_BKHW, batch.valid_BHW).exp()
        return torch.logit((count_BK + mean_BK) / (pixels_B1 + 1), 1e-6) - torch.logit(
            (min_share * pixels_B1 + 0.5) / (pixels_B1 + 1), 1e-6
        )


def mean_probability(logits_BKHW: Tensor, valid_BHW: Tensor) -> Tensor:
    """Log of each class's mean softmax probability over the valid pixels (B, K). It is not clamped, so it always has a gradient."""
    log_BKHW = logits_BKHW.log_softmax(dim=1).masked_fill(~valid_BHW[:, None], -torch.inf)
    return log_BKHW.flatten(2).logsumexp(dim=2) - _log_pixels(valid_BHW, log_BKHW)


def presence_loss(logits_BK: Tensor, label_BK: Tensor, weight_BK: Tensor | None = None) -> Tensor:
    """Mean binary cross-entropy over patches and classes, from logits: a saturated logit still has a gradient.

    Source: Chen, Guo, S. Wang (poster, Stanford): multi-label classification, one 0/1 per class.
    """
    return F.binary_cross_entropy_with_logits(logits_BK, label_BK, weight_BK)


def log_sum_exp(batch: ModelOutputs) -> Tensor:
    """1/r log of the mean of exp(r x logit) over the valid pixels (B, K), r = `POOLING`: between mean and maximum.

    Source: Pinheiro, Collobert 2015, "From Image-level to Pixel-level Labeling", arXiv 1411.6228, equation 3.
    """
    logits_BKHW = (POOLING * batch.logits_BKHW).masked_fill(~batch.valid_BHW[:, None], -torch.inf)
    return (logits_BKHW.flatten(2).logsumexp(dim=2) - _log_pixels(batch.valid_BHW, logits_BKHW)) / POOLING


def threshold_loss(batch: ModelOutputs, targets: Targets, min_share: float) -> Tensor:
    """Binary cross-entropy of the mean probability being above the label's threshold; the logit is the difference in log odds x `sharpness`."""
    log_BK = mean_probability(batch.logits_BKHW, targets.valid_BHW)
    odds_BK = log_BK - torch.log(-torch.expm1(log_BK.clamp(max=-1e-6)))
    share = share_of_label(min_share, targets.valid_BHW)
    return _over_labelled(presence_loss, sharpness(share) * (odds_BK - math.log(share / (1 - share))), targets)


def sharpness(share: float) -> float:
    """Slope of the presence logit over the log odds of the mean share: 3 up to a threshold of 5 %, 20 from 25 % on.

    A small share is few pixels, and the network's count of them has a large relative error.

    >>> [round(sharpness(share), 1) for share in (0.01, 0.05, 0.1, 0.25, 0.5)]
    [3.0, 3.0, 6.8, 20.0, 20.0]
    """
    (low, flat), (high, steep) = _SHARPEST
    position = math.log(min(max(share, low), high) / low) / math.log(high / low)
    return float(flat * (steep / flat) ** position)


def share_of_label(min_share: float, valid_BHW: Tensor) -> float:
    """The threshold of a presence label, at least half a pixel of the patch and at most all but half a pixel."""
    half = 0.5 / valid_BHW[0].numel()
    return min(max(min_share, half), 1 - half)


def majority_loss(batch: ModelOutputs, targets: Targets, _min_share: float) -> Tensor:
    """Cross-entropy with `SHARPNESS` x log mean probability as the logits of a patch."""
    return _over_labelled(_cross_entropy, mean_probability(batch.logits_BKHW, targets.valid_BHW), targets)


def share_loss(batch: ModelOutputs, targets: Targets, _min_share: float) -> Tensor:
    """Kullback-Leibler divergence of the labelled shares from the mean probabilities, over patches or bags.

    A bag's weight is the number of its patches in the batch.

    Source: Ardehali, Culotta 2017, "Co-training for Demographic Classification Using Deep Learning from Label
    Proportions", arXiv 1709.04108: the batch-averaged KL; in the log domain here.
    """
    log_GK, share_GK, bag_B = bagged(mean_probability(batch.logits_BKHW, targets.valid_BHW), targets)
    weight_GK = None if targets.pct_B is None else (targets.pct_B / 100)[:, None].expand_as(log_GK)
    if targets.bag_B is not None:  # a few patches of a large bag are a poor sample of its proportions
        size_G = log_GK.new_zeros(len(log_GK)).index_add(0, bag_B, torch.ones_like(bag_B, dtype=log_GK.dtype))
        weight_GK = (size_G / size_G.mean())[:, None].expand_as(log_GK)
    return _over_labelled(_divergence, log_GK, targets._replace(image_BK=share_GK, weight_BK=weight_GK))


def pixel_loss(batch: ModelOutputs, targets: Targets, _min_share: float) -> Tensor:
    """Cross-entropy over the labelled pixels of the batch that have image data, each times its weight; the mean is over their number."""
    assert targets.pixel_BHW is not None
    label_BHW = targets.pixel_BHW.long().masked_fill(~targets.valid_BHW, UNLABELLED)
    weight_K, smoothing = targets.weight_K, targets.smoothing
    entropy_BHW = F.cross_entropy(  # per pixel: torch's own sum over pixels is not deterministic on GPUs
        batch.logits_BKHW, label_BHW, weight_K, ignore_index=UNLABELLED, reduction="none", label_smoothing=smoothing
    )
    if targets.pct_BHW is not None:
        entropy_BHW = entropy_BHW * (targets.pct_BHW.to(entropy_BHW.dtype) / 100)
    labelled: Tensor = (label_BHW != UNLABELLED).sum().clamp(min=1)
    return entropy_BHW.sum() / labelled


def _log_pixels(valid_BHW: Tensor, like: Tensor) -> Tensor:
    return valid_BHW.sum(dim=(1, 2)).clamp(min=1)[:, None].to(like.dtype).log()


def _cross_entropy(log_BK: Tensor, label_BK: Tensor, weight_BK: Tensor | None) -> Tensor:
    entropy_BK = -label_BK * (SHARPNESS * log_BK).log_softmax(dim=1)
    return (entropy_BK if weight_BK is None else weight_BK * entropy_BK).sum(dim=1).mean()


def _divergence(log_BK: Tensor, share_BK: Tensor, weight_BK: Tensor | None) -> Tensor:
    divergence_BK: Tensor = torch.special.xlogy(share_BK, share_BK) - share_BK * log_BK
    if weight_BK is not None:
        divergence_BK = weight_BK * divergence_BK
    return divergence_BK.sum(dim=1).mean()


def bagged(log_BK: Tensor, targets: Targets) -> tuple[Tensor, Tensor, Tensor]:
    """Log mean probabilities and labelled proportions of the bags of a batch (G, K), and the bag of each patch (B,).

    The mean is over the pixels of a bag's patches in this batch. Without bags each patch is one.
    """
    share_BK = targets.image_BK
    assert share_BK is not None
    if targets.bag_B is None:
        return log_BK, share_BK, torch.arange(len(log_BK), device=log_BK.device)
    _, bag_B = torch.unique(targets.bag_B, return_inverse=True)
    bags = int(bag_B.max()) + 1
    weight_B = targets.valid_BHW.sum(dim=(1, 2)).to(log_BK.dtype)
    total_G = log_BK.new_zeros(bags).index_add(0, bag_B, weight_B)
    sum_GK = log_BK.new_zeros(bags, log_BK.shape[1]).index_add(0, bag_B, log_BK.exp() * weight_B[:, None])
    mean_GK = sum_GK / total_G.clamp(min=1)[:, None]
    known_B = ~share_BK.isnan().any(dim=1)
    share_GK = share_BK.new_full((bags, share_BK.shape[1]), torch.nan).index_copy(0, bag_B[known_B], share_BK[known_B])
    return mean_GK.clamp(min=1e-30).log(), share_GK, bag_B


def _over_labelled(loss: Callable[[Tensor, Tensor, Tensor | None], Tensor], logits_BK: Tensor, targets: Targets) -> Tensor:
    label_BK, weight_BK = targets.image_BK, targets.weight_BK
    assert label_BK is not None
    known_B = ~label_BK.isnan().any(dim=1)
    if bool(known_B.all()) and len(known_B):
        return loss(logits_BK, label_BK, weight_BK)
    if not known_B.any():  # no label: a loss of 0 with a gradient for every weight
        return 0 * logits_BK.sum()
    return loss(logits_BK[known_B], label_BK[known_B], None if weight_BK is None else weight_BK[known_B])


def _bce(batch: ModelOutputs, targets: Targets, _min_share: float) -> Tensor:
    return _over_labelled(presence_loss, batch.output.logits_BK, targets)


def _lse(batch: ModelOutputs, targets: Targets, _min_share: float) -> Tensor:
    return _over_labelled(presence_loss, log_sum_exp(batch), targets)


_ALL = (
    Objective("bce", ("presence",), False, _bce, lambda batch: batch.output.logits_BK, "cam-argmax", uses_image_logits=True),
    Objective("lse", ("presence",), False, _lse, log_sum_exp, "score-argmax"),
    Objective("threshold", ("presence",), True, threshold_loss, None, "score-argmax"),
    Objective("majority", ("majority",), True, majority_loss, None, "score-argmax"),
    Objective("shares", ("shares",), True, share_loss, None, "score-argmax"),
    Objective("cross-entropy", ("points", "pixels"), True, pixel_loss, None, "score-argmax"),
)
OBJECTIVES = {objective.name: objective for objective in _ALL}


def objective(name: str, kind: str) -> Objective:
    """The objective of that name.

    Raises:
        ConfigError: no such objective, or it does not learn from that kind of label.
    """
    possible = [entry.name for entry in _ALL if kind in entry.kinds]
    if name not in possible:
        raise ConfigError(f"--loss {name} does not learn from {kind} labels; possible: {', '.join(possible)}")
    return OBJECTIVES[name]
