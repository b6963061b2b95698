"""Whose a pixel on the border of two classes is, told by what the classes look like in its own patch.

A label that does not say where leaves a network guessing at borders, where pixels are mixed: most of what full supervision knows
better lies there (docs/decisions/0016). Away from borders its answers are nearly always right, so they say what a class looks like in this patch, on this day.
Nothing here sees the truth of a pixel.
Axis suffixes: B batch, C band, K class, H/W rows and columns, P pixel.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

PIXELS = 100.0  # that the batch's mean of a class counts for beside the patch's own; 30 to 300 did alike
WEIGHT = 0.2  # of a log likelihood: a pixel's bands and its neighbours are no independent witnesses; 0.1 to 0.4 did alike
_RIDGE = 1e-3


@torch.no_grad()
def by_spectra(log_BKHW: Tensor, x_BCHW: Tensor, valid_BHW: Tensor) -> Tensor:
    """Log probabilities (B, K, H, W), float32, with what the spectrum of a pixel says added where its 3 x 3 neighbourhood holds two classes.

    A class is a normal distribution: its mean that of its other pixels in the patch, drawn to that of the batch where they are few, to that of all
    pixels where there are none; one covariance within classes for the batch.

    Source: class means that correct labels a network gives itself, Zhang et al. 2021, "Prototypical Pseudo Label Denoising", arXiv 2101.10979,
    section 3.1; here of spectra and of each patch, by Fisher's linear discriminant.

    Args:
        log_BKHW: log probabilities of classes that exclude each other.
        x_BCHW: the patches as the network sees them, standardised.
        valid_BHW: pixels with image data.
    """
    with torch.autocast(x_BCHW.device.type, enabled=False):
        log_BKHW, x_BCP = log_BKHW.float(), x_BCHW.float().flatten(2)
        class_BHW = log_BKHW.argmax(dim=1)
        border_BHW = borders(class_BHW)
        member_BKHW = F.one_hot(class_BHW, log_BKHW.shape[1]).movedim(-1, 1) * (valid_BHW & ~border_BHW)[:, None]
        member_BKP = member_BKHW.flatten(2).float()
        mean_BKC = _means(member_BKP, x_BCP)
        cov_CC = _within(member_BKP, x_BCP, mean_BKC)
        solved = torch.linalg.solve_ex(cov_CC, mean_BKC.flatten(0, 1), left=False)  # solve would make a GPU wait
        weight_BKC: Tensor = solved.result.view_as(mean_BKC)
        # the log likelihood, but for what all classes have in common
        likelihood_BKP = weight_BKC @ x_BCP - (weight_BKC * mean_BKC).sum(dim=2, keepdim=True) / 2
        said_BKHW = (WEIGHT * likelihood_BKP).log_softmax(dim=1).view_as(log_BKHW)
        return log_BKHW + said_BKHW.masked_fill(~border_BHW[:, None], 0.0)


def borders(class_BHW: Tensor) -> Tensor:
    """Pixels with another class in their 3 x 3 neighbourhood (B, H, W), bool."""
    around_B1HW = F.pad(class_BHW[:, None].float(), (1, 1, 1, 1), mode="replicate")
    differs_B1HW: Tensor = F.max_pool2d(around_B1HW, 3, 1) != -F.max_pool2d(-around_B1HW, 3, 1)
    return differs_B1HW[:, 0]


def _means(member_BKP: Tensor, x_BCP: Tensor) -> Tensor:
    """Mean of each class in each patch (B, K, C)."""
    count_BK, sum_BKC = member_BKP.sum(dim=2), member_BKP @ x_BCP.transpose(1, 2)
    all_C = sum_BKC.sum(dim=(0, 1)) / count_BK.sum().clamp(min=1)
    batch_KC = (sum_BKC.sum(dim=0) + all_C) / (count_BK.sum(dim=0) + 1)[:, None]
    return (sum_BKC + PIXELS * batch_KC) / (count_BK + PIXELS)[:, :, None]


def _within(member_BKP: Tensor, x_BCP: Tensor, mean_BKC: Tensor) -> Tensor:
    """Covariance within classes (C, C), with a ridge."""
    one_B1P = member_BKP.sum(dim=1, keepdim=True)
    off_BCP = (x_BCP - mean_BKC.transpose(1, 2) @ member_BKP) * one_B1P
    cov_CC: Tensor = torch.einsum("bcp,bdp->cd", off_BCP, off_BCP) / one_B1P.sum().clamp(min=1)
    ridge = _RIDGE * cov_CC.diagonal().mean() + 1e-6
    return cov_CC + ridge * torch.eye(len(cov_CC), device=cov_CC.device)
