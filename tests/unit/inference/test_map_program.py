"""The map as one torch module: the pixels of the predictor, whatever network, method, size and stored type."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.special import softmax

from cropcam.model.inference.map_program import MapProgram
from cropcam.model.inference.predictor import Predictor
from cropcam.model.segmentation.methods import Method, unfitted
from cropcam.pipeline.encoding import BandEncoding
from cropcam.pipeline.grid import Window
from cropcam.pipeline.maps.windows import highest, read_block
from support.map_runs import AFFINE, OF_PATCHES, SPECTRA, as_trained, make_config, random_dn
from support.memory_source import LEGEND, Memory

RAW = unfitted([0.0] * len(LEGEND))["cam-argmax"]


def mapped(predictor: Predictor, dn_CYX: npt.NDArray[np.uint16]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Probabilities and classes of the whole raster in one block."""
    logits_KYX = predictor(read_block(Memory(dn_CYX), Window(0, 0, *dn_CYX.shape[1:]), predictor.halo_px)).logits_KYX
    valid_YX = (dn_CYX != 0).reshape(predictor.config.seasons, -1, *dn_CYX.shape[1:]).all(axis=1).any(axis=0)
    return np.where(valid_YX, softmax(logits_KYX, axis=0), np.nan), np.where(valid_YX, highest(logits_KYX), 255)


@pytest.mark.parametrize(
    ("model", "method", "size_px", "shape"),
    [
        ("fcn", SPECTRA, 16, (53, 47)),
        ("fcn", SPECTRA, 15, (30, 7)),
        ("fcn", AFFINE, 16, (5, 64)),
        ("unet", AFFINE, 16, (41, 33)),
        ("unet", RAW, 16, (8, 8)),
        ("baseline", RAW, 16, (37, 21)),
        ("linear", RAW, 16, (9, 12)),
        ("fcn-time", AFFINE, 16, (31, 18)),
        (OF_PATCHES, RAW, 16, (45, 32)),
        (OF_PATCHES, AFFINE, 15, (33, 52)),
    ],
)
def test_the_program_is_the_map(model: str, method: Method, size_px: int, shape: tuple[int, int]) -> None:
    config = make_config(size_px, model=model)
    predictor = Predictor(config, as_trained(config).state_dict(), method, "cpu")
    dn_CYX = random_dn(np.random.default_rng(size_px), *shape, nodata_share=0.3)
    dn_CYX[0, shape[0] // 2, shape[1] // 2 :] = 0  # one band alone is missing
    with torch.inference_mode():
        probability_BKYX, class_BYX = MapProgram(predictor)(torch.from_numpy(dn_CYX)[None])
    expected_KYX, expected_YX = mapped(predictor, dn_CYX)
    assert (class_BYX.dtype, probability_BKYX.dtype) == (torch.uint8, torch.float32)
    np.testing.assert_allclose(probability_BKYX[0], expected_KYX, atol=2e-5)
    np.testing.assert_array_equal(class_BYX[0], expected_YX)
    assert len(np.unique(expected_YX)) > 2


def test_rasters_of_a_batch_do_not_depend_on_each_other() -> None:
    config = make_config(16, model="fcn")
    program = MapProgram(Predictor(config, as_trained(config).state_dict(), SPECTRA, "cpu"))
    dn = torch.from_numpy(np.stack([random_dn(np.random.default_rng(seed), 20, 26, nodata_share=0.2 * seed) for seed in range(3)]))
    with torch.inference_mode():
        together, apart = program(dn), [program(one[None]) for one in dn]
    torch.testing.assert_close(together[0], torch.cat([each[0] for each in apart]), equal_nan=True)
    assert torch.equal(together[1], torch.cat([each[1] for each in apart]))


def test_a_window_with_its_halo_has_the_pixels_of_the_map() -> None:
    config = make_config(16, model="unet")
    program = MapProgram(Predictor(config, as_trained(config).state_dict(), AFFINE, "cpu"))
    dn = torch.from_numpy(random_dn(np.random.default_rng(5), 160, 152))[None]
    halo = program.halo_px
    assert halo % program.step_px == 0
    with torch.inference_mode():
        whole = program(dn)[0][..., halo:72, halo:80]
        window = program(dn[..., : 72 + halo, : 80 + halo])[0][..., halo:72, halo:80]
    torch.testing.assert_close(whole, window)


def test_stored_values_of_bands_with_their_own_scale_and_nodata() -> None:
    encoding = BandEncoding("int16", (0.0001, 0.001, 1e-4), (0.0, -1.0, 0.0), (-9999.0, 0.0, None))
    config = make_config(16, model="fcn")
    config = replace(config, store=replace(config.store, encoding=encoding))
    program = MapProgram(Predictor(config, as_trained(config).state_dict(), RAW, "cpu"))
    physical = 0.2 + 0.1 * np.random.default_rng(1).normal(size=(3, 12, 9))
    stored = np.rint((physical - np.array(encoding.offset)[:, None, None]) / np.array(encoding.scale)[:, None, None]).astype(np.int16)
    stored[0, 2, 3], stored[1, 4, 5], stored[2, 6, 7] = -9999, 0, -9999
    with torch.inference_mode():
        values = program._physical(torch.from_numpy(stored)[None])[0].numpy()
        classes = program(torch.from_numpy(stored)[None])[1][0].numpy()
    np.testing.assert_array_equal(values, encoding.physical(stored))
    assert np.argwhere(classes == 255).tolist() == [[2, 3], [4, 5]]  # the third band has no nodata value
