"""The compiled loop over the pixels of patches against plain numpy: every type, nodata, size and hole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cropcam.pipeline.code_table import Code, CodeTable
from cropcam.pipeline.encoding import BandEncoding
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.patches.measure import HISTOGRAM_STEP, bin_edges, measure
from cropcam.pipeline.study.study import load_study
from oracles import patches as oracle

LEGEND = load_study("demo").legend
CODES = np.array([0, 81, 1, 5, 141, 176, 111], np.uint8)
RANGES: dict[str, tuple[float, float]] = {"uint8": (0, 255), "uint16": (0, 65535), "int16": (-32768, 32767), "int32": (-9, 2**31 - 1)}
DTYPES = [*RANGES, "float32", "float64"]


def drawn(rng: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """Values of every magnitude that the type has."""
    if dtype in RANGES:
        low, high = RANGES[dtype]
        return rng.integers(int(low), int(high), shape, endpoint=True).astype(dtype)
    return (rng.normal(0, 1, shape) * 10.0 ** rng.integers(-8, 8, shape)).astype(dtype)


def measured(image: np.ndarray, label: np.ndarray | None, size: int, nodata: oracle.Nodata, minimum: float = 1.0) -> oracle.Figures:
    encoding = BandEncoding(image.dtype.name, (1.0,) * len(nodata), (0.0,) * len(nodata), nodata)
    return measure(image, label, size, encoding, LEGEND.lookup(), len(LEGEND), minimum)


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_figures_are_those_of_a_plain_loop(data: st.DataObject) -> None:
    dtype, size = data.draw(st.sampled_from(DTYPES)), data.draw(st.integers(1, 13))
    height, width, minimum = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40)), data.draw(st.floats(0.05, 1.0))
    is_float = dtype.startswith("float")
    kinds: list[float | None] = [None, 0.0, 7.0, *([float("nan"), -9999.0] if is_float else [])]
    nodata = tuple(data.draw(st.lists(st.sampled_from(kinds), min_size=2, max_size=2)))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    image = drawn(rng, dtype, (2, height, width))
    for band, value in zip(image, nodata, strict=True):
        band[rng.random((height, width)) < rng.choice([0, 0.02, 0.5])] = 3 if value is None else value
    if is_float:
        image[rng.random(image.shape) < rng.choice([0, 0.02])] = np.nan
    label = rng.choice(CODES, (height, width), p=[0.02, 0.02, *[0.192] * 5]) if data.draw(st.booleans()) else None
    found = measured(image, label, size, nodata, minimum)
    expected = oracle.figures(image, label, size, nodata, LEGEND, minimum)
    np.testing.assert_array_equal(found["reason"], expected["reason"])
    np.testing.assert_allclose(found["valid"], expected["valid"], rtol=1e-7)
    rounding = 1e-14 * float(np.nansum(np.abs(image.astype(np.float64)))) if is_float else 0  # of a sum whose terms cancel
    np.testing.assert_allclose(found["moments"], expected["moments"], rtol=1e-12, atol=rounding)
    assert ("share" in found, "counts" in found) == ((label is not None),) * 2
    if label is not None:
        np.testing.assert_array_equal(found["counts"], expected["counts"])
        np.testing.assert_allclose(found["share"], expected["share"], rtol=1e-6)
    for row, col in np.ndindex(found["reason"].shape):
        pixels = image[:, row * size : (row + 1) * size : HISTOGRAM_STEP, col * size : (col + 1) * size]
        for band, there in enumerate(oracle.has_value(pixels, nodata)):
            np.testing.assert_array_equal(found["histogram"][row, col, band], oracle.histogram(pixels[band][there], bin_edges(dtype)))


@pytest.mark.parametrize(("dtype", "value"), [("uint16", 65535), ("int16", -32768), ("uint8", 255), ("int32", 100_000_000)])
def test_sums_of_the_largest_values_are_exact(dtype: str, value: int) -> None:
    found = measured(np.full((1, 50, 50), value, dtype), None, 50, (None,))
    assert found["moments"][0, 0, :, 0].tolist() == [2500, 2500 * value, 2500 * value**2]
    assert found["histogram"].sum() == 5 * 50


def test_every_value_has_one_bin_and_edges_ascend() -> None:
    for dtype in DTYPES:
        edges = bin_edges(dtype)
        assert (np.diff(edges) > 0).all()
        extremes = [0, 1, -1, 2.0**-14, -(2.0**-14), 16384, -16384, 1e30, -1e30, *edges[1:-1:37]] if dtype not in RANGES else RANGES[dtype]
        image = np.array(extremes, dtype).reshape(1, 1, -1)
        (found,) = measured(image, None, 1, (None,))["histogram"][:, :, 0]
        assert (found.sum(axis=-1) == 1).all()
        for value, counts in zip(image.ravel().astype(float), found, strict=True):
            (bin_,) = np.flatnonzero(counts)
            low, high = edges[bin_], edges[bin_ + 1]
            assert low <= value <= high or (bin_ in (0, len(counts) - 1) and not edges[0] <= value <= edges[-1])


def test_a_raster_smaller_than_a_patch_has_none() -> None:
    found = measured(np.ones((1, 9, 20), np.uint16), np.ones((9, 20), np.uint8), 10, (0.0,))
    assert found["reason"].shape == (0, 2)


def test_shares_are_of_labelled_pixels_and_absent_without_one() -> None:
    label = np.zeros((2, 4), np.uint8)
    label[0, :2] = 1
    found: dict[str, Any] = measured(np.ones((1, 2, 4), np.uint16), label, 2, (0.0,), 0.5)
    assert found["share"][0, 0].tolist() == [0, 1, 0, 0, 0]
    assert np.isnan(found["share"][0, 1]).all()
    assert found["reason"].tolist() == [[0, 2]]
    assert found["valid"].tolist() == [[0.5, 0.0]]


def test_a_patch_without_a_valid_pixel_is_never_kept() -> None:
    assert measured(np.zeros((1, 2, 2), np.uint16), None, 2, (0.0,), 0.0)["reason"].tolist() == [[1]]


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 9))
def test_codes_above_255_are_counted_as_their_classes(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    table = CodeTable("", (Code(3, "a"), Code(300, "b"), Code(40_000, "c"), Code(65_535, "cloud", None, False)))
    legend = Legend.from_codes({"b": (300,), "c": (40_000,)}, table)
    image = drawn(rng, "uint16", (2, 20, 30))
    label = rng.choice(np.array([0, 3, 300, 40_000, 65_535], np.uint16), (20, 30), p=[0.02, 0.3, 0.3, 0.36, 0.02])
    encoding = BandEncoding("uint16", (1.0,) * 2, (0.0,) * 2, (0.0, 0.0))
    found = measure(image, label, size, encoding, legend.lookup(), len(legend), 0.9)
    narrow = Legend.from_codes({"b": (1,), "c": (5,)})
    codes = np.select([label == 3, label == 300, label == 40_000], [10, 1, 5], 0).astype(np.uint8)
    expected = measure(image, codes, size, encoding, narrow.lookup(), len(narrow), 0.9)
    assert found.keys() == expected.keys()
    for name, values in found.items():
        np.testing.assert_array_equal(values, expected[name])
