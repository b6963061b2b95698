"""The known name that a user may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The known name that is most like another, case aside; empty where none is like it.

    >>> nearest("Sentinel2", ["landsat", "sentinel-2"]), nearest("x", ["landsat"])
    ('sentinel-2', '')
    """
    plain = {each.casefold(): each for each in known}
    near = difflib.get_close_matches(name.casefold(), plain, 1, cutoff)
    return plain[near[0]] if near else ""
