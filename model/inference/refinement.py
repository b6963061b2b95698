"""Spectral refinement wall to wall: as `cropcam.model.segmentation.spectral`, with statistics that pass smoothly from place to place.

A patch's class spectra and class shares correct the pixels at its class boundaries. Here patches lie half their size apart, and a
pixel has the tent-weighted mean of the corrections of the four that cover it. A correction is linear in the pixel's bands, so that mean costs a
product per patch and no network. Patches are sums of cells of half their size; cells lie on multiples of that from the raster's upper left.
Axis suffixes: K class, C band, E band and a constant 1, Y/X rows and columns, R/Q rows and columns of cells, P pixel of a cell.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cropcam.model.networks.cam import argmax_classes
from cropcam.model.segmentation.spectral import (
    LIKELIHOOD_WEIGHT,
    MIN_LOG_SHARE,
    PRIOR_WEIGHT,
    SHRINKAGE_PIXELS,
    ClassStatistics,
    boundary_mask,
)


def cell_px(size_px: int) -> int:
    """Side of a cell for patches of `size_px`.

    >>> cell_px(50), cell_px(51), cell_px(1)
    (25, 25, 1)
    """
    return max(size_px // 2, 1)


def ring_px(size_px: int) -> int:
    """How far around a window the logits and bands have to reach: the cells of the patches that cover it, and a pixel for their boundaries."""
    return cell_px(size_px) + 1


def refine_window(logits_KYX: Tensor, x_CYX: Tensor, valid_YX: Tensor, statistics: ClassStatistics, cell: int) -> Tensor:
    """Log probabilities of a window (K, Y - 2 (cell + 1), X - 2 (cell + 1)), float32, refined at class boundaries.

    Args:
        logits_KYX: of mutually exclusive classes, of the window and `cell + 1` pixels around it; the window's upper left lies on a multiple of `cell`, its
            sides are multiples of `cell`.
        x_CYX: standardised bands of the same pixels.
        valid_YX: pixels with image data; others neither count nor make a boundary.
        statistics: of the training split.
        cell: side of a cell in pixels; a patch is 2 x 2 cells.
    """
    log_KYX = logits_KYX.float().log_softmax(dim=0)
    class_YX = argmax_classes(log_KYX[None])[0]
    boundary_YX = boundary_mask(class_YX[None], valid_YX[None])[0]
    inside = slice(1, -1), slice(1, -1)
    member_YX = torch.where(valid_YX & ~boundary_YX, class_YX, -1)[inside]
    theta_RQKE = _corrections(log_KYX[:, 1:-1, 1:-1], x_CYX[:, 1:-1, 1:-1], valid_YX[inside], member_YX, statistics, cell)
    core = slice(1 + cell, -1 - cell), slice(1 + cell, -1 - cell)
    refined_KYX, x_CYX, boundary_YX = log_KYX[:, *core].clone(), x_CYX[:, *core], boundary_YX[core]
    weight_41P = _tents(cell, x_CYX.device)
    for row in range(refined_KYX.shape[1] // cell):  # by rows of cells: what they need fits a cache
        rows = slice(row * cell, (row + 1) * cell)
        x_QEP = _with_one(_cells(x_CYX[:, rows], cell))
        change_QKP: Tensor = sum(  # type: ignore[assignment]
            theta_RQKE[row + down, right : right + len(x_QEP)] @ (x_QEP * weight_41P[2 * down + right])
            for down in (0, 1)
            for right in (0, 1)
        )
        change_KYX = change_QKP.view(*change_QKP.shape[:2], cell, cell).permute(1, 2, 0, 3).flatten(2)
        refined_KYX[:, rows] += change_KYX.masked_fill_(~boundary_YX[rows], 0.0)
    return refined_KYX


def _corrections(log_KYX: Tensor, x_CYX: Tensor, valid_YX: Tensor, member_YX: Tensor, statistics: ClassStatistics, cell: int) -> Tensor:
    """What a patch adds to the log probability of each class, linear in bands and 1 (R - 1, Q - 1, K, E), of patches of 2 x 2 of the R x Q cells."""
    classes, sums, shares, counts = len(log_KYX), [], [], []
    for row in range(log_KYX.shape[1] // cell):
        rows = slice(row * cell, (row + 1) * cell)
        member_QP = _cells(member_YX[None, rows], cell)[:, 0]
        one_QPK = F.one_hot(member_QP + 1, classes + 1)[..., 1:].to(x_CYX.dtype)
        sums.append(_with_one(_cells(x_CYX[:, rows], cell)) @ one_QPK)  # (Q, E, K)
        valid_Q1P = _cells(valid_YX[None, rows], cell)
        shares.append((_cells(log_KYX[:, rows], cell).exp() * valid_Q1P).sum(dim=2))
        counts.append(valid_Q1P.sum(dim=2))
    sum_RQKE = _of_patches(torch.stack(sums)).transpose(2, 3)
    share_RQK = _of_patches(torch.stack(shares)) / _of_patches(torch.stack(counts)).clamp(min=1)
    mean_RQKC = (sum_RQKE[..., :-1] + SHRINKAGE_PIXELS * statistics.mean_KC) / (sum_RQKE[..., -1:] + SHRINKAGE_PIXELS)
    weight_RQKC: Tensor = torch.linalg.solve_ex(statistics.cov_CC, mean_RQKC.flatten(0, 2), left=False).result.view_as(mean_RQKC)
    constant_RQK = -LIKELIHOOD_WEIGHT * (weight_RQKC * mean_RQKC).sum(dim=3) / 2 + PRIOR_WEIGHT * share_RQK.log().clamp(min=MIN_LOG_SHARE)
    return torch.cat([LIKELIHOOD_WEIGHT * weight_RQKC, constant_RQK[..., None]], dim=3)


def _of_patches(cells_RQ: Tensor) -> Tensor:
    """Sums over 2 x 2 neighbouring cells (R - 1, Q - 1, ...)."""
    pairs = cells_RQ[:-1] + cells_RQ[1:]
    return pairs[:, :-1] + pairs[:, 1:]


def _cells(values_CYX: Tensor, cell: int) -> Tensor:
    """The pixels of a row of cells (Q, C, P)."""
    return values_CYX.reshape(*values_CYX.shape[:2], -1, cell).permute(2, 0, 1, 3).flatten(2)


def _with_one(x_QCP: Tensor) -> Tensor:
    """With a constant 1 behind the bands (Q, E, P)."""
    return F.pad(x_QCP, (0, 0, 0, 1), value=1.0)


def _tents(cell: int, device: torch.device) -> Tensor:
    """Weights of a cell's pixels in the patches that end and begin there (4, 1, P): upper left, upper right, lower left, lower right; their sum is 1."""
    rising = (torch.arange(cell, device=device) + 0.5) / cell
    sides = torch.stack([1 - rising, rising])
    return torch.einsum("ay,bx->abyx", sides, sides).reshape(4, 1, cell * cell)
