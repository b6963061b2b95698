"""Activation maps against their definition and a numpy twin of the way from cells to pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cropcam.model.networks import build
from cropcam.model.networks.cam import activation_maps, pixel_scores, to_pixels

Floats = npt.NDArray[np.float64]


def bilinear(cells_hw: Floats, stride: int, height: int, width: int) -> Floats:
    """Cell i has its centre at pixel coordinate (i + 1/2) * stride; between centres linear, outside them constant."""

    def along(cells: int, pixels: int) -> Floats:
        centre = np.clip((np.arange(pixels) + 0.5) / stride - 0.5, 0, cells - 1)
        low = np.minimum(centre.astype(int), max(cells - 2, 0))
        weights = np.zeros((pixels, cells))
        weights[np.arange(pixels), low] += 1 - (centre - low)
        weights[np.arange(pixels), np.minimum(low + 1, cells - 1)] += centre - low
        return weights

    rows, cols = cells_hw.shape
    return np.asarray(along(rows, height) @ cells_hw @ along(cols, width).T)


@given(seed=st.integers(0, 2**31), bands=st.integers(1, 8), classes=st.integers(1, 6), size_px=st.integers(8, 20))
@settings(max_examples=12, deadline=None)
def test_mean_of_a_map_plus_the_bias_is_the_logit(seed: int, bands: int, classes: int, size_px: int) -> None:
    torch.manual_seed(seed)
    network = build("baseline", bands, classes).double()
    torch.nn.init.normal_(network.dense.bias)
    output = network(torch.randn(2, bands, size_px, size_px, dtype=torch.float64))
    cams_BKhw = activation_maps(output.maps_BFhw, network.dense.weight)
    torch.testing.assert_close(cams_BKhw.mean(dim=(2, 3)) + network.dense.bias, output.logits_BK)


def test_a_map_is_the_weighted_sum_of_the_features() -> None:
    rng = np.random.default_rng(0)
    maps_BFhw, weight_KF = rng.normal(size=(2, 6, 3, 4)), rng.normal(size=(5, 6))
    maps = activation_maps(torch.from_numpy(maps_BFhw), torch.from_numpy(weight_KF)).numpy()
    for b, k, y, x in np.ndindex(2, 5, 3, 4):
        np.testing.assert_allclose(maps[b, k, y, x], sum(weight_KF[k, f] * maps_BFhw[b, f, y, x] for f in range(6)))


sizes = st.integers(1, 6)


@given(
    rows=sizes, cols=sizes, stride=st.sampled_from([1, 2, 4, 8]), below=st.integers(0, 3), right=st.integers(0, 3), value=st.floats(-9, 9)
)
@settings(max_examples=60, deadline=None)
def test_a_constant_map_stays_constant(rows: int, cols: int, stride: int, below: int, right: int, value: float) -> None:
    height, width = rows * stride + below, cols * stride + right
    pixels = to_pixels(torch.full((1, 2, rows, cols), value), stride, height, width)
    assert pixels.shape == (1, 2, height, width)
    torch.testing.assert_close(pixels, torch.full_like(pixels, value))


@given(
    seed=st.integers(0, 2**31),
    rows=sizes,
    cols=sizes,
    stride=st.sampled_from([1, 2, 4, 8]),
    below=st.integers(0, 3),
    right=st.integers(0, 3),
)
@settings(max_examples=60, deadline=None)
def test_cells_become_pixels_as_in_numpy(seed: int, rows: int, cols: int, stride: int, below: int, right: int) -> None:
    cells_hw = np.random.default_rng(seed).normal(size=(rows, cols))
    height, width = rows * stride + min(below, stride - 1), cols * stride + min(right, stride - 1)
    maps = to_pixels(torch.from_numpy(cells_hw)[None, None], stride, height, width)[0, 0].numpy()
    np.testing.assert_allclose(maps, bilinear(cells_hw, stride, height, width), atol=1e-12)


def test_the_posters_patch_keeps_its_place() -> None:
    """12 cells over 50 px: the peak of a cell lies over its own 4 px, not stretched away from them."""
    for cell in range(12):
        cells = torch.zeros(1, 1, 12, 12)
        cells[0, 0, cell, 5] = 1.0
        column = to_pixels(cells, 4, 50, 50)[0, 0, :, 20:24].mean(dim=1)
        top = int(column.argmax())
        assert cell * 4 <= top < (cell + 1) * 4 or (cell == 11 and top >= 44)


def test_scores_at_full_resolution() -> None:
    network = build("baseline", 3, 4).eval()
    x_BCHW = torch.randn(2, 3, 50, 50)
    logits_BK, cams_BKHW = pixel_scores(network, x_BCHW)
    assert logits_BK.shape == (2, 4)
    assert cams_BKHW.shape == (2, 4, 50, 50)
    assert not cams_BKHW.requires_grad
