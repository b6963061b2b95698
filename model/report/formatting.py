"""Metrics as text: rounded alike everywhere, with their intervals and trivial values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cropcam.model.evaluation.metrics import Metric

DASH = "\u2013"  # an undefined metric
TO = "\u2009\u2013\u2009"  # between the ends of an interval
MINUS = "\u2212"


def number(value: Metric, is_share: bool = False) -> str:
    """Three decimals, or a percentage with one decimal; a dash where undefined."""
    if value is None:
        return DASH
    return f"{value * 100:.1f}\u00a0%" if is_share else f"{value:.3f}"


def span(interval: Sequence[float] | None, is_share: bool = False) -> str:
    r"""An interval as text; empty where there is none.

    Examples:
        >>> ascii(span([0.1, 0.25])), span(None)
        ("'0.100\\u2009\\u2013\\u20090.250'", '')
    """
    if interval is None:
        return ""
    low, high = interval
    return f"{low * 100:.1f}{TO}{number(high, is_share)}" if is_share else f"{number(low)}{TO}{number(high)}"


def points(interval: Sequence[float]) -> str:
    r"""An interval of a difference of shares, in percentage points, as the difference itself.

    Examples:
        >>> ascii(points([-0.012, 0.25]))
        "'\\u22121.2 to +25.0 points'"
    """
    low, high = (f"{value * 100:+.1f}".replace("-", MINUS) for value in interval)
    return f"{low} to {high} points"


def difference(value: float) -> str:
    r"""A difference of shares in percentage points.

    Examples:
        >>> ascii(difference(-0.012)), difference(0.25)
        ("'\\u22121.2 points'", '+25.0 points')
    """
    return f"{value * 100:+.1f} points".replace("-", MINUS)


def shortened(name: str, letters: int) -> str:
    r"""A name of at most so many letters: the middle is left out, names of runs differ at their end.

    Examples:
        >>> ascii(shortened("winter-wheat", 8)), shortened("corn", 8)
        ("'wint\\u2026eat'", 'corn')
    """
    kept = letters - 1
    return name if len(name) <= letters else f"{name[: -(-kept // 2)]}\u2026{name[-(kept // 2) :]}"


def shade(share: Metric) -> str:
    """This share of a row of a confusion matrix as a percentage for the style sheet, which has the colours."""
    return f"{(share or 0.0) * 100:.1f}%"


@dataclass(frozen=True)
class Headline:
    """A metric and its trivial value; both lie in 0..1, undefined ones are None."""

    title: str
    value: Metric
    trivial: Metric
    trivial_name: str
    help: str = ""
    is_share: bool = True
    interval: Sequence[float] | None = None

    @property
    def text(self) -> str:
        """The metric as text."""
        return number(self.value, self.is_share)

    @property
    def trivial_text(self) -> str:
        """The trivial value as text."""
        return number(self.trivial, self.is_share)

    @property
    def verdict(self) -> str:
        """`better`, `worse` or `equal`; empty where one of the two is undefined."""
        if self.value is None or self.trivial is None:
            return ""
        gain = round(self.value - self.trivial, 3)
        return "better" if gain > 0 else "worse" if gain < 0 else "equal"

    @property
    def gain(self) -> str:
        """The difference from the trivial value, in words that go before its name."""
        if self.value is None or self.trivial is None:
            return "undefined here, as is"
        gain = abs(self.value - self.trivial)
        size = f"{gain * 100:.1f} points" if self.is_share else f"{gain:.3f}"
        return {"better": f"{size} above", "worse": f"{size} below", "equal": "no better than"}[self.verdict]
