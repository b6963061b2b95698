"""Laws of the score and of the expected accuracy."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cropcam.model.transfer.score import THRESHOLD, WEIGHTS, Terms, accuracy_at, score

shares = st.floats(0, 1)


def test_an_image_like_home_has_no_score_and_the_accuracy_of_home() -> None:
    assert score(Terms(0, 0, 0)) == 0 < THRESHOLD
    assert accuracy_at(0.8, 0.0) == 0.8


@given(st.tuples(shares, shares, shares), st.integers(0, 2), shares)
def test_more_of_any_term_never_lowers_the_score(values: tuple[float, float, float], place: int, more: float) -> None:
    terms = Terms(*values)
    larger = terms._replace(**{Terms._fields[place]: min(values[place] + more, 1.0)})
    assert score(larger) >= score(terms)
    assert 0 <= accuracy_at(0.9, score(larger)) <= accuracy_at(0.9, score(terms)) <= 0.9


def test_each_term_alone_can_reach_the_threshold() -> None:
    assert min(WEIGHTS) >= THRESHOLD
