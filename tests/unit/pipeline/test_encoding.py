"""What stored values mean, band by band; and as JSON and CF attributes."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.encoding import BandEncoding

FLOATS = st.floats(-1e6, 1e6).filter(bool)
NAN = float("nan")


@st.composite
def encodings(draw: st.DrawFn) -> BandEncoding:
    dtype, count = draw(st.sampled_from(["uint8", "uint16", "int16", "int32", "float32", "float64"])), draw(st.integers(1, 4))
    limits = np.iinfo(dtype) if "int" in dtype else None
    nodata = st.none() | (st.integers(limits.min, limits.max).map(float) if limits else st.floats(width=32, allow_infinity=False))
    columns = [tuple(draw(st.lists(values, min_size=count, max_size=count))) for values in (FLOATS, FLOATS, nodata)]
    return BandEncoding(dtype, *columns)


@given(encodings())
def test_json_gives_the_same_encoding(encoding: BandEncoding) -> None:
    text = json.dumps(encoding.attrs(), allow_nan=False)
    found = BandEncoding.from_attrs(json.loads(text))
    assert found == encoding
    assert hash(found) == hash(encoding)
    assert len(found) == len(encoding.scale)
    assert np.array_equal(found.nodata_C, encoding.nodata_C, equal_nan=found.dtype.startswith("float"))


@given(encodings(), st.integers(0, 2**32 - 1))
def test_missing_pixels_are_nan_and_all_others_scaled(encoding: BandEncoding, seed: int) -> None:
    rng, bands = np.random.default_rng(seed), len(encoding)
    stored = rng.integers(0, 4, (bands, 5, 6)).astype(encoding.dtype)
    for band, nodata in zip(stored, encoding.nodata, strict=True):
        if nodata is not None:
            band[rng.random(band.shape) < 0.3] = nodata
    found, valid = encoding.physical(stored), encoding.valid(stored)
    assert found.dtype == np.float32
    for band, values in enumerate(stored):
        nodata = encoding.nodata[band]
        is_missing = np.isnan(values.astype(float)) | (
            False if nodata is None or math.isnan(nodata) else values == values.dtype.type(nodata)
        )
        np.testing.assert_array_equal(valid[band], ~is_missing)
        np.testing.assert_array_equal(np.isnan(found[band]), is_missing)
        expected = values.astype(float) * encoding.scale[band] + encoding.offset[band]
        np.testing.assert_allclose(found[band][~is_missing], expected[~is_missing], rtol=1e-5, atol=1)


def test_landsat_reflectance() -> None:
    encoding = BandEncoding.uniform("uint16", 1, 0.0000275, -0.2, 0.0)
    found = encoding.physical(np.array([[[0, 1, 10_000]]], np.uint16))
    np.testing.assert_allclose(found, [[[np.nan, -0.1999725, 0.075]]], rtol=1e-5)


def test_bands_of_one_meaning_have_cf_attributes() -> None:
    encoding = BandEncoding.uniform("int16", 2, 0.5, 1.0, -1.0)
    assert encoding.is_uniform
    assert encoding.cf_attrs() == {"scale_factor": 0.5, "add_offset": 1.0, "_FillValue": -1}
    assert encoding.cf_attrs()["_FillValue"].dtype == np.int16
    assert BandEncoding.uniform("int16", 2, 0.5, 1.0, None).cf_attrs() == {"scale_factor": 0.5, "add_offset": 1.0}
    assert BandEncoding.uniform("float32", 2, 1.0, 0.0, NAN).is_uniform


@pytest.mark.parametrize("other", [(0.6, 1.0, -1.0), (0.5, 2.0, -1.0), (0.5, 1.0, -2.0), (0.5, 1.0, None), (0.5, 1.0, NAN)])
def test_bands_that_differ_have_none(other: tuple[float, float, float | None]) -> None:
    one = BandEncoding.uniform("float32", 1, 0.5, 1.0, -1.0)
    both = BandEncoding.joined([one, BandEncoding.uniform("float32", 1, *other)])
    assert (len(both), both.is_uniform, both.cf_attrs()) == (2, False, {})
    assert both != BandEncoding.uniform("float32", 2, 0.5, 1.0, -1.0)


def test_pixels_that_are_not_there_have_the_first_bands_nodata() -> None:
    assert BandEncoding.uniform("int16", 2, 1.0, 0.0, -9999.0).fill == -9999
    assert BandEncoding.uniform("int16", 2, 1.0, 0.0, None).fill == 0
    mixed = BandEncoding("int16", (1.0, 1.0), (0.0, 0.0), (-9999.0, None))
    assert mixed.nodata_C.tolist() == [-9999, -9999]
    assert mixed.has_nodata_C.tolist() == [True, False]
    assert mixed.valid(np.full((2, 1, 1), -9999, np.int16))[:, 0, 0].tolist() == [False, True]


def test_a_nodata_value_at_the_end_of_its_type_overflows_nothing() -> None:
    least = float(np.finfo(np.float32).min)
    encoding = BandEncoding.uniform("float32", 1, 10.0, 0.0, least)
    found = encoding.physical(np.array([[[least, 2.0]]], np.float32))
    np.testing.assert_array_equal(found, np.array([[[np.nan, 20.0]]], np.float32))
