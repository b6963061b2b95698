"""Formulas over images, through the real client's objects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cropcam.pipeline.emulator.errors import EngineError
from support.scenes import Client
from support.small_images import GRID, B, image


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("b('b') + 2 * X", B + 6.0),
        ("(b(1) - X) / (b(1) + 100)", (B - 3) / (B + 100)),
        ("-b('b') ** 2", -(B.astype(float) ** 2)),
        ("I.b > 0 && I['b'] < 3", (B > 0) & (B < 3)),
        ("!(b('b') == 1) || 0", B != 1),
        ("b('b') < 0 ? 10 : b('b') > 3 ? 20 : 30", np.select([B < 0, B > 3], [10, 20], 30)),
        ("max(b('b'), X) % 4", np.maximum(B, 3) % 4),
        ("abs(b('b')) & 3 | 8", (np.abs(B) & 3) | 8),
        ("1e1 + .5 - +b('b')", 10.5 - B),
        ("1 + 1 << 2 | b('b') * 0", np.full((3, 4), 8)),
    ],
)
def test_formulas(client: Client, formula: str, expected: Any) -> None:
    made = image().expression(formula, {"X": 3, "I": image()})
    np.testing.assert_allclose(client.pixels(made, GRID)[0], expected)


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("b('b') +", "ends too early"),
        ("b('b') b", "Unexpected 'b'"),
        ("Y + 1", "Unrecognized variable 'Y'"),
        ("erf(b('b'))", "function 'erf' is not implemented"),
        (") + 1", r"Unexpected '\)'"),
        ("'x' + 1", "Only images and numbers"),
        ("0.5 & 1", "Bitwise operands must be integer only"),
    ],
)
def test_bad_formulas_are_refused(client: Client, formula: str, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        client.value(image().expression(formula, {"X": 3}))
