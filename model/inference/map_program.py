"""A run and its method as one torch module, from the stored values of a raster to class probabilities: the map in a form that other programs run.

Its numbers are those of `cropcam.model.inference.predictor` over the whole raster, in tensor operations alone, so that exporters can trace it for any
height and width. Axis suffixes: B raster, C band, K class, E band and a constant 1, Y/X rows and columns of pixels, R/Q of cells or patches.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cropcam.model.data.normalization import Normalization, has_value
from cropcam.model.inference.predictor import Predictor
from cropcam.model.inference.refinement import cell_px
from cropcam.model.inference.sliding_window import tent
from cropcam.model.segmentation.methods import Method
from cropcam.model.segmentation.spectral import LIKELIHOOD_WEIGHT, MIN_LOG_SHARE, PRIOR_WEIGHT, SHRINKAGE_PIXELS
from cropcam.pipeline.maps.windows import NODATA_CLASS


class MapProgram(nn.Module):
    """Stored values (B, C, Y, X) to calibrated class probabilities (B, K, Y, X) float32, NaN without data, and classes (B, Y, X) uint8, 255 without data.

    The upper left pixel counts as the raster's: a window of a raster gives the pixels of the map where it begins at a multiple of `step_px` and holds
    `halo_px` around them.
    """

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        self.network, self._method, self._layers = predictor.network, predictor.method, predictor.layers
        self.step_px, self.halo_px, self._network_halo_px = predictor.step_px, predictor.halo_px, predictor.network_halo_px
        self._size_px, self._refines = predictor.config.store.size_px, bool(predictor.method.mean_KC)
        self._covers = self.network.context_px is None  # the raster by patches
        self._stored = Normalization.of(predictor.config, predictor.device)

    def forward(self, dn_BCYX: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities and classes."""
        height, width = dn_BCYX.shape[2:]
        halo = self._network_halo_px
        # a step or two more than needed: exporters write another program for lengths of 0 and 1
        behind, step = self._size_px - self.step_px if self._covers else halo, self.step_px
        padding = (halo, behind + (width // step + 2) * step - width, halo, behind + (height // step + 2) * step - height)
        values_BCYX = F.pad(self._physical(dn_BCYX), padding, value=math.nan)
        if self._covers:
            logits_BKYX, valid_BYX = self._by_patches(values_BCYX)
        else:
            found, inner = self._layers(values_BCYX, refine=not self._refines), np.s_[..., halo:-halo, halo:-halo] if halo else np.s_[...]
            logits_BKYX, valid_BYX = found.layers_BLYX[inner], found.valid_BYX[inner]
            if self._refines:
                refined = refine_rasters(logits_BKYX, found.x_BCYX[inner], valid_BYX, self._method, cell_px(self._size_px))
                logits_BKYX = self._method.calibrated(refined)
        logits_BKYX, valid_BYX = logits_BKYX[..., :height, :width], valid_BYX[..., :height, :width]
        classes_BYX = logits_BKYX.argmax(dim=1).to(torch.uint8).masked_fill(~valid_BYX, NODATA_CLASS)
        return logits_BKYX.softmax(dim=1).masked_fill(~valid_BYX[:, None], math.nan), classes_BYX

    def _physical(self, dn_BCYX: Tensor) -> Tensor:
        """Physical values, NaN = missing, rounded as those that `map` reads."""
        scale_C, offset_C = (values_C[:, None, None] for values_C in (self._stored.scale_C, self._stored.offset_C))
        return (dn_BCYX.to(torch.float32) * scale_C + offset_C).masked_fill(~has_value(dn_BCYX, self._stored), math.nan)

    def _by_patches(self, values_BCYX: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and valid pixels without the halo, as `blended_patches`: a patch without data has no weight."""
        size, step, halo = self._size_px, self.step_px, self._network_halo_px
        parts = -(-size // step)  # a patch reaches over so many steps
        patches_BCRQYX = values_BCYX.unfold(2, size, step).unfold(3, size, step)
        rasters, bands, rows, cols = patches_BCRQYX.shape[:4]
        found = self._layers(patches_BCRQYX.permute(0, 2, 3, 1, 4, 5).reshape(-1, bands, size, size), refine=True)
        weight_PYX = torch.from_numpy(tent(size)) * found.valid_BYX.flatten(1).any(dim=1)[:, None, None]
        weighted = torch.cat([found.layers_BLYX * weight_PYX[:, None], weight_PYX[:, None]], dim=1)
        filled = F.pad(weighted, (0, parts * step - size) * 2).view(rasters, rows, cols, -1, parts, step, parts, step)
        total = sum(
            F.pad(filled[:, :, :, :, down, :, right].permute(0, 3, 4, 5, 1, 2), (right, parts - 1 - right, down, parts - 1 - down))
            for down in range(parts)
            for right in range(parts)
        )
        assert isinstance(total, Tensor)
        covered_BLYX = total.permute(0, 1, 4, 2, 5, 3).flatten(4, 5).flatten(2, 3)[..., halo:, halo:]
        valid_BYX = ~values_BCYX.isnan().view(rasters, self._stored.seasons, -1, *values_BCYX.shape[2:]).any(dim=2).all(dim=1)
        weight_B1YX = covered_BLYX[:, -1:]
        logits_BKYX = torch.where(weight_B1YX > 0, covered_BLYX[:, :-1] / weight_B1YX, 0.0)
        return logits_BKYX, valid_BYX[..., halo:, halo:]


def refine_rasters(logits_BKYX: Tensor, x_BCYX: Tensor, valid_BYX: Tensor, method: Method, cell: int) -> Tensor:
    """Logits (B, K, Y, X) of whole rasters, float32, refined at class boundaries: `cropcam.model.inference.refinement` as tensor operations.

    Args:
        logits_BKYX: of mutually exclusive classes; sides are multiples of `cell`.
        x_BCYX: standardised bands.
        valid_BYX: pixels with image data.
        method: has the spectra of the classes and their covariance.
        cell: side of a cell in pixels.
    """
    classes, bands = logits_BKYX.shape[1], x_BCYX.shape[1]
    class_BYX = logits_BKYX.argmax(dim=1).masked_fill(~valid_BYX, -1)
    boundary_BYX = _is_boundary(class_BYX)
    member_BKYX = class_BYX[:, None] == torch.arange(classes)[:, None, None]
    e_BEYX = torch.cat([x_BCYX, torch.ones_like(x_BCYX[:, :1])], dim=1)
    cells_e = _cells(e_BEYX, cell)  # (B, R, Q, E, pixels of a cell)
    sum_BRQKE = _cells((member_BKYX & ~boundary_BYX[:, None]).double(), cell) @ cells_e.double().transpose(-1, -2)
    share_BRQK = _cells(logits_BKYX.double().softmax(dim=1) * valid_BYX[:, None], cell).sum(dim=-1)
    sum_BRQKE, share_BRQK = _of_patches(sum_BRQKE), _of_patches(share_BRQK)
    home_KC, inverse_CC = (torch.from_numpy(values) for values in (np.array(method.mean_KC), np.linalg.inv(np.array(method.cov_CC))))
    mean = (sum_BRQKE[..., :bands] + SHRINKAGE_PIXELS * home_KC) / (sum_BRQKE[..., bands:] + SHRINKAGE_PIXELS)
    weight = mean @ inverse_CC
    share_BRQK = share_BRQK / share_BRQK.sum(dim=-1, keepdim=True).clamp(min=1e-30)
    constant = PRIOR_WEIGHT * share_BRQK.log().clamp(min=MIN_LOG_SHARE) - LIKELIHOOD_WEIGHT * (weight * mean).sum(dim=-1) / 2
    theta = torch.cat([LIKELIHOOD_WEIGHT * weight, constant[..., None]], dim=-1).float()
    later_Y = (torch.arange(cell) + 0.5) / cell  # weight of the patch that begins in the pixel's row of cells
    change = torch.zeros_like(cells_e[..., :1, :])
    for down, of_row_Y in enumerate((1 - later_Y, later_Y)):
        for right, of_col_X in enumerate((1 - later_Y, later_Y)):
            corner = theta[:, down : theta.shape[1] - 1 + down, right : theta.shape[2] - 1 + right]
            change = change + (corner @ cells_e) * (of_row_Y[:, None] * of_col_X).flatten()
    rows, cols = change.shape[1:3]
    change_BKYX = change.view(-1, rows, cols, classes, cell, cell).permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)
    return logits_BKYX + change_BKYX * boundary_BYX[:, None]


def _is_boundary(class_BYX: Tensor) -> Tensor:
    """Whether a pixel with a class has one of another class in its 3 x 3 neighbourhood; -1 = without data."""
    padded_BYX = F.pad(class_BYX, (1, 1, 1, 1), value=-1)
    height, width = class_BYX.shape[1:]
    boundary_BYX = torch.zeros_like(class_BYX, dtype=torch.bool)
    for down in range(3):
        for right in range(3):
            other_BYX = padded_BYX[:, down : down + height, right : right + width]
            boundary_BYX = boundary_BYX | ((other_BYX != class_BYX) & (other_BYX >= 0))
    return boundary_BYX & (class_BYX >= 0)


def _cells(values_BKYX: Tensor, cell: int) -> Tensor:
    """The pixels of each cell (B, R, Q, K, cell x cell)."""
    rasters, layers, height, width = values_BKYX.shape
    return values_BKYX.view(rasters, layers, height // cell, cell, width // cell, cell).permute(0, 2, 4, 1, 3, 5).flatten(4)


def _of_patches(cells_BRQK: Tensor) -> Tensor:
    """Sums over 2 x 2 neighbouring cells (B, R + 1, Q + 1, ...); beyond the raster they are 0."""
    rest = (0, 0) * (cells_BRQK.dim() - 3)
    padded = F.pad(cells_BRQK, (*rest, 1, 1, 1, 1))
    pairs = padded[:, :-1] + padded[:, 1:]
    return pairs[:, :, :-1] + pairs[:, :, 1:]
