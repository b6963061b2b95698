"""The classifier of patches as one torch module."""

from __future__ import annotations

import torch

from cropcam.model.data.normalization import Normalization, standardise
from cropcam.model.inference.export import _random_dn
from cropcam.model.inference.patch_program import PatchProgram
from support.map_runs import make_config, random_network


def test_the_module_takes_stored_values_and_ignores_pixels_without_data() -> None:
    program, dn = PatchProgram(random_network(), make_config()).eval(), _random_dn(make_config(), (2, 3, 16, 16))
    with torch.no_grad():
        logits, maps = program(dn)
        x, valid = standardise(dn, Normalization.of(make_config(), "cpu"))
        expected = program.network(x, valid)
    assert dn.dtype == torch.uint16
    torch.testing.assert_close(valid, (dn.int() != 0).all(dim=1))
    torch.testing.assert_close(logits, expected.logits_BK)
    assert maps.shape == (2, 5, 16, 16)
