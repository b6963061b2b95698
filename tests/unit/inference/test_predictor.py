from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cropcam.model.data.normalization import Normalization, physical_encoding, standardise
from cropcam.model.inference.predictor import BATCH_PATCHES, Predictor
from cropcam.model.inference.sliding_window import SlidingWindow, tent
from cropcam.model.networks import Network
from cropcam.model.networks.cam import pixel_scores
from cropcam.model.segmentation.methods import Method, unfitted
from cropcam.model.transfer.class_distance import ClassDistance
from cropcam.model.transfer.tally import Limits, Tally
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import Window, tiles
from cropcam.pipeline.maps.windows import read_block
from support.map_runs import ENCODING, make_config, random_dn, random_network, sign_network
from support.memory_source import LEGEND, Memory


@pytest.fixture(autouse=True)
def _one_core() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # as a map does
    yield
    torch.set_num_threads(before)


NORMALIZATION = Normalization.of(make_config(), "cpu", physical_encoding(len(ENCODING)))  # maps are of physical values
RAW = unfitted([0.0] * len(LEGEND))["cam-argmax"]


CLASSES = len(LEGEND)
SPECTRA = Method(
    "spectral",
    (1.0,) * CLASSES,
    (0.0,) * CLASSES,
    mean_KC=tuple((float(k), -0.5 * k, 0.3) for k in range(CLASSES)),
    cov_CC=((1.0, 0.2, 0.0), (0.2, 0.5, 0.1), (0.0, 0.1, 2.0)),
)


def make_predictor(size_px: int = 16, network: Network | None = None, method: Method = RAW) -> Predictor:
    return Predictor(make_config(size_px), (network or random_network()).state_dict(), method, "cpu")


def wall_to_wall(predictor: Predictor, dn_CYX: npt.NDArray[np.uint16], block_px: int) -> npt.NDArray[np.float32]:
    """Scores of the whole raster, block by block."""
    scores = np.full((len(predictor.config.store.classes), *dn_CYX.shape[1:]), np.nan, np.float32)
    for window in tiles((dn_CYX.shape[1], dn_CYX.shape[2]), (block_px, block_px)):
        scores[:, *window.slices] = predictor(read_block(Memory(dn_CYX), window, predictor.halo_px))
    return scores


def alone(predictor: Predictor, x_1CYX: torch.Tensor) -> torch.Tensor:
    """Activation maps of one patch in double precision; for spectra in the product's own bits: where two classes score alike, rounding decides where a border is."""
    if predictor.method.mean_KC:
        x_BCYX = x_1CYX.expand(BATCH_PATCHES, -1, -1, -1).contiguous(memory_format=torch.channels_last)
        return pixel_scores(predictor.network, x_BCYX)[1][:1]
    cams = pixel_scores(predictor.network.double(), x_1CYX.double())[1]
    predictor.network.float()
    return cams


def oracle(predictor: Predictor, dn_CYX: npt.NDArray[np.uint16]) -> npt.NDArray[np.float64]:
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
            x, valid = standardise(torch.from_numpy(ENCODING.physical(patch)[None]), NORMALIZATION)
            cams = alone(predictor, x)
            scores = predictor.method.logits(cams, x, valid)[0].numpy()
            total[:, row : row + size, col : col + size] += scores * tent_YX
            weights[row : row + size, col : col + size] += tent_YX
    inner = np.s_[margin : margin + height, margin : margin + width]
    return total[:, *inner] / np.maximum(weights[inner], 1e-30)


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    size_px=st.sampled_from([8, 9, 16, 21]),
    nodata_share=st.sampled_from([0.0, 0.5, 0.9]),
    method=st.sampled_from([RAW, SPECTRA]),
    seed=st.integers(0, 99),
)
def test_scores_are_those_of_the_plain_loop(height: int, width: int, size_px: int, nodata_share: float, method: Method, seed: int) -> None:
    predictor = make_predictor(size_px, method=method)
    dn = random_dn(np.random.default_rng(seed), height, width, nodata_share)
    expected = oracle(predictor, dn)
    found = wall_to_wall(predictor, dn, 4 * (size_px // 2))
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 * max(1.0, np.abs(expected).max()))


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    size_px=st.sampled_from([8, 9, 16, 21]),
    strides=st.integers(2, 6),
    method=st.sampled_from([RAW, SPECTRA]),
    seed=st.integers(0, 99),
)
def test_the_window_size_leaves_no_trace_in_any_bit(height: int, width: int, size_px: int, strides: int, method: Method, seed: int) -> None:
    predictor = make_predictor(size_px, method=method)
    dn = random_dn(np.random.default_rng(seed), height, width, 0.3)
    whole = wall_to_wall(predictor, dn, 200 * predictor.stride_px)
    blocks = wall_to_wall(predictor, dn, strides * predictor.stride_px)
    valid = (dn != 0).all(axis=0)
    assert whole[:, valid].tobytes() == blocks[:, valid].tobytes()


