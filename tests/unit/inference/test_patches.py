"""Overlapping patches, averaged with a tent weight (against a plain loop: test_predictor)."""

from __future__ import annotations

import numpy as np
import torch

from cropcam.model.data.normalization import Normalization, physical_encoding
from cropcam.model.inference.layers import Layers
from cropcam.model.inference.patches import BATCH_PATCHES, blended_patches
from cropcam.model.segmentation.methods import unfitted
from support.map_runs import ENCODING, OF_PATCHES, as_trained, make_config, random_dn
from support.memory_source import LEGEND


def layers_of(activations: bool = False) -> Layers:
    config = make_config(16, model=OF_PATCHES)
    normalization = Normalization.of(config, "cpu", physical_encoding(len(ENCODING)))
    return Layers(as_trained(config), unfitted([0.0] * len(LEGEND))["cam-argmax"], normalization, activations=activations)


def test_layers_of_alike_patches_are_those_of_each() -> None:
    """Every patch of a raster without variation has the same layers where patches agree: at the centres of four that overlap by halves of constant maps."""
    layers = layers_of(activations=True)
    block = np.broadcast_to(np.array([0.1, 0.3, 0.2], np.float32)[:, None, None], (3, 64, 64)).copy()
    block[:, :, :] += np.float32(0.01)
    with torch.inference_mode():
        found = blended_patches(layers, block, 16, 8, 8)
        one = layers(torch.from_numpy(block[None, :, :16, :16]), refine=True).layers_BLYX[0]
    assert found.shape == (2 * len(LEGEND), 48, 48)
    assert (found.amin(dim=(1, 2)) >= one.amin(dim=(1, 2)) - 1e-5).all()
    assert (found.amax(dim=(1, 2)) <= one.amax(dim=(1, 2)) + 1e-5).all()
    torch.testing.assert_close(found[:, :8, :8], found[:, 40:, 8:16], rtol=0, atol=1e-5)


def test_pixels_that_no_patch_covers_are_0() -> None:
    layers = layers_of()
    block = np.full((3, 64, 64), np.nan, np.float32)
    block[:, 10, 10] = 0.1
    with torch.inference_mode():
        found = blended_patches(layers, block, 16, 8, 8)
    assert (found[:, 24:] == 0).all()
    assert (found[:, :, 24:] == 0).all()
    assert (found[:, 2, 2] != 0).any()


def test_batches_are_all_of_one_size(monkeypatch) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    """The bits of a convolution may depend on the number of patches."""
    layers, sizes = layers_of(), list[int]()
    maps = layers.network.maps
    monkeypatch.setattr(layers.network, "maps", lambda x_BCHW: (sizes.append(len(x_BCHW)), maps(x_BCHW))[1])
    with torch.inference_mode():
        blended_patches(layers, ENCODING.physical(random_dn(np.random.default_rng(0), 64, 64)), 16, 8, 8)
    assert sizes == [BATCH_PATCHES] * -(-49 // BATCH_PATCHES)
