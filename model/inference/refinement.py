"""Spectral refinement wall to wall: as `cropcam.model.segmentation.spectral`, with statistics that pass smoothly from place to place.

A patch's class spectra and class shares correct the pixels at its class boundaries. Here patches lie half their size apart, and a
pixel has the tent-weighted mean of the corrections of the four that cover it. A correction is linear in the pixel's bands, so that mean costs no
network. Patches are 2 x 2 cells of half their size; cells lie on multiples of that from the raster's upper left.
Axis suffixes: K class, C band, E band and a constant 1, Y/X rows and columns, R/Q rows and columns of cells or patches.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from cropcam.model.segmentation.methods import Method
from cropcam.model.segmentation.spectral import LIKELIHOOD_WEIGHT, MIN_LOG_SHARE, PRIOR_WEIGHT, SHRINKAGE_PIXELS
from cropcam.pipeline.maps.quantised import classes_of
from cropcam.pipeline.maps.windows import NODATA_CLASS, Classes
from cropcam.pipeline.runtime.compiled import compiled
from cropcam.pipeline.runtime.tasks import cores

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


def cell_px(size_px: int) -> int:
    """Side of a cell for patches of `size_px`.

    >>> cell_px(50), cell_px(51), cell_px(1)
    (25, 25, 1)
    """
    return max(size_px // 2, 1)


def ring_px(size_px: int) -> int:
    """How far around a window the logits and bands have to reach: the cells of the patches that cover it, and a pixel for their boundaries."""
    return cell_px(size_px) + 1


def refine_window(logits_KYX: Floats, x_CYX: Floats, valid_YX: npt.NDArray[np.bool_], method: Method, cell: int) -> Floats:
    """Logits of a window (K, Y - 2 (cell + 1), X - 2 (cell + 1)), float32, refined at class boundaries; their softmax is that of the refined log probabilities.

    Args:
        logits_KYX: of mutually exclusive classes, of the window and `cell + 1` pixels around it; the window's upper left lies on a multiple of `cell`, its
            sides are multiples of `cell`.
        x_CYX: standardised bands of the same pixels.
        valid_YX: pixels with image data; others neither count nor make a boundary.
        method: has the spectra of the classes over the training split, and their covariance.
        cell: side of a cell in pixels.
    """
    class_YX = classes_of(logits_KYX, valid_YX)
    rows, cols = ((length - 2) // cell for length in class_YX.shape)
    bands, classes = len(x_CYX), len(logits_KYX)
    sum_RQKE, share_RQK = np.zeros((rows, cols, classes, bands + 1)), np.zeros((rows, cols, classes))
    refined_KYX = logits_KYX[:, 1 + cell : -1 - cell, 1 + cell : -1 - cell].copy()
    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(lambda row: _add_cells(logits_KYX, x_CYX, class_YX, cell, row, sum_RQKE, share_RQK), range(rows)))
        theta_RQKE = _corrections(sum_RQKE, share_RQK, method)
        list(pool.map(lambda row: _correct_cells(x_CYX, class_YX, cell, row, theta_RQKE, refined_KYX), range(rows - 2)))
    return refined_KYX


def _corrections(sum_RQKE: Doubles, share_RQK: Doubles, method: Method) -> Floats:
    """The correction of a patch to the logit of each class, linear in bands and 1 (R - 1, Q - 1, K, E), from sums over the R x Q cells."""
    sum_RQKE, share_RQK = _of_patches(sum_RQKE), _of_patches(share_RQK)
    mean_RQKC = (sum_RQKE[..., :-1] + SHRINKAGE_PIXELS * np.array(method.mean_KC)) / (sum_RQKE[..., -1:] + SHRINKAGE_PIXELS)
    weight_RQKC = mean_RQKC @ np.linalg.inv(np.array(method.cov_CC))
    with np.errstate(divide="ignore"):
        log_share_RQK = np.log(share_RQK / np.maximum(share_RQK.sum(axis=2, keepdims=True), 1e-30))
    constant_RQK = PRIOR_WEIGHT * np.maximum(log_share_RQK, MIN_LOG_SHARE) - LIKELIHOOD_WEIGHT * (weight_RQKC * mean_RQKC).sum(axis=3) / 2
    return np.concatenate([LIKELIHOOD_WEIGHT * weight_RQKC, constant_RQK[..., None]], axis=3).astype(np.float32)


def _of_patches(cells_RQ: Doubles) -> Doubles:
    """Sums over 2 x 2 neighbouring cells (R - 1, Q - 1, ...)."""
    pairs = cells_RQ[:-1] + cells_RQ[1:]
    return np.asarray(pairs[:, :-1] + pairs[:, 1:])


@compiled
def _is_boundary(class_YX: Classes, y: int, x: int) -> bool:
    """Whether a valid pixel has a valid one of another class in its 3 x 3 neighbourhood."""
    own = class_YX[y, x]
    for row in range(y - 1, y + 2):
        for col in range(x - 1, x + 2):
            other = class_YX[row, col]
            if other != own and other != NODATA_CLASS:  # noqa: PLR1714 - numba has no `in` for these types
                return True
    return False


@compiled
def _add_cells(logits_KYX: Floats, x_CYX: Floats, class_YX: Classes, cell: int, row: int, sum_RQKE: Doubles, share_RQK: Doubles) -> None:
    """Sums over each cell of a row of cells: bands and count of each class's pixels away from boundaries, and class probabilities of all pixels."""
    classes, bands = len(logits_KYX), len(x_CYX)
    share_K = np.empty(classes)
    for y in range(1 + row * cell, 1 + (row + 1) * cell):
        for col in range(sum_RQKE.shape[1]):
            for x in range(1 + col * cell, 1 + (col + 1) * cell):
                own = class_YX[y, x]
                if own == NODATA_CLASS:
                    continue
                total = 0.0
                for k in range(classes):
                    share_K[k] = np.exp(logits_KYX[k, y, x] - logits_KYX[own, y, x])
                    total += share_K[k]
                for k in range(classes):
                    share_RQK[row, col, k] += share_K[k] / total
                if not _is_boundary(class_YX, y, x):
                    for c in range(bands):
                        sum_RQKE[row, col, own, c] += x_CYX[c, y, x]
                    sum_RQKE[row, col, own, bands] += 1


@compiled
def _correct_cells(x_CYX: Floats, class_YX: Classes, cell: int, row: int, theta_RQKE: Floats, refined_KYX: Floats) -> None:
    """Add to each boundary pixel of a row of the window's cells the mean correction of the four patches that cover it."""
    classes, bands = len(refined_KYX), len(x_CYX)
    for y in range(row * cell, (row + 1) * cell):
        lower = np.float32((y - row * cell + 0.5) / cell)  # weight of the patch that begins in this row of cells
        for x in range(refined_KYX.shape[2]):
            top, left = y + 1 + cell, x + 1 + cell
            if class_YX[top, left] == NODATA_CLASS or not _is_boundary(class_YX, top, left):
                continue
            col = x // cell
            right = np.float32((x - col * cell + 0.5) / cell)
            for k in range(classes):
                change = np.float32(0.0)
                for down in range(2):
                    for across in range(2):
                        theta_E = theta_RQKE[row + down, col + across, k]
                        each = theta_E[bands]
                        for c in range(bands):
                            each += theta_E[c] * x_CYX[c, top, left]
                        change += each * (lower if down else 1 - lower) * (right if across else 1 - right)
                refined_KYX[k, y, x] += change
