"""Large windows: every pixel once, aligned, and none of the windows leaves a trace."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cropcam.model.data.normalization import Normalization, physical_encoding
from cropcam.model.inference import windows
from cropcam.model.inference.layers import Layers
from cropcam.model.inference.windows import _windows, large_windows, window_px
from cropcam.model.segmentation.methods import unfitted
from support.map_runs import ENCODING, as_trained, make_config, random_dn
from support.memory_source import LEGEND


def layers_of(model: str) -> Layers:
    config = make_config(model=model)
    network = as_trained(config)
    normalization = Normalization.of(config, "cpu", physical_encoding(len(ENCODING)))
    return Layers(network, unfitted([0.0] * len(LEGEND))["cam-argmax"], normalization, activations=True)


@given(height=st.integers(1, 300), width=st.integers(1, 300), side_px=st.integers(8, 64), align_px=st.sampled_from([1, 4, 8]))
def test_windows_cover_each_pixel_once_from_aligned_corners(height: int, width: int, side_px: int, align_px: int) -> None:
    covered = np.zeros((height, width), int)
    sizes = set()
    for rows, cols in _windows((height, width), side_px, align_px):
        covered[rows, cols] += 1
        assert rows.start % align_px == cols.start % align_px == 0
        sizes |= {rows.stop - rows.start, cols.stop - cols.start}
    assert (covered == 1).all()
    assert max(sizes) <= 1.5 * side_px + align_px


@given(st.integers(0, 300))
def test_a_window_is_large_against_its_halo(halo_px: int) -> None:
    side = window_px(halo_px)
    assert side % 512 == 0
    assert side >= 20 * halo_px
    assert side < 20 * halo_px + 2 * 512


@pytest.mark.parametrize("with_bands", [False, True])
@pytest.mark.parametrize("model", ["fcn", "baseline", "linear", "fcn-time"])
def test_the_windows_leave_no_trace(model: str, with_bands: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    layers = layers_of(model)
    align, context = layers.network.align_px, layers.network.context_px
    assert context is not None
    halo = -(-context // align) * align
    block = ENCODING.physical(random_dn(np.random.default_rng(0), 88 + 2 * halo, 104 + 2 * halo, 0.3))
    with torch.inference_mode():
        whole = large_windows(layers, block, halo, with_bands=with_bands)
        monkeypatch.setattr(windows, "window_px", lambda _: 24)
        parts = large_windows(layers, block, halo, with_bands=with_bands)
    valid = whole[2]
    assert whole[0].shape == (2 * len(LEGEND), 88, 104)
    torch.testing.assert_close(parts[0][:, valid], whole[0][:, valid], rtol=0, atol=1e-5)
    assert torch.equal(parts[2], valid)
    inner = block[:, halo : halo + 88, halo : halo + 104]
    np.testing.assert_array_equal(valid.numpy(), ~np.isnan(inner).any(axis=0))
    if with_bands:
        assert torch.equal(parts[1][:, valid], whole[1][:, valid])
    else:
        assert whole[1].numel() == parts[1].numel() == 0


def test_windows_without_data_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = layers_of("fcn")
    monkeypatch.setattr(windows, "window_px", lambda _: 24)
    seen: list[tuple[int, ...]] = []
    maps = layers.network.maps
    monkeypatch.setattr(layers.network, "maps", lambda x_BCHW: (seen.append(tuple(x_BCHW.shape)), maps(x_BCHW))[1])
    block = np.full((len(ENCODING), 54, 78), np.nan, np.float32)
    block[:, 5:8, 30:33] = 0.1
    with torch.inference_mode():
        layers_LYX, _, valid_YX = large_windows(layers, block, 3, with_bands=False)
    assert seen == [(1, 3, 30, 30)]
    assert int(valid_YX.sum()) == 9
    assert (layers_LYX[:, 24:] == 0).all()
