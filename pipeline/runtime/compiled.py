"""Loops compiled by numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

Loop = TypeVar("Loop", bound=Callable[..., Any])


def compiled(loop: Loop) -> Loop:
    """A function of arrays and numbers, compiled at its first call, which frees the GIL; kept on disk where its folder can be written."""
    try:
        found: Any = numba.njit(nogil=True, cache=True)(loop)
    except RuntimeError:  # no writable cache folder: each process compiles
        found = numba.njit(nogil=True)(loop)
    return found  # type: ignore[no-any-return]


def inlined(part: Loop) -> Loop:
    """A part of a loop that is compiled into its callers: for parts of many arrays that are called for each pixel, where a call costs more than the part."""
    found: Any = numba.njit(inline="always")(part)
    return found  # type: ignore[no-any-return]
