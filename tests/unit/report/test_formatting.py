"""Metrics as text."""

from __future__ import annotations

import pytest

from cropcam.model.report.formatting import Headline, number, shade, span


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


@pytest.mark.parametrize(
    ("share", "colours"), [(None, ("#f4f8f6", "#20302b")), (0.0, ("#f4f8f6", "#20302b")), (1.0, ("#0f6b5c", "#ffffff"))]
)
def test_a_cell_is_darker_with_its_share_of_the_row(share: float | None, colours: tuple[str, str]) -> None:
    assert shade(share) == "background: {}; color: {}".format(*colours)


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
