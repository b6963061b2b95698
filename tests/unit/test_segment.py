"""From activation maps to classes."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.segment import DEFAULT, METHODS, argmax


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 7))
def test_argmax_is_numpys(seed: int, classes: int) -> None:
    scores = torch.randn((3, classes, 5, 4), generator=torch.Generator().manual_seed(seed))
    found = argmax(scores)
    assert found.dtype == torch.uint8
    np.testing.assert_array_equal(found.numpy(), scores.numpy().argmax(axis=1))


def test_adding_the_same_to_every_class_changes_nothing() -> None:
    scores = torch.randn((2, 5, 6, 6), generator=torch.Generator().manual_seed(1))
    assert torch.equal(argmax(scores), argmax(scores + 3.0))


def test_the_default_is_registered() -> None:
    assert METHODS[DEFAULT] is argmax
