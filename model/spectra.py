"""Whose a pixel on the border of two classes is, told by what the classes look like in its own patch.

A label that does not say where leaves a network guessing at borders, where pixels are mixed: most of what full supervision knows
better lies there (docs/decisions/0016). Away from borders its answers are nearly always right, so they say what a class looks like in this patch, on this day.
Nothing here sees the truth of a pixel.
Axis suffixes: B batch, C band, K class, H/W rows and columns, P pixel.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from model.cam import winners
from model.losses import mean_probability

PIXELS = 100.0  # that the batch's mean of a class counts for beside the patch's own; 30 to 300 did alike
BALANCE = 0.5  # of the log share that a patch's classes have anyhow: few pixels need a reason to be of a class that next to none is of
WEIGHT = 0.2  # of a log likelihood: a pixel's bands and its neighbours are no independent witnesses; 0.1 to 0.4 did alike
_RIDGE = 1e-3
_LEAST = math.log(1e-4)
_ALL, _FIRST, _LAST = slice(None), slice(None, -1), slice(1, None)
# where the one and the other of each two neighbours stand: below, beside, and along both diagonals
_NEIGHBOURS = tuple(
    ((_ALL, *one), (_ALL, *other))
    for one, other in (
        ((_FIRST, _ALL), (_LAST, _ALL)),
        ((_ALL, _FIRST), (_ALL, _LAST)),
        ((_FIRST, _FIRST), (_LAST, _LAST)),
        ((_FIRST, _LAST), (_LAST, _FIRST)),
    )
)


class Spectra(NamedTuple):
    """What classes look like over many patches, float32.

    Attributes:
        mean_KC: of a class's pixels away from borders; of all pixels there where it has none.
        cov_CC: within classes, with a ridge.
    """

    mean_KC: Tensor
    cov_CC: Tensor


@torch.no_grad()
def by_spectra(log_BKHW: Tensor, x_BCHW: Tensor, valid_BHW: Tensor, known: Spectra | None = None) -> Tensor:
    """Log probabilities (B, K, H, W), float32, with what the spectrum of a pixel says added where its 3 x 3 neighbourhood holds two classes.

    A class is a normal distribution: its mean that of its other pixels in the patch, drawn to that of many patches where they are few;
    one covariance within classes. With `known` a patch's answer depends on no other patch.

    Source: class means that correct labels a network gives itself, Zhang et al. 2021, "Prototypical Pseudo Label Denoising", arXiv 2101.10979,
    section 3.1; here of spectra and of each patch, by Fisher's linear discriminant.

    Args:
        log_BKHW: log probabilities of classes that exclude each other.
        x_BCHW: the patches as the network sees them, standardised.
        valid_BHW: pixels with image data.
        known: what classes look like elsewhere (`seen`). How much of each class the patch holds is heard then too; None = as in this batch, and
            shares are matched afterwards.
    """
    with torch.autocast(x_BCHW.device.type, enabled=False):
        log_BKHW, x_BCP = log_BKHW.float(), x_BCHW.float().flatten(2)
        member_BKP, border_BHW = _members(log_BKHW, valid_BHW)
        mean_KC, cov_CC = known or _seen(member_BKP, x_BCP)
        mean_BKC = _in_patches(member_BKP, x_BCP, mean_KC)
        solved = torch.linalg.solve_ex(cov_CC, mean_BKC.flatten(0, 1), left=False)  # solve would make a GPU wait
        weight_BKC: Tensor = solved.result.view_as(mean_BKC)
        # the log likelihood, but for what all classes have in common
        likelihood_BKP = weight_BKC @ x_BCP - (weight_BKC * mean_BKC).sum(dim=2, keepdim=True) / 2
        said_BKP = (WEIGHT * likelihood_BKP).log_softmax(dim=1)
        if known:
            said_BKP = said_BKP + BALANCE * mean_probability(log_BKHW, valid_BHW).clamp(min=_LEAST)[:, :, None]
        said_BKHW = said_BKP.view_as(log_BKHW)
        return log_BKHW + said_BKHW.masked_fill(~border_BHW[:, None], 0.0)


@torch.no_grad()
def seen(log_BKHW: Tensor, x_BCHW: Tensor, valid_BHW: Tensor) -> Spectra:
    """What classes look like in these patches, by their answers away from borders. Arguments as of `by_spectra`."""
    return _seen(_members(log_BKHW, valid_BHW)[0], x_BCHW.float().flatten(2))


def borders(class_BHW: Tensor) -> Tensor:
    """Pixels with another class in their 3 x 3 neighbourhood (B, H, W), bool."""
    border_BHW = torch.zeros_like(class_BHW, dtype=torch.bool)
    for one, other in _NEIGHBOURS:
        differs_BHW = class_BHW[one] != class_BHW[other]
        border_BHW[one] |= differs_BHW
        border_BHW[other] |= differs_BHW
    return border_BHW


def _members(log_BKHW: Tensor, valid_BHW: Tensor) -> tuple[Tensor, Tensor]:
    """1 for the class of each valid pixel away from borders (B, K, P), and the borders (B, H, W)."""
    class_BHW = winners(log_BKHW)
    border_BHW = borders(class_BHW)
    member_BKHW = F.one_hot(class_BHW, log_BKHW.shape[1]).movedim(-1, 1) * (valid_BHW & ~border_BHW)[:, None]
    return member_BKHW.flatten(2).float(), border_BHW


def _in_patches(member_BKP: Tensor, x_BCP: Tensor, mean_KC: Tensor) -> Tensor:
    """Mean of each class in each patch (B, K, C)."""
    return (member_BKP @ x_BCP.transpose(1, 2) + PIXELS * mean_KC) / (member_BKP.sum(dim=2) + PIXELS)[:, :, None]


def _seen(member_BKP: Tensor, x_BCP: Tensor) -> Spectra:
    count_K, sum_KC = member_BKP.sum(dim=(0, 2)), (member_BKP @ x_BCP.transpose(1, 2)).sum(dim=0)
    all_C = sum_KC.sum(dim=0) / count_K.sum().clamp(min=1)
    mean_KC = (sum_KC + all_C) / (count_K + 1)[:, None]
    within_BCP = (x_BCP - _in_patches(member_BKP, x_BCP, mean_KC).transpose(1, 2) @ member_BKP) * member_BKP.sum(dim=1, keepdim=True)
    cov_CC = torch.einsum("bcp,bdp->cd", within_BCP, within_BCP) / count_K.sum().clamp(min=1)
    ridge = _RIDGE * cov_CC.diagonal().mean() + 1e-6
    return Spectra(mean_KC, cov_CC + ridge * torch.eye(len(cov_CC), device=cov_CC.device))
