"""Layers of one forward pass."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cropcam.model.data.normalization import Normalization, physical_encoding, standardise
from cropcam.model.inference.layers import Layers
from cropcam.model.networks.cam import pixel_scores
from cropcam.model.segmentation.methods import Method
from cropcam.model.transfer.class_distance import ClassDistance
from cropcam.model.transfer.pixels import distance_map
from cropcam.model.transfer.tally import Limits
from support.map_runs import ENCODING, as_trained, make_config, random_dn
from support.memory_source import LEGEND

CLASSES = len(LEGEND)
METHOD = Method(
    "spectral",
    (1.0, 0.5, 2.0, 1.0, 1.0),
    (0.1, -0.3, 0.0, 0.2, 0.4),
    mean_KC=tuple((float(k), -0.5 * k, 0.3) for k in range(CLASSES)),
    cov_CC=((1.0, 0.2, 0.0), (0.2, 0.5, 0.1), (0.0, 0.1, 2.0)),
    temperature=1.7,
)


@pytest.mark.parametrize("refine", [False, True])
@pytest.mark.parametrize("distance", [False, True])
@pytest.mark.parametrize("activations", [False, True])
def test_layers_come_in_their_order(refine: bool, distance: bool, activations: bool) -> None:
    config = make_config(16, model="fcn")
    network, normalization = as_trained(config), Normalization.of(config, "cpu", physical_encoding(len(ENCODING)))
    nowhere = np.zeros((CLASSES, len(ENCODING)))
    fitted = ClassDistance.fit(np.random.default_rng(0).normal(size=(200, 48)).astype(np.float32), np.zeros(200, np.int64))
    limits = Limits(nowhere[0], nowhere[0], nowhere, nowhere, fitted, 2.5, 0.5)
    layers = Layers(network, METHOD, normalization, limits if distance else None, activations)
    values = torch.from_numpy(ENCODING.physical(np.stack([random_dn(np.random.default_rng(seed), 16, 16, 0.3) for seed in range(2)])))
    with torch.inference_mode():
        found = layers(values, refine=refine)
        x_BCYX, valid_BYX = standardise(values, normalization)
        cams_BKYX = pixel_scores(network, x_BCYX)[1]
        logits = METHOD.logits(cams_BKYX, x_BCYX, valid_BYX) if refine else METHOD.affine(cams_BKYX)
        expected = [logits]
        if activations:
            expected.append(cams_BKYX + network.dense.bias[:, None, None])
        if distance:
            expected.append(distance_map(network, network.maps(x_BCYX), fitted, 16, 16)[:, None] / 2.5)
        assert layers.classes == CLASSES
        assert layers.count == found.layers_BLYX.shape[1] == CLASSES * (1 + activations) + distance
        torch.testing.assert_close(found.layers_BLYX, torch.cat(expected, dim=1), rtol=1e-4, atol=1e-4)
        assert torch.equal(found.x_BCYX, x_BCYX)
        assert torch.equal(found.valid_BYX, valid_BYX)
        torch.testing.assert_close(found.maps_BFyx, network.maps(x_BCYX), rtol=1e-4, atol=1e-4)
