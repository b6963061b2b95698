"""The base of a study file's sections, and what several problems of one key are raised as."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

_SHOWN = 40  # characters of a value in a message


class Section(BaseModel):
    """What all sections share: frozen, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ProblemsError(ValueError):
    """Several problems, each with the key in the table that is validated (empty: of the value itself) and a text."""

    def __init__(self, texts: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{name}: {text}" if name else text for name, text in texts))
        self.texts = texts


def shown(value: object) -> str:
    """A value in a message, cut where it is long.

    >>> shown([1.5, "a"]), len(shown("x" * 100))
    ("[1.5, 'a']", 43)
    """
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def as_text(day: object) -> object:
    """A date of TOML, which needs no quotes, as the text of a day; anything else as it is."""
    return day.isoformat() if type(day) is datetime.date else day
