"""Statistics of a store from those of its parts, against numpy over all pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline import statistics
from cropcam.pipeline.grid import PatchGrid, PixelGrid
from cropcam.pipeline.kernels import BIN_DN, BINS, HISTOGRAM_STEP
from cropcam.pipeline.splits import units
from cropcam.pipeline.statistics import Small
from cropcam.pipeline.study.study import Splits

SIZE = 11  # two rows of a patch are counted in histograms
GRID = PatchGrid(PixelGrid("EPSG:32616", (30.0, 0.0, 410_000.0, 0.0, -30.0, 4_475_700.0), 8 * SIZE, 6 * SIZE), SIZE)
SPLITS = Splits(block_patches=(2, 3))


def patches(seed: int) -> npt.NDArray[np.uint16]:
    """DN (row, col, band, y, x) of every patch of the grid, a tenth of them nodata."""
    rng = np.random.default_rng(seed)
    dn = rng.integers(1, 65536, (6, 8, 2, SIZE, SIZE)).astype(np.uint16)
    dn[rng.random(dn.shape) < 0.1] = 0
    return dn


def histogram(dn_NCYX: npt.NDArray[np.uint16]) -> npt.NDArray[np.int64]:
    sample = np.moveaxis(dn_NCYX[:, :, ::HISTOGRAM_STEP], 1, 0)
    return np.array([np.histogram(band[band > 0], BINS, (0, BINS * BIN_DN))[0] for band in sample])


def part(dn: npt.NDArray[np.uint16], rows: slice) -> Small:
    """What one part knows of its rows of patches."""
    row, col = (values.ravel().astype(np.int32) for values in np.mgrid[rows, 0:8])
    pixels = dn[row, col].astype(np.uint64)
    unit = units(row, col, SPLITS, GRID)
    return {
        "row": row,
        "col": col,
        "moments": np.stack([(pixels > 0).sum((2, 3)), pixels.sum((2, 3)), (pixels**2).sum((2, 3))], axis=1).astype(np.uint64),
        "units": np.unique(unit),
        "histogram": np.array([histogram(dn[row, col][unit == one]) for one in np.unique(unit)]),
    }


@given(st.integers(0, 99), st.integers(1, 5))
def test_parts_add_up_to_the_statistics_of_all_training_pixels(seed: int, cut: int) -> None:
    dn, rng = patches(seed), np.random.default_rng(seed)
    row, col = (values.ravel().astype(np.int32) for values in np.mgrid[0:6, 0:8])
    unit = units(row, col, SPLITS, GRID)
    split_of_unit = dict(zip(np.unique(unit), rng.permutation([0, 0, 0, 0, 0, 1, 2, 2]), strict=True))
    split = np.array([split_of_unit[one] for one in unit], np.uint8)
    gap = (rng.random(48) < 0.2) & (split == 0)
    moments, counted = statistics.of_bands([part(dn, slice(0, cut)), part(dn, slice(cut, 6))], split, gap, SPLITS, GRID)
    np.testing.assert_array_equal(counted, histogram(dn[row, col][split == 0]))  # of whole blocks, the gap among them
    kept = counted - histogram(dn[row, col][gap])
    np.testing.assert_array_equal(statistics.without(counted, iter(dn[row, col][gap])), kept)
    found = statistics.attributes(moments, kept)
    train = dn[row, col][(split == 0) & ~gap].astype(np.float64)
    reflectance = np.where(train == 0, np.nan, train * 0.0000275 - 0.2)
    np.testing.assert_allclose(found["mean"], np.nanmean(reflectance, axis=(0, 2, 3)), rtol=1e-9)
    np.testing.assert_allclose(found["std"], np.nanstd(reflectance, axis=(0, 2, 3)), rtol=1e-6)
    assert found["pixels"] == (train > 0).sum(axis=(0, 2, 3)).max()
    assert found["histogram"] == {"bins": 256, "bin_dn": 256, "every_row": 10, "counts": kept.tolist()}


def test_a_band_without_a_valid_pixel_has_no_spread() -> None:
    found = statistics.attributes(np.zeros((3, 1), np.uint64), np.zeros((1, BINS), np.int64))
    assert (found["pixels"], found["std"]) == (0, [0.0])
    assert found["mean"] == pytest.approx([-0.2])


def test_classes_are_counted_by_split() -> None:
    counts = np.array([[1, 2], [30, 40], [500, 600], [7000, 8000]], np.uint32)
    found = statistics.of_classes(("a", "b"), counts, np.array([1, 0.5, 0.25, 0.25], np.float32), np.array([0, 2, 0, 1], np.uint8))
    assert found == {
        "class_pixels": {"train": {"a": 501, "b": 602}, "validation": {"a": 7000, "b": 8000}, "test": {"a": 30, "b": 40}},
        "valid_share": 0.5,
    }


@given(st.lists(st.integers(1, 65535), min_size=1, max_size=300), st.sampled_from([0.02, 0.5, 0.98]))
def test_percentiles_are_those_of_the_pixels_to_half_a_bin(values: list[int], share: float) -> None:
    counts, _ = np.histogram(values, BINS, (0, 65536))
    ((found,),) = statistics.percentiles({"histogram": {"counts": [counts.tolist()], "bins": BINS, "bin_dn": BIN_DN}}, (share,))
    ordered = np.sort(values)
    exact = ordered[max(int(np.ceil(share * len(values))) - 1, 0)] * 0.0000275 - 0.2
    assert abs(found - exact) <= BIN_DN / 2 * 0.0000275 + 1e-9