def test_a_lone_patch_has_the_scores_it_is_evaluated_with() -> None:
    """With nodata around it on the lattice, the middle of a patch is governed by that patch alone."""
    config = make_config(50)
    predictor = Predictor(config, config.new_network().state_dict(), RAW, "cpu")
    dn = random_dn(np.random.default_rng(1), 50, 50)
    x, _ = standardise(torch.from_numpy(dn[None]), Normalization.of(predictor.config, "cpu"))
    alone = pixel_scores(predictor.network, x)[1][0].numpy()
    weight = tent(50)
    lattice = SlidingWindow.over(read_block(Memory(dn), Window(0, 0, 50, 50), 25), 50, 25, 25)
    corners, patches = lattice.batch(0, len(lattice))
    np.testing.assert_array_equal(patches[corners.index((25, 25))], ENCODING.physical(dn))
    scores = predictor(read_block(Memory(dn), Window(0, 0, 50, 50), 25))
    assert weight[24, 24] > 0.95
    assert np.abs(scores - alone)[:, 24:26, 24:26].max() < 0.1 * np.abs(alone).max()


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


def test_a_predictor_travels_without_its_network() -> None:
    predictor = make_predictor()
    block = ENCODING.physical(random_dn(np.random.default_rng(0), 48, 48))
    before = predictor(block)
    packed = pickle.dumps(predictor)
    assert len(packed) < 1.1 * sum(tensor.numel() * 4 for tensor in predictor.weights.values())
    again = pickle.loads(packed)  # noqa: S301 - our own bytes
    assert "network" not in vars(again)
    np.testing.assert_array_equal(again(block), before)


def test_diverged_weights_are_said_to_be_so() -> None:
    weights = random_network().state_dict()
    weights["dense.weight"][0, 0] = torch.nan
    predictor = replace(make_predictor(), weights=weights)
    with pytest.raises(DataError, match="baseline are not finite: its training diverged; train again"):
        predictor(ENCODING.physical(random_dn(np.random.default_rng(0), 48, 48)))


def test_measuring_leaves_no_trace_in_the_logits() -> None:
    predictor, block = make_predictor(), ENCODING.physical(random_dn(np.random.default_rng(0), 96, 96))
    feature_PD = np.random.default_rng(0).normal(size=(100, 64)).astype(np.float32)
    far = 2.0
    nowhere = np.zeros((CLASSES, len(ENCODING)))
    limits = Limits(nowhere[0], nowhere[0], nowhere, nowhere, ClassDistance.fit(feature_PD, np.zeros(100, np.int64)), far, 0.5)
    tally = Tally(limits, len(ENCODING), CLASSES)
    measuring = replace(predictor, tally=tally, distance=limits)
    plain, found = predictor(block), measuring(block)
    assert found.shape[0] == plain.shape[0] + 1
    assert found[:-1].tobytes() == plain.tobytes()
    assert (found[-1] > 0).all()
    assert tally.pixels > 0
    assert pickle.loads(pickle.dumps(measuring)).tally is None  # noqa: S301 - our own bytes
