"""The difference of two outputs: relative to the largest value, and no number where they cannot be compared."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from cropcam.model.inference.output_difference import difference

NAN = float("nan")
PROBABILITY = torch.tensor([[[0.7, 0.2, NAN], [0.5, 0.1, 0.3]], [[0.3, 0.8, NAN], [0.5, 0.9, 0.7]]])[None]
CLASSES = torch.tensor([[[0, 1, 255], [0, 1, 1]]], dtype=torch.uint8)


class Fixed(nn.Module):
    def __init__(self, *outputs: Tensor) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, _dn: Tensor) -> tuple[Tensor, ...]:
        return self.outputs


def of(*outputs: Tensor) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    return lambda _dn: outputs  # type: ignore[return-value]


def found(first: Tensor, second: Tensor, *actual: Tensor) -> float:
    return difference(Fixed(first, second), of(*actual), torch.zeros(1))


def test_floats_are_compared_by_the_largest_value() -> None:
    logits, maps = torch.tensor([[1.0, -4.0]]), torch.full((1, 2, 2, 2), 10.0)
    assert found(logits, maps, logits, maps) == 0
    assert found(logits, maps, logits + 0.02, maps) == pytest.approx(0.005, rel=1e-4)
    assert found(logits, maps, logits, maps + 0.1) == pytest.approx(0.01, rel=1e-4)


def test_classes_may_differ_where_two_are_as_probable() -> None:
    equal, less, other = CLASSES.clone(), CLASSES.clone(), CLASSES.clone()
    equal[0, 1, 0] = 1
    less[0, 1, 2] = 0
    other[0, 0, 0] = 2
    assert found(PROBABILITY, CLASSES, PROBABILITY, equal) == 0
    assert found(PROBABILITY, CLASSES, PROBABILITY, less) == pytest.approx(0.4, rel=1e-5)
    assert math.isnan(found(PROBABILITY, CLASSES, PROBABILITY, other))  # there is no class 2


@pytest.mark.parametrize("case", ["shape", "type", "nodata", "nan", "infinite", "nothing"])
def test_what_cannot_be_compared_is_no_number(case: str) -> None:
    probability, classes = PROBABILITY.clone(), CLASSES.clone()
    expected = PROBABILITY
    if case == "shape":
        probability = probability[:, :1]
    elif case == "type":
        probability = probability.double()
    elif case == "nodata":
        classes[0, 0, 0] = 255
    elif case == "nan":
        probability[0, 0, 0, 0] = NAN
    elif case == "infinite":
        probability[0, 0, 0, 0] = torch.inf
    else:
        expected = probability = torch.full_like(PROBABILITY, NAN)
    assert math.isnan(found(expected, CLASSES, probability, classes))
