"""Derived bands: arithmetic alone, nodata kept, nothing run."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.band_expressions import evaluate, names, parse
from cropcam.pipeline.errors import ConfigError

BANDS = ("red", "nir", "blue")


@st.composite
def texts(draw: st.DrawFn, depth: int = 4) -> str:
    kind = draw(st.sampled_from(("band", "number", "pair", "minus"))) if depth else draw(st.sampled_from(("band", "number")))
    if kind == "band":
        return draw(st.sampled_from(BANDS))
    if kind == "number":
        return repr(draw(st.floats(0.01, 100, allow_nan=False)))
    if kind == "minus":
        return f"-({draw(texts(depth - 1))})"
    return f"({draw(texts(depth - 1))}) {draw(st.sampled_from('+-*/'))} ({draw(texts(depth - 1))})"


@given(text=texts(), red=st.floats(-10, 10), nir=st.floats(-10, 10), blue=st.floats(-10, 10))
def test_the_value_is_that_of_python(text: str, red: float, nir: float, blue: float) -> None:
    text = f"red * 0 + {text}"  # at least one band
    values = {"red": red, "nir": nir, "blue": blue}
    try:
        expected = eval(text, {"__builtins__": {}}, values)  # noqa: S307 - the oracle of a text that the test made
    except (ZeroDivisionError, OverflowError):
        expected = np.nan
    found = evaluate(parse(text, BANDS), {name: np.full(2, value) for name, value in values.items()})
    np.testing.assert_array_equal(found, np.full(2, expected if np.isfinite(expected) else np.nan))


def test_nodata_and_a_divisor_of_zero_are_nodata() -> None:
    values = {"red": np.array([0.1, 0.0, np.nan]), "nir": np.array([0.3, 0.0, 0.2])}
    found = evaluate(parse("(nir - red) / (nir + red)", BANDS), values)
    np.testing.assert_allclose(found, [0.5, np.nan, np.nan])
    assert names(parse("(nir - red) / (nir + red)", BANDS)) == {"nir", "red"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(nir - rd) / nir", r"names rd, which is no band here \(red, nir, blue\); did you mean red\?"),
        ("__import__('os').system('x')", "is not allowed; names of bands, numbers"),
        ("nir ** 2", r"'nir \*\* 2' is not allowed"),
        ("nir if red else blue", "is not allowed"),
        ("nir.real", "'nir.real' is not allowed"),
        ("nir[0]", "is not allowed"),
        ("True + nir", "'True' is not allowed"),
        ("'a' + nir", "is not allowed"),
        ("1e999 * nir", "is not allowed"),
        ("nir + 1" + "0" * 400, "is not allowed"),
        ("~" * 400 + "nir", "is not allowed|no arithmetic|nested"),
        ("nir -", "is no arithmetic of bands"),
        ("", "is no arithmetic of bands"),
        ("1 + 2", "names no band; there are red, nir, blue"),
        ("(" * 230 + "nir" + ")" * 230, "is no arithmetic of bands"),
        ("-" * 100 + "nir", "nested more than 60 deep"),
        ("nir + " * 200 + "nir", "at most 500"),
    ],
)
def test_anything_else_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(text, BANDS)
