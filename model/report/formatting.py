"""Figures as text: rounded alike everywhere, with their intervals and trivial values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cropcam.model.evaluation.bootstrap import SUFFIX
from cropcam.model.evaluation.metrics import Figure

DASH = "\u2013"  # an undefined figure
TO = "\u2009\u2013\u2009"  # between the ends of an interval
_LIGHT, _DARK = (244, 248, 246), (15, 107, 92)  # row share 0 and 1 in a confusion matrix


@dataclass(frozen=True)
class Headline:
    """A figure with its trivial value beside it; both lie in 0..1, undefined ones are None."""

    title: str
    value: Figure
    trivial: Figure
    trivial_name: str
    help: str
    is_share: bool = True
    interval: Sequence[float] | None = None

    @property
    def text(self) -> str:
        """The figure as text."""
        return self._format(self.value)

    @property
    def span(self) -> str:
        """The interval as text; empty where there is none."""
        return span(self.interval, self.is_share)

    @property
    def trivial_text(self) -> str:
        """The trivial value as text."""
        return self._format(self.trivial)

    @property
    def verdict(self) -> str:
        """`better`, `worse` or `equal`; empty where one of the two is undefined."""
        if self.value is None or self.trivial is None:
            return ""
        gain = round(self.value - self.trivial, 3)
        return "better" if gain > 0 else "worse" if gain < 0 else "equal"

    @property
    def gain(self) -> str:
        """How the figure stands to the trivial value: words that go before its name."""
        if self.value is None or self.trivial is None:
            return "undefined here, as is"
        gain = self.value - self.trivial
        size = f"{abs(gain) * 100:.1f} points" if self.is_share else f"{abs(gain):.3f}"
        return {"better": f"{size} above", "worse": f"{size} below", "equal": "no better than"}[self.verdict]

    def _format(self, value: Figure) -> str:
        return percent(value) if self.is_share else decimal(value)


@dataclass(frozen=True)
class Estimate:
    """A figure and its interval as text; an interval that does not exist is empty."""

    text: str
    span: str


@dataclass(frozen=True)
class Cell:
    """One cell of a confusion matrix."""

    count: int
    share: Figure
    background: str
    ink: str


def percent(value: Figure) -> str:
    """A share as a percentage with one decimal; a dash where undefined."""
    return DASH if value is None else f"{value * 100:.1f}\u00a0%"


def decimal(value: Figure) -> str:
    """A figure with three decimals; a dash where undefined."""
    return DASH if value is None else f"{value:.3f}"


def span(interval: Sequence[float] | None, is_share: bool = False) -> str:
    r"""An interval as text; empty where there is none.

    Examples:
        >>> ascii(span([0.1, 0.25])), span(None)
        ("'0.100\\u2009\\u2013\\u20090.250'", '')
    """
    if interval is None:
        return ""
    low, high = interval
    return f"{low * 100:.1f}{TO}{percent(high)}" if is_share else f"{decimal(low)}{TO}{decimal(high)}"


def estimate(part: Mapping[str, Any], name: str, is_share: bool = False) -> Estimate:
    """A figure of metrics.json as text, with the interval that stands beside it there, if any does."""
    value: Figure = part[name]
    return Estimate(percent(value) if is_share else decimal(value), span(part.get(name + SUFFIX), is_share))


def matrix(confusion: Sequence[Sequence[int]]) -> list[list[Cell]]:
    """A confusion matrix as cells, shaded by their share of the row."""
    return [[_cell(count, sum(row)) for count in row] for row in confusion]


def _cell(count: int, total: int) -> Cell:
    share = count / total if total else None
    mixed = tuple(round(a + (b - a) * (share or 0.0)) for a, b in zip(_LIGHT, _DARK, strict=True))
    return Cell(count, share, "#{:02x}{:02x}{:02x}".format(*mixed), "#ffffff" if (share or 0) > 0.5 else "#20302b")
