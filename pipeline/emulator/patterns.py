"""Regular expressions of requests: matched in bounded time, while other requests are answered.

The standard library's matcher cannot be stopped and holds all threads: (a|a)*$ takes years.
"""

from __future__ import annotations

from typing import Any

import regex as expressions  # type: ignore[import-untyped]

from cropcam.pipeline.emulator import budget
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.service_texts import TEXTS

_FLAGS = {"i": expressions.IGNORECASE, "m": expressions.MULTILINE, "s": expressions.DOTALL}
_CHARACTERS = 1_000  # of an expression
_MATCHING_S = 10.0


def apply(method: str, pattern: str, *arguments: Any, flags: str = "", **options: Any) -> Any:  # noqa: ANN401 - the method's own
    """A method of a compiled expression: "search", "fullmatch", "sub", "split".

    Args:
        method: its name.
        pattern: the expression.
        *arguments: of the method.
        flags: of "i", "m" and "s"; others have no effect.
        **options: of the method.

    Raises:
        EngineError: no expression, or one that takes too long.
    """
    if len(pattern) > _CHARACTERS:
        raise EngineError(f"Invalid regular expression of {len(pattern)} characters: {_CHARACTERS} are allowed.")
    combined = 0
    for flag in flags:
        combined |= _FLAGS.get(flag, 0)
    try:
        compiled = expressions.compile(pattern, combined)
        return getattr(compiled, method)(*arguments, **options, timeout=budget.seconds_left(_MATCHING_S), concurrent=True)
    except TimeoutError:
        raise TEXTS["timeout"].error() from None
    except (expressions.error, IndexError, OverflowError, RecursionError) as error:
        raise EngineError(f"Invalid regular expression '{pattern}': {error}.") from None


def matches(pattern: str, text: str) -> bool:
    """Whether an expression matches the whole text.

    Raises:
        EngineError: no expression, or one that takes too long.
    """
    return apply("fullmatch", pattern, text) is not None


def replaced(pattern: str, replacement: str, text: str, *, flags: str = "", every: bool = True) -> str:
    """The text with matches replaced; $1 stands for the first group.

    Raises:
        EngineError: no expression, one that takes too long, or a result that is too long.
    """
    target = expressions.sub(r"\$(\d)", r"\\\1", replacement)
    longest = len(target) + target.count("\\") * len(text)
    budget.check_text(len(text) + (len(text) + 1 if every else 1) * longest)
    result: str = apply("sub", pattern, target, text, flags=flags, count=0 if every else 1)
    return result
