"""Normalization of bands, against numpy: any stored type, scale, offset and nodata."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cropcam.model.data.loading import as_bits, of_bits
from cropcam.model.data.normalization import (
    CLIP,
    Normalization,
    complete_seasons,
    has_value,
    keep_some,
    over_seasons,
    physical_encoding,
    standardise,
)
from cropcam.pipeline.encoding import OFFSET, SCALE, BandEncoding
from cropcam.pipeline.store.patch_store import open_store
from support.map_runs import make_config
from support.runs import make_config as config_of
from support.stores import make_store

BANDS = 3
TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64")
SCALES, OFFSETS = st.sampled_from([SCALE, 0.0001, 1.0, -0.5]), st.sampled_from([OFFSET, 0.0, 100.0])


def limits_of(dtype: str) -> tuple[float, float]:
    """Of the values drawn: a type's own, as far as neighbours are different numbers in float64."""
    if dtype.startswith("float"):
        return -2e4, 2e4
    return max(np.iinfo(dtype).min, -(2.0**40)), min(np.iinfo(dtype).max, 2.0**40)


def nodata_of(dtype: str) -> st.SearchStrategy[float | None]:
    if dtype.startswith("float"):
        return st.sampled_from([None, float("nan"), -9999.0, 0.0])
    least, most = limits_of(dtype)
    return st.sampled_from([None, 0.0, least, most, *([-9999.0] if least < -9999 else [])])


@st.composite
def stored(draw: st.DrawFn) -> tuple[npt.NDArray[Any], BandEncoding]:
    """Patches (2, 3, 4, 5) of any type, and an encoding with a meaning of its own for each band; some pixels are nodata, beside it, or NaN."""
    dtype = draw(st.sampled_from(TYPES))
    lists = (draw(st.lists(values, min_size=BANDS, max_size=BANDS)) for values in (SCALES, OFFSETS, nodata_of(dtype)))
    scale, offset, nodata = map(tuple, lists)
    encoding = BandEncoding(dtype, scale, offset, nodata)
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    values = rng.uniform(*limits_of(dtype), (2, BANDS, 4, 5)).astype(dtype)
    chosen = rng.random(values.shape) < 0.2
    values = np.where(chosen, encoding.nodata_C.reshape(-1, 1, 1), values)
    if dtype.startswith("float"):
        values[rng.random(values.shape) < 0.1] = np.nan
    else:  # the neighbours of nodata are values: no rounding makes them nodata
        beside = np.where(encoding.nodata_C > np.iinfo(dtype).min, encoding.nodata_C - 1, encoding.nodata_C + 1)
        values[:, :, 0, 0] = beside.astype(dtype)
    return values, encoding


def normalization(encoding: BandEncoding, mean: npt.ArrayLike, std: npt.ArrayLike) -> Normalization:
    known = Normalization.of(make_config(), "cpu", encoding)
    return known._replace(mean_C=torch.as_tensor(mean, dtype=torch.float32), std_C=torch.as_tensor(std, dtype=torch.float32))


