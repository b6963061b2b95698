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
