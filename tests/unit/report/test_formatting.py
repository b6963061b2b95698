"""Metrics as text."""

from __future__ import annotations

import pytest

from cropcam.model.report.formatting import Headline, difference, number, points, shade, span


def test_numbers_are_decimals_or_percentages() -> None:
    assert (number(0.12345), number(0.12345, is_share=True), number(None), number(None, is_share=True)) == (
        "0.123",
        "12.3\u00a0%",
        "\u2013",
        "\u2013",
    )


def test_an_interval_has_its_unit_once() -> None:
    assert span([0.1, 0.25], is_share=True) == "10.0\u2009\u2013\u200925.0\u00a0%"
    assert span([-0.01, 0.25]) == "-0.010\u2009\u2013\u20090.250"


def test_a_cell_has_its_share_of_the_row() -> None:
    assert [shade(share) for share in (None, 0.0, 0.3333, 1.0)] == ["0.0%", "0.0%", "33.3%", "100.0%"]


def test_a_difference_and_its_interval_have_one_unit() -> None:
    assert difference(0.0123) == "+1.2 points"
    assert points([-0.004, 0.02]) == "\u22120.4 to +2.0 points"
    assert difference(-0.5) == "\u221250.0 points"


def test_a_headline_has_its_difference_from_the_guess() -> None:
    assert Headline("t", 0.9, 0.8, "g").gain == "10.0 points above"
    assert Headline("t", 0.5, 0.62, "g", is_share=False).gain == "0.120 below"
    assert Headline("t", 0.5, 0.5004, "g").verdict == "equal"
    assert Headline("t", 0.5, 0.5004, "g").gain == "no better than"
    undefined = Headline("t", None, 0.5, "g")
    assert (undefined.text, undefined.trivial_text, undefined.verdict, undefined.gain) == (
        "\u2013",
        "50.0\u00a0%",
        "",
        "undefined here, as is",
    )


def test_an_interval_has_both_ends_in_the_order_of_its_size() -> None:
    for is_share, low, high in ((True, "12.3", "45.7\u00a0%"), (False, "0.123", "0.457")):
        assert span([0.1234, 0.4567], is_share=is_share) == f"{low}\u2009\u2013\u2009{high}"
    assert span([0.0, 1.0], is_share=True) == "0.0\u2009\u2013\u2009100.0\u00a0%"


@pytest.mark.parametrize(
    ("value", "trivial", "verdict", "gain"),
    [
        (0.5006, 0.5, "better", "0.1 points above"),
        (0.4994, 0.5, "worse", "0.1 points below"),
        (0.5, 0.5, "equal", "no better than"),
        (0.5, None, "", "undefined here, as is"),
        (0.0, 0.5, "worse", "50.0 points below"),
    ],
)
def test_a_verdict_by_hand(value: float, trivial: float | None, verdict: str, gain: str) -> None:
    found = Headline("t", value, trivial, "g")
    assert (found.verdict, found.gain) == (verdict, gain)
