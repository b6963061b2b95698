"""A look at a raster: patches evenly over it, inside its region, without labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.model.data.normalization import Normalization, physical_encoding
from cropcam.model.inference import survey as surveys
from cropcam.model.inference.layers import Layers
from cropcam.model.inference.patches import BATCH_PATCHES
from cropcam.model.inference.predictor import Predictor
from cropcam.model.inference.survey import Survey, log_probabilities, measured
from cropcam.model.segmentation.methods import unfitted
from cropcam.model.transfer.class_distance import ClassDistance
from cropcam.model.transfer.tally import Limits, Tally
from cropcam.pipeline.grid import Window
from cropcam.pipeline.maps.windows import read_block
from support.map_runs import ENCODING, OF_PATCHES, as_trained, make_config, random_dn
from support.memory_source import LEGEND, Memory
from support.windows import Left

SIZE_PX = 16
CONFIG = make_config(SIZE_PX, model="fcn")
METHOD = unfitted([0.0] * len(LEGEND))["cam-argmax"]
LAYERS = Layers(as_trained(CONFIG), METHOD, Normalization.of(CONFIG, "cpu", physical_encoding(len(ENCODING))))


def source_of(height: int, width: int, nodata_share: float = 0.0) -> Memory:
    return Memory(random_dn(np.random.default_rng(0), height, width, nodata_share))


@given(height=st.integers(1, 400), width=st.integers(1, 600), most=st.sampled_from([1, 8, 64, 512]))
def test_patches_lie_inside_and_apart_and_are_not_too_many(height: int, width: int, most: int) -> None:
    survey = Survey(Memory(np.zeros((1, height, width), np.uint16)), SIZE_PX)
    covered = np.zeros((max(height, SIZE_PX), max(width, SIZE_PX)), int)
    windows = survey.windows(most)
    for window in windows:
        assert window.height == SIZE_PX
        assert window.width % SIZE_PX == 0
        covered[window.slices] += 1
        assert window.row + window.height <= covered.shape[0]
        assert window.col + window.width <= covered.shape[1]
    assert covered.max() == 1
    count = sum(window.width // SIZE_PX for window in windows)
    whole = max(height // SIZE_PX, 1) * max(width // SIZE_PX, 1)
    assert 1 <= count <= max(most, 8)
    if most >= whole and len(windows) * surveys.ROW_PATCHES <= most:
        assert count == whole or len(windows) == most // surveys.ROW_PATCHES


def test_patches_are_those_of_the_raster_and_missing_outside_the_region() -> None:
    source = source_of(50, 200, 0.3)
    survey = Survey(source, SIZE_PX, Left(70))
    windows = survey.windows(512)
    assert {window.col for window in windows} == {0}
    batches = list(survey.batches(windows))
    assert all(len(batch) <= BATCH_PATCHES for batch in batches)
    patches = np.concatenate(batches)
    expected = ENCODING.physical(source.values_CYX)
    expected[:, :, 70:] = np.nan
    corners = [(window.row, col) for window in windows for col in range(window.col, window.col + window.width, SIZE_PX)]
    assert len(patches) == len(corners) == 24
    for patch, (row, col) in zip(patches, corners, strict=True):
        np.testing.assert_array_equal(patch, expected[:, row : row + SIZE_PX, col : col + SIZE_PX])


def test_a_raster_smaller_than_a_patch_is_one_patch() -> None:
    source = source_of(5, 9)
    [batch] = Survey(source, SIZE_PX).batches(Survey(source, SIZE_PX).windows(512))
    assert batch.shape == (1, 3, SIZE_PX, SIZE_PX)
    np.testing.assert_array_equal(batch[0, :, :5, :9], ENCODING.physical(source.values_CYX))
    assert np.isnan(batch[0, :, 5:]).all()
    assert np.isnan(batch[0, :, :, 9:]).all()


@pytest.mark.parametrize("smoothness", [0.0, 10.0])
@pytest.mark.parametrize("model", ["fcn", "baseline", OF_PATCHES])
@pytest.mark.parametrize("size_px", [16, 9])
def test_log_probabilities_are_those_of_the_map(model: str, size_px: int, smoothness: float) -> None:
    config = make_config(size_px, model=model)
    predictor = Predictor(config, as_trained(config).state_dict(), METHOD, "cpu", smoothness=smoothness)
    source = source_of(50, 70, 0.5)
    found = log_probabilities(Survey(source, size_px, Left(40)), predictor)
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, rtol=1e-9)
    whole = predictor(read_block(source, Window(0, 0, 50, 70), predictor.halo_px)).logits_KYX.astype(np.float64)
    whole -= np.logaddexp.reduce(whole, axis=0)
    valid = (source.values_CYX != 0).all(axis=0) & (np.arange(70) < 40)
    every, rows, width = max(round(size_px / 10), 1), 50 // size_px, 70 // size_px
    in_patches = np.zeros((50, 70), bool)
    for row in range(rows):
        for left in range(0, width, surveys.ROW_PATCHES):
            patches = min(surveys.ROW_PATCHES, width - left)
            in_patches[row * size_px : (row + 1) * size_px, left * size_px : (left + patches) * size_px][
                every // 2 :: every, every // 2 :: every
            ] = True
    expected = whole[:, valid & in_patches].T
    assert len(found) == len(expected) > 100
    np.testing.assert_allclose(np.sort(found, axis=0), np.sort(expected, axis=0), rtol=0, atol=1e-4)


def test_without_data_there_is_nothing_to_measure() -> None:
    survey = Survey(Memory(np.zeros((3, 40, 40), np.uint16)), SIZE_PX)
    predictor = Predictor(CONFIG, as_trained(CONFIG).state_dict(), METHOD, "cpu")
    assert log_probabilities(survey, predictor).shape == (0, len(LEGEND))


def tally_of(survey: Survey) -> Tally:
    nowhere = np.zeros((len(LEGEND), 3))
    fitted = ClassDistance.fit(np.random.default_rng(0).normal(size=(200, 48)).astype(np.float32), np.zeros(200, np.int64))
    tally = Tally(Limits(nowhere[0], nowhere[0], nowhere, nowhere, fitted, 2.0, 0.5), 3, len(LEGEND))
    measured(survey, LAYERS, CONFIG, tally)
    return tally


@pytest.mark.parametrize(("height", "width", "least"), [(16, 16, 1), (160, 160, 40)])
def test_measured_pixels_are_those_of_the_patches(height: int, width: int, least: int) -> None:
    tally = tally_of(Survey(source_of(height, width), SIZE_PX))
    assert tally.pixels % 256 == 0
    assert least <= tally.pixels // 256 <= max(surveys.LEAST_PATCHES, 1)
    assert tally.class_K.sum() == tally.pixels


def test_a_large_raster_is_measured_at_a_sixteenth_of_its_patches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surveys, "LEAST_PATCHES", 8)
    assert 16 <= tally_of(Survey(source_of(336, 336), SIZE_PX)).pixels // 256 <= 441 // 16
