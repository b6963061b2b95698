"""Logits of blocks against independent ones of the whole raster, and the block leaves no trace."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from cropcam.model.data.normalization import Normalization, physical_encoding, standardise
from cropcam.model.inference.patches import BATCH_PATCHES
from cropcam.model.inference.predictor import Predictor
from cropcam.model.inference.sliding_window import SlidingWindow, tent
from cropcam.model.networks import Network
from cropcam.model.networks.cam import pixel_maps, pixel_scores
from cropcam.model.segmentation.methods import Method, unfitted
from cropcam.model.segmentation.spectral import LIKELIHOOD_WEIGHT, PRIOR_WEIGHT, SHRINKAGE_PIXELS
from cropcam.model.transfer.class_distance import ClassDistance
from cropcam.model.transfer.pixels import FEATURES
from cropcam.model.transfer.tally import Limits
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import Window, tiles
from cropcam.pipeline.maps.smoothing import smoothed
from cropcam.pipeline.maps.windows import Scores, has_data, read_block
from support.map_runs import AFFINE, ENCODING, OF_PATCHES, SPECTRA, as_trained, make_config, random_dn, random_network, sign_network
from support.memory_source import LEGEND, Memory

Floats = npt.NDArray[np.floating[Any]]
CLASSES = len(LEGEND)
RAW = unfitted([0.0] * CLASSES)["cam-argmax"]
CONVOLUTIONAL = ("fcn", "unet", "baseline", "linear", "fcn-time")


@pytest.fixture(autouse=True)
def _one_core() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_predictor(size_px: int = 16, network: Network | None = None, method: Method = RAW, model: str = "baseline") -> Predictor:
    config = make_config(size_px, model=model)
    return Predictor(config, (network or as_trained(config)).state_dict(), method, "cpu")


def standardised(predictor: Predictor, physical_CYX: Floats) -> tuple[torch.Tensor, torch.Tensor]:
    normalization = Normalization.of(predictor.config, "cpu", physical_encoding(len(ENCODING)))  # maps are of physical values
    return standardise(torch.from_numpy(physical_CYX.astype(np.float32))[None], normalization)


def by_blocks(predictor: Predictor, dn_CYX: npt.NDArray[np.uint16], block_px: int) -> list[tuple[Window, Scores]]:
    """Scores of the whole raster, block by block."""
    windows = tiles((dn_CYX.shape[1], dn_CYX.shape[2]), (block_px, block_px))
    return [(window, predictor(read_block(Memory(dn_CYX), window, predictor.halo_px))) for window in windows]


def wall_to_wall(predictor: Predictor, dn_CYX: npt.NDArray[np.uint16], block_px: int) -> npt.NDArray[np.float32]:
    """Logits of the whole raster, block by block."""
    logits = np.full((len(predictor.config.store.classes), *dn_CYX.shape[1:]), np.nan, np.float32)
    for window, scores in by_blocks(predictor, dn_CYX, block_px):
        assert scores.logits_KYX.dtype == np.float32
        logits[:, *window.slices] = scores.logits_KYX
    return logits


def at_once(predictor: Predictor, dn_CYX: npt.NDArray[np.uint16]) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """Affine logits of the network, batch norms and all, in double precision, applied to the whole raster with nodata around it; bands; valid pixels."""
    network = predictor.config.new_network()
    network.load_state_dict(predictor.weights)
    network = network.eval().double()
    _, height, width = dn_CYX.shape
    margin = 48  # a multiple of every `align_px`, and no smaller than any context
    more = [(margin, margin + -length % 8) for length in (height, width)]
    x_1CYX, valid_1YX = standardised(predictor, np.pad(ENCODING.physical(dn_CYX), ((0, 0), *more), constant_values=np.nan))
    with torch.inference_mode():
        cams_1KYX = pixel_maps(network, network.maps(x_1CYX.double()), *x_1CYX.shape[2:])
    inner = np.s_[0, ..., margin : margin + height, margin : margin + width]
    method = predictor.method
    scale_K11, offset_K11 = (np.array(values)[:, None, None] for values in (method.scale_K, method.offset_K))
    return cams_1KYX[inner].numpy() * scale_K11 + offset_K11, x_1CYX[inner].double().numpy(), valid_1YX[inner].numpy()


def refined(method: Method, logits_KYX: Floats, x_CYX: Floats, valid_YX: npt.NDArray[np.bool_], size_px: int) -> Floats:
    """The spectral refinement as the modules describe it, with loops: patches half their size apart, each pixel's corrections with a tent weight."""
    log_KYX = log_softmax(logits_KYX, axis=0)
    class_YX = log_KYX.argmax(axis=0)
    _, height, width = log_KYX.shape
    boundary_YX = np.zeros((height, width), bool)
    for y, x in np.argwhere(valid_YX):
        near = np.s_[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
        boundary_YX[y, x] = (class_YX[near][valid_YX[near]] != class_YX[y, x]).any()
    cell = max(size_px // 2, 1)
    change_KYX, weight_YX = np.zeros_like(log_KYX), np.zeros((height, width))
    for top in range(-cell, height, cell):
        for left in range(-cell, width, cell):
            rows, cols = range(max(top, 0), min(top + 2 * cell, height)), range(max(left, 0), min(left + 2 * cell, width))
            here = np.s_[rows.start : rows.stop, cols.start : cols.stop]
            valid, x_CP = valid_YX[here], x_CYX[:, *here]
            share_K = np.exp(log_KYX[:, *here])[:, valid].sum(axis=1) / max(valid.sum(), 1)
            tent_YX = np.array(
                [
                    [min(y - top + 0.5, top + 2 * cell - y - 0.5) * min(x - left + 0.5, left + 2 * cell - x - 0.5) / cell**2 for x in cols]
                    for y in rows
                ]
            )
            weight_YX[here] += tent_YX
            for k in range(len(log_KYX)):
                members_CP = x_CP[:, valid & ~boundary_YX[here] & (class_YX[here] == k)]
                mean_C = (members_CP.sum(axis=1) + SHRINKAGE_PIXELS * np.array(method.mean_KC[k])) / (
                    members_CP.shape[1] + SHRINKAGE_PIXELS
                )
                w_C = np.linalg.solve(np.array(method.cov_CC).T, mean_C)
                prior = np.log(max(share_K[k], 1e-4))
                likelihood_YX = np.einsum("c,cyx->yx", w_C, x_CP) - w_C @ mean_C / 2
                change_KYX[k][here] += tent_YX * (LIKELIHOOD_WEIGHT * likelihood_YX + PRIOR_WEIGHT * prior)
    np.testing.assert_allclose(weight_YX, 1, rtol=1e-12)
    return log_KYX + np.where(boundary_YX, change_KYX, 0)


def gaps(logits_KYX: Floats) -> Floats:
    """How far the highest logit of each pixel lies above the next."""
    ordered_KYX = np.sort(logits_KYX, axis=0)
    return ordered_KYX[-1] - ordered_KYX[-2]


def blocks_of(predictor: Predictor, steps: int) -> int:
    return max(steps, 1) * predictor.step_px


NETWORKS = st.sampled_from([model for model in CONVOLUTIONAL if model != "unet"])
SIZES = {
    "height": st.integers(1, 45),
    "width": st.integers(1, 45),
    "nodata_share": st.sampled_from([0.0, 0.5, 0.9]),
    "seed": st.integers(0, 99),
}


@settings(max_examples=40)
@given(**SIZES, model=NETWORKS, method=st.sampled_from([RAW, AFFINE]), steps=st.integers(4, 30))
def test_logits_are_those_of_the_network_over_the_whole_raster(
    height: int, width: int, nodata_share: float, seed: int, model: str, method: Method, steps: int
) -> None:
    predictor = make_predictor(16, method=method, model=model)
    dn = random_dn(np.random.default_rng(seed), height, width, nodata_share)
    expected, _, valid = at_once(predictor, dn)
    found = wall_to_wall(predictor, dn, blocks_of(predictor, steps)) * method.temperature
    np.testing.assert_array_equal(valid, has_data(ENCODING.physical(dn), predictor.config.seasons))
    np.testing.assert_allclose(found[:, valid], expected[:, valid], rtol=0, atol=1e-4 * max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize(("height", "width", "steps"), [(33, 20, 2), (8, 50, 9)])
def test_logits_of_the_unet_are_those_of_the_whole_raster(height: int, width: int, steps: int) -> None:
    predictor = make_predictor(16, method=AFFINE, model="unet")
    dn = random_dn(np.random.default_rng(1), height, width, 0.4)
    expected, _, valid = at_once(predictor, dn)
    found = wall_to_wall(predictor, dn, blocks_of(predictor, steps)) * AFFINE.temperature
    np.testing.assert_allclose(found[:, valid], expected[:, valid], rtol=0, atol=1e-4 * np.abs(expected).max())


@settings(max_examples=25)
@given(**SIZES, model=NETWORKS, size_px=st.sampled_from([5, 8, 9, 16, 21]), steps=st.integers(1, 6))
def test_refined_logits_are_those_of_the_loops(
    height: int, width: int, nodata_share: float, seed: int, model: str, size_px: int, steps: int
) -> None:
    predictor = make_predictor(size_px, method=SPECTRA, model=model)
    dn = random_dn(np.random.default_rng(seed), height, width, nodata_share)
    logits, x_CYX, valid = at_once(predictor, dn)
    assume(is_decided(predictor, dn))
    expected = log_softmax(refined(SPECTRA, logits, x_CYX, valid, size_px) / SPECTRA.temperature, axis=0)
    found = log_softmax(wall_to_wall(predictor, dn, blocks_of(predictor, steps * 8 // size_px + 1)), axis=0)
    np.testing.assert_allclose(found[:, valid], expected[:, valid], rtol=0, atol=1e-4 * max(1.0, np.abs(expected).max()))


@settings(max_examples=40)
@given(
    **SIZES,
    model=NETWORKS,
    size_px=st.sampled_from([8, 9, 16, 21]),
    steps=st.integers(2, 30),
    method=st.sampled_from([RAW, AFFINE, SPECTRA]),
    smoothness=st.sampled_from([0.0, 10.0]),
)
def test_the_block_leaves_no_trace_in_the_probabilities(
    height: int, width: int, nodata_share: float, seed: int, model: str, size_px: int, steps: int, method: Method, smoothness: float
) -> None:
    predictor = replace(make_predictor(size_px, method=method, model=model), smoothness=smoothness)
    dn = random_dn(np.random.default_rng(seed), height, width, nodata_share)
    assume(is_decided(predictor, dn))
    check_blocks(predictor, dn, steps)


@pytest.mark.parametrize("smoothness", [0.0, 10.0])
@pytest.mark.parametrize("method", [RAW, SPECTRA], ids=["raw", "spectra"])
def test_the_block_leaves_no_trace_in_those_of_the_unet(method: Method, smoothness: float) -> None:
    predictor = replace(make_predictor(9, method=method, model="unet"), smoothness=smoothness)
    dn = random_dn(np.random.default_rng(2), 37, 50, 0.3)
    assert is_decided(predictor, dn)
    check_blocks(predictor, dn, 2)


def is_decided(predictor: Predictor, dn_CYX: npt.NDArray[np.uint16]) -> bool:
    """Whether no pixel has two highest logits so near each other that rounding decides where a border is, which spectra go by."""
    logits_KYX, _, valid = at_once(predictor, dn_CYX)
    return not predictor.method.mean_KC or bool((gaps(logits_KYX)[valid] > 1e-4).all())


def check_blocks(predictor: Predictor, dn_CYX: npt.NDArray[np.uint16], steps: int) -> None:
    valid = has_data(ENCODING.physical(dn_CYX), predictor.config.seasons)
    whole, blocks = (
        softmax(wall_to_wall(predictor, dn_CYX, px).astype(float), axis=0) for px in (1000 * predictor.step_px, blocks_of(predictor, steps))
    )
    np.testing.assert_allclose(blocks[:, valid], whole[:, valid], rtol=0, atol=1e-5)
    differ = (blocks.argmax(axis=0) != whole.argmax(axis=0)) & valid
    assert gaps(whole)[differ].max(initial=0) < 1e-5


@settings(max_examples=10)
@given(**SIZES, model=NETWORKS, method=st.sampled_from([RAW, AFFINE]))
def test_smoothing_is_that_of_the_whole_raster(height: int, width: int, nodata_share: float, seed: int, model: str, method: Method) -> None:
    predictor = make_predictor(16, method=method, model=model)
    dn = random_dn(np.random.default_rng(seed), height, width, nodata_share)
    valid = has_data(ENCODING.physical(dn), predictor.config.seasons)
    expected = smoothed(wall_to_wall(predictor, dn, 1000 * predictor.step_px), valid, 10.0)
    found = wall_to_wall(replace(predictor, smoothness=10.0), dn, 3 * predictor.step_px + 16)
    np.testing.assert_allclose(softmax(found, axis=0)[:, valid], softmax(expected, axis=0)[:, valid], rtol=0, atol=1e-5)


def patch_by_patch(predictor: Predictor, dn_CYX: npt.NDArray[np.uint16]) -> Floats:
    """One patch after the other over the whole raster, each on its own."""
    config, size, stride = predictor.config, predictor.config.store.size_px, predictor.config.store.size_px // 2
    _, height, width = dn_CYX.shape
    margin = 4 * stride
    padded = np.pad(dn_CYX, ((0, 0), (margin, margin), (margin, margin)))
    total, weights = np.zeros((len(config.store.classes), *padded.shape[1:])), np.zeros(padded.shape[1:])
    side = [min(i + 0.5, size - i - 0.5) for i in range(size)]
    tent_YX = np.outer(side, side)
    for row in range(0, padded.shape[1] - size, stride):
        for col in range(0, padded.shape[2] - size, stride):
            patch = padded[:, row : row + size, col : col + size]
            if not (patch != 0).all(axis=0).any():
                continue
            x, valid = standardised(predictor, ENCODING.physical(patch))
            scores = predictor.method.logits(alone(predictor, x), x, valid)[0].numpy()
            total[:, row : row + size, col : col + size] += scores * tent_YX
            weights[row : row + size, col : col + size] += tent_YX
    inner = np.s_[margin : margin + height, margin : margin + width]
    return total[:, *inner] / np.maximum(weights[inner], 1e-30)


def alone(predictor: Predictor, x_1CYX: torch.Tensor) -> torch.Tensor:
    """Activation maps of one patch in double precision; for spectra in the product's own bits: where two classes score alike, rounding decides where a border is."""
    if predictor.method.mean_KC:
        x_BCYX = x_1CYX.expand(BATCH_PATCHES, -1, -1, -1).contiguous(memory_format=torch.channels_last)
        return pixel_scores(predictor.network, x_BCYX)[1][:1]
    cams = pixel_scores(predictor.network.double(), x_1CYX.double())[1]
    predictor.network.float()
    return cams


PATCHES = {
    "height": st.integers(1, 60),
    "width": st.integers(1, 60),
    "size_px": st.sampled_from([8, 9, 16, 21]),
    "method": st.sampled_from([RAW, SPECTRA]),
    "seed": st.integers(0, 99),
}


@settings(max_examples=15)
@given(**PATCHES, nodata_share=st.sampled_from([0.0, 0.5, 0.9]))
def test_of_patches_logits_are_those_of_the_plain_loop(
    height: int, width: int, size_px: int, method: Method, seed: int, nodata_share: float
) -> None:
    predictor = make_predictor(size_px, method=method, model=OF_PATCHES)
    dn = random_dn(np.random.default_rng(seed), height, width, nodata_share)
    expected = patch_by_patch(predictor, dn)
    found = wall_to_wall(predictor, dn, 4 * (size_px // 2))
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 * max(1.0, np.abs(expected).max()))


@settings(max_examples=20)
@given(**PATCHES, strides=st.integers(2, 6), smoothness=st.sampled_from([0.0, 10.0]))
def test_of_patches_the_block_leaves_no_trace_in_any_bit(
    height: int, width: int, size_px: int, method: Method, seed: int, strides: int, smoothness: float
) -> None:
    predictor = replace(make_predictor(size_px, method=method, model=OF_PATCHES), smoothness=smoothness)
    dn = random_dn(np.random.default_rng(seed), height, width, 0.3)
    whole = wall_to_wall(predictor, dn, 200 * predictor.step_px)
    blocks = wall_to_wall(predictor, dn, strides * predictor.step_px)
    valid = (dn != 0).all(axis=0)
    assert whole[:, valid].tobytes() == blocks[:, valid].tobytes()


def test_of_patches_the_resnet_too() -> None:
    predictor = make_predictor(8, model="resnet50")
    dn = random_dn(np.random.default_rng(0), 9, 14, 0.4)
    expected = patch_by_patch(predictor, dn)
    np.testing.assert_allclose(wall_to_wall(predictor, dn, 8), expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_a_lone_patch_has_the_scores_it_is_evaluated_with() -> None:
    """With nodata around it on the lattice, the middle of a patch is governed by that patch alone."""
    predictor = make_predictor(50, model=OF_PATCHES)
    dn = random_dn(np.random.default_rng(1), 50, 50)
    x, _ = standardise(torch.from_numpy(dn[None]), Normalization.of(predictor.config, "cpu"))
    its_own = pixel_scores(predictor.network, x)[1][0].numpy()
    lattice = SlidingWindow.over(read_block(Memory(dn), Window(0, 0, 50, 50), 25), 50, 25, 25)
    corners, patches = lattice.batch(0, len(lattice))
    np.testing.assert_array_equal(patches[corners.index((25, 25))], ENCODING.physical(dn))
    logits = wall_to_wall(predictor, dn, 50)
    assert tent(50)[24, 24] > 0.95
    assert np.abs(logits - its_own)[:, 24:26, 24:26].max() < 0.1 * np.abs(its_own).max()


@pytest.mark.parametrize("model", ["fcn", "baseline"])
def test_a_patch_in_the_middle_of_a_raster_has_the_activations_it_is_evaluated_with(model: str) -> None:
    """Away from the patch's edge, whose padding is not the raster: the same maps as in an evaluation."""
    predictor = make_predictor(48, model=model)
    dn = random_dn(np.random.default_rng(1), 96, 96)
    x, _ = standardised(predictor, ENCODING.physical(dn[:, 24:72, 24:72]))
    its_own = pixel_scores(predictor.network, x)[1][0].numpy()
    found = wall_to_wall(predictor, dn, 96)[:, 24:72, 24:72]
    inside = np.s_[:, 16:-16, 16:-16]
    np.testing.assert_allclose(found[inside], its_own[inside], rtol=0, atol=1e-5 * np.abs(its_own).max())


def test_a_known_network_maps_fields_exactly_up_to_their_edges() -> None:
    predictor = make_predictor(16, sign_network())
    low, high = 8_000, 16_000  # reflectance 0.02 and 0.24 about a mean of 0.1
    truth = np.kron(np.random.default_rng(0).integers(1, 3, (3, 4)), np.ones((40, 40), int))
    dn = np.stack([np.where(truth == 1, high, low), *np.full((2, *truth.shape), 12_000)]).astype(np.uint16)
    found = wall_to_wall(predictor, dn, 80).argmax(axis=0)
    inside = np.zeros((40, 40), bool)
    inside[6:-6, 6:-6] = True  # a map cell is 4 px wide, the way from one cell's centre to the next as well
    inside = np.tile(inside, (3, 4))
    np.testing.assert_array_equal(found[inside], truth[inside])
    assert (found == truth).mean() > 0.9


@pytest.mark.parametrize("model", [*CONVOLUTIONAL, OF_PATCHES])
def test_a_block_without_data_is_no_failure(model: str) -> None:
    predictor = replace(make_predictor(8, model=model, method=SPECTRA), smoothness=10.0)
    side = 8 + 2 * predictor.halo_px
    scores = predictor(np.full((len(ENCODING), side, side), np.nan, np.float32))
    assert scores.logits_KYX.shape == (CLASSES, 8, 8)


@pytest.mark.parametrize("model", ["baseline", OF_PATCHES])
def test_a_predictor_travels_without_its_network(model: str) -> None:
    predictor = make_predictor(model=model)
    block = ENCODING.physical(random_dn(np.random.default_rng(0), 48 + 2 * predictor.halo_px, 48 + 2 * predictor.halo_px))
    before = predictor(block).logits_KYX
    packed = pickle.dumps(predictor)
    assert len(packed) < 1.1 * sum(tensor.numel() * 4 for tensor in predictor.weights.values()) + 50_000
    again = pickle.loads(packed)  # noqa: S301 - our own bytes
    assert not {"network", "layers"} & vars(again).keys()
    np.testing.assert_array_equal(again(block).logits_KYX, before)


@pytest.mark.parametrize("method", [RAW, SPECTRA], ids=["raw", "spectra"])
@pytest.mark.parametrize("model", ["baseline", "fcn", OF_PATCHES])
def test_diverged_weights_are_said_to_be_so(model: str, method: Method) -> None:
    predictor = make_predictor(model=model, method=method)
    predictor.weights["dense.weight"][0, 0] = torch.nan
    side = 16 + 2 * predictor.halo_px
    with pytest.raises(DataError, match=r"are not finite: its training diverged; train again with a lower --lr$"):
        predictor(ENCODING.physical(random_dn(np.random.default_rng(0), side, side)))


def limits(features: int, far: float = 2.0) -> Limits:
    feature_PD = np.random.default_rng(0).normal(size=(100, features)).astype(np.float32)
    nowhere = np.zeros((CLASSES, len(ENCODING)))
    distance = ClassDistance.fit(feature_PD, np.zeros(100, np.int64))
    return Limits(nowhere[0], nowhere[0], nowhere, nowhere, distance, far, 0.5)


@pytest.mark.parametrize("method", [RAW, SPECTRA], ids=["raw", "spectra"])
@pytest.mark.parametrize("model", ["baseline", "fcn", OF_PATCHES])
def test_layers_beside_the_logits_leave_no_trace_in_them(model: str, method: Method) -> None:
    predictor = make_predictor(model=model, method=method)
    dn = random_dn(np.random.default_rng(0), 40, 56, 0.2)
    bias_K11 = predictor.weights["dense.bias"].numpy()[:, None, None]
    features = min(predictor.network.dense.in_features, FEATURES)
    with_all = replace(predictor, distance=limits(features), activations=True)
    cams = wall_to_wall(replace(predictor, method=RAW), dn, 1000 * predictor.step_px)
    for (window, plain), (_, found) in zip(*(by_blocks(each, dn, 3 * predictor.step_px) for each in (predictor, with_all)), strict=True):
        assert plain.logits_KYX.tobytes() == found.logits_KYX.tobytes()
        assert (plain.activations_KYX, plain.layer_YX, plain.unshifted_KYX) == (None, None, None)
        assert found.activations_KYX is not None
        assert found.layer_YX is not None
        valid = (dn[:, *window.slices] != 0).all(axis=0)
        np.testing.assert_allclose(found.activations_KYX[:, valid], (cams[:, *window.slices] + bias_K11)[:, valid], rtol=0, atol=1e-4)
        assert (found.layer_YX[valid] > 0).all()
        assert found.layer_YX.shape == (window.height, window.width)
    twice_as_far = by_blocks(replace(with_all, distance=limits(features, 4.0)), dn, 1000 * predictor.step_px)[0][1].layer_YX
    once = by_blocks(with_all, dn, 1000 * predictor.step_px)[0][1].layer_YX
    assert twice_as_far is not None
    valid = (dn != 0).all(axis=0)
    np.testing.assert_allclose(twice_as_far[valid] * 2, once[valid], rtol=1e-5)


@pytest.mark.parametrize("smoothness", [0.0, 10.0])
@pytest.mark.parametrize("model", ["fcn", OF_PATCHES])
def test_a_shift_is_added_before_smoothing_and_the_logits_without_it_are_kept(model: str, smoothness: float) -> None:
    predictor = replace(make_predictor(model=model, method=SPECTRA), smoothness=smoothness)
    offset = (0.5, -1.0, 0.0, float("-inf"), 2.0)
    dn = random_dn(np.random.default_rng(0), 40, 48)
    plain_KYX = wall_to_wall(predictor, dn, 48)
    raw_KYX = wall_to_wall(replace(predictor, smoothness=0.0), dn, 48)
    shifted_KYX = raw_KYX + np.array(offset, np.float32)[:, None, None]
    expected_KYX = smoothed(shifted_KYX, np.ones((40, 48), bool), smoothness) if smoothness else shifted_KYX
    for window, scores in by_blocks(replace(predictor, offset_K=offset), dn, 48):
        assert scores.unshifted_KYX is not None
        np.testing.assert_array_equal(scores.unshifted_KYX, plain_KYX[:, *window.slices])
        found = softmax(scores.logits_KYX, axis=0)
        np.testing.assert_allclose(found, softmax(expected_KYX[:, *window.slices], axis=0), rtol=0, atol=1e-5)
        assert found[3].max() < 1e-6


@pytest.mark.parametrize("size_px", [8, 9, 50])
@pytest.mark.parametrize("model", [*CONVOLUTIONAL, OF_PATCHES])
def test_blocks_begin_where_the_network_and_the_cells_allow(model: str, size_px: int) -> None:
    predictor = make_predictor(size_px, model=model, method=SPECTRA)
    half, align = size_px // 2, predictor.network.align_px
    assert predictor.step_px % half == 0
    assert predictor.step_px % align == 0
    assert predictor.halo_px % align == 0
    plain = make_predictor(size_px, model=model)
    if model == OF_PATCHES:
        assert plain.halo_px == predictor.halo_px == (size_px - 1) // half * half
    else:
        assert plain.step_px == align
        assert plain.halo_px == -(-(plain.network.context_px or 0) // align) * align
        assert predictor.halo_px >= plain.halo_px + half + 1


def test_random_networks_of_other_tests_are_those_of_the_configuration() -> None:
    assert random_network().state_dict().keys() == make_config().new_network().state_dict().keys()