def in_numpy(values_NCHW: npt.NDArray[Any], encoding: BandEncoding, mean: npt.ArrayLike, std: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Standardised in numpy alone, in double precision."""
    scale, offset, mean_C11, std_C11 = (
        np.asarray(each, np.float64)[:, None, None] for each in (encoding.scale, encoding.offset, mean, std)
    )
    standard = (values_NCHW.astype(np.float64) * scale + offset - mean_C11) / std_C11
    return np.where(is_value(values_NCHW, encoding), standard.clip(-CLIP, CLIP), 0.0)


def is_value(values_NCHW: npt.NDArray[Any], encoding: BandEncoding) -> npt.NDArray[np.bool_]:
    """Number by number, in Python."""
    found = [
        value == value and (nodata is None or value != nodata)  # noqa: PLR0124 - NaN alone differs
        for patch in values_NCHW
        for band, nodata in zip(patch, encoding.nodata, strict=True)
        for value in band.ravel().tolist()
    ]
    return np.array(found).reshape(values_NCHW.shape)


@given(stored())
def test_standardised_values_are_physical_less_the_mean_and_missing_ones_the_mean(drawn: tuple[npt.NDArray[Any], BandEncoding]) -> None:
    values, encoding = drawn
    physical = values.astype(np.float64) * np.reshape(encoding.scale, (-1, 1, 1)) + np.reshape(encoding.offset, (-1, 1, 1))
    mean, std = np.nanmean(physical, axis=(0, 2, 3)), np.nanstd(physical, axis=(0, 2, 3)) / 4 + 1e-3  # some are clipped
    known = normalization(encoding, mean, std)
    bits = as_bits(torch.from_numpy(values))  # as batches travel
    stored_values = of_bits(bits, encoding.dtype)
    expected = is_value(values, encoding)
    np.testing.assert_array_equal(has_value(stored_values, known).numpy(), expected)
    x, valid = standardise(stored_values, known)
    assert (x.dtype, valid.dtype) == (torch.float32, torch.bool)
    rounding = (np.finfo(np.float32).eps * (np.abs(encoding.offset) + np.abs(mean)) / std)[:, None, None]  # of float32, before the division
    assert (np.abs(x.numpy() - in_numpy(values, encoding, mean, std)) <= 4 * rounding + 1e-5).all()
    np.testing.assert_array_equal(valid.numpy(), expected.all(axis=1))
    assert (x.numpy()[~expected] == 0).all()
    np.testing.assert_array_equal(stored_values.numpy(), values, "what is given stays as it was")


@given(stored())
def test_physical_values_are_standardised_as_the_stored_ones_are(drawn: tuple[npt.NDArray[Any], BandEncoding]) -> None:
    """A map reads physical values, training stored ones: the network sees the same."""
    values, encoding = drawn
    physical = encoding.physical(values)
    mean, std = (
        np.nan_to_num(np.nanmean(np.where(np.isnan(physical), 0, physical), axis=(0, 2, 3))),
        np.full(BANDS, 0.1 + np.nanmax(np.abs(physical), initial=0) / 3),
    )
    x, valid = standardise(torch.from_numpy(values), normalization(encoding, mean, std))
    from_physical, valid_there = standardise(torch.from_numpy(physical), normalization(physical_encoding(BANDS), mean, std))
    assert torch.equal(valid, valid_there)
    torch.testing.assert_close(from_physical, x, rtol=1e-4, atol=1e-4)


def test_standardised_training_pixels_have_mean_0_and_deviation_1(tmp_path: Path) -> None:
    info = make_store(tmp_path / "patches.zarr", count=21, size_px=10, nodata_share=0.3)
    store = open_store(tmp_path / "patches.zarr")
    values = torch.from_numpy(store.images(store.split_indices("train")))
    x, valid = standardise(values, Normalization.of(config_of(store.path, info), "cpu"))
    assert not valid.all()
    pixels = x.movedim(1, -1)[valid]
    torch.testing.assert_close(pixels.mean(dim=0), torch.zeros(7), atol=0.01, rtol=0)
    torch.testing.assert_close(pixels.std(dim=0), torch.ones(7), atol=0.02, rtol=0)


@pytest.mark.parametrize("dtype", TYPES)
def test_bits_are_those_of_the_values(dtype: str) -> None:
    values = torch.from_numpy(np.array([0, 1, 100], dtype))
    bits = as_bits(values)
    assert bits.dtype not in (torch.uint16, torch.uint32, torch.uint64), "gather, flip and copy work on them"
    assert of_bits(bits, dtype).dtype == values.dtype
    np.testing.assert_array_equal(of_bits(bits, dtype).numpy(), values.numpy())


@given(stored(), st.integers(1, 3), st.booleans())
def test_one_complete_season_makes_a_pixel_valid(drawn: tuple[npt.NDArray[Any], BandEncoding], others: int, dropped: bool) -> None:
    """Against numpy: the seasons are `others` and one more, of three bands each."""
    values, encoding = drawn
    seasons = others + 1
    stacked = np.concatenate([np.roll(values, (season, season), axis=(2, 3)) for season in range(seasons)], axis=1)
    known = normalization(BandEncoding.joined([encoding] * seasons), [0.0] * BANDS * seasons, [1e4] * BANDS * seasons)._replace(
        seasons=seasons
    )
    complete = is_value(stacked, BandEncoding.joined([encoding] * seasons)).reshape(2, seasons, BANDS, 4, 5).all(axis=2)
    np.testing.assert_array_equal(complete_seasons(torch.from_numpy(stacked), known).numpy(), complete)
    seen = np.arange(seasons) < (1 if dropped else seasons)
    x, valid = standardise(torch.from_numpy(stacked), known, torch.from_numpy(seen).view(1, -1, 1, 1) if dropped else None)
    expected = complete & seen[:, None, None]
    np.testing.assert_array_equal(valid.numpy(), expected.any(axis=1))
    np.testing.assert_array_equal(
        (x.numpy() != 0).reshape(2, seasons, BANDS, 4, 5), np.broadcast_to(expected[:, :, None], (2, seasons, BANDS, 4, 5))
    )
    each, _ = standardise(torch.from_numpy(stacked), known._replace(seasons=1))
    there = np.repeat(expected, BANDS, axis=1)
    np.testing.assert_allclose(x.numpy()[there], each.numpy()[there], atol=2e-6, err_msg="values are those of the plain way")


def test_a_patch_that_would_lose_every_pixel_keeps_all_seasons() -> None:
    complete_BSHW = torch.tensor([[True, False], [True, True]])[:, :, None, None].expand(2, 2, 3, 3)
    seen_BS = torch.tensor([[False, True], [False, True]])
    assert torch.equal(keep_some(complete_BSHW, seen_BS)[:, :, 0, 0], torch.tensor([[True, False], [False, True]]))


def test_seasons_share_the_mean_and_deviation_of_a_band() -> None:
    pixels = np.random.default_rng(0).normal([[0.1, 0.3], [0.2, 0.6]], [[0.05, 0.1], [0.02, 0.2]], (10_000, 2, 2))
    mean, std = over_seasons(pixels.mean(axis=0).ravel().tolist(), pixels.std(axis=0).ravel().tolist(), 2)
    together = pixels.reshape(-1, 2)
    np.testing.assert_allclose(mean, np.tile(together.mean(axis=0), 2))
    np.testing.assert_allclose(std, np.tile(together.std(axis=0), 2))
