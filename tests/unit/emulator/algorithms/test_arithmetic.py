"""Functions of images pixel by pixel and the types of their results, through the real client's objects."""

from __future__ import annotations

from typing import Any

import ee
import numpy as np
import pytest

from cropcam.pipeline.emulator.errors import EngineError
from support.scenes import Client
from support.small_images import GRID, A, B, C, data_types, image


@pytest.mark.parametrize(
    ("made", "expected", "kind"),
    [
        (lambda i: i.select("a").add(i.select("a")), A.astype(int) * 2, ("int", 0, 131070)),
        (lambda i: i.select("a").subtract(70_000), A.astype(int) - 70_000, ("int", -70000, -4465)),
        (lambda i: i.select("a").multiply(0.0000275), A * 0.0000275, ("double", None, None)),
        (lambda i: i.select("c").multiply(2), C * 2, ("float", None, None)),
        (lambda i: i.select("c").add(0.5), C.astype(float) + 0.5, ("double", None, None)),
        (lambda i: i.select("a").divide(i.select("b")), np.divide(A, B, out=np.zeros((3, 4)), where=B != 0), ("double", None, None)),
        (lambda i: i.select("a").mod(7), A % 7, ("int", 0, 65535)),
        (lambda i: i.select("a").bitwiseAnd(31), A & 31, ("int", 0, 31)),
        (lambda i: i.select("a").bitwiseOr(7), A | 7, ("int", 0, 65535)),
        (lambda i: i.select("a").leftShift(2), A.astype(int) << 2, ("int", 0, 262140)),
        (lambda i: i.select("a").rightShift(3), A >> 3, ("int", 0, 65535)),
        (lambda i: i.select("b").abs(), np.abs(B), ("int", 0, 32768)),
        (lambda i: i.select("b").lt(0), B < 0, ("int", 0, 1)),
        (lambda i: i.select("b").gte(0).And(i.select("a").gt(20000)), (B >= 0) & (A > 20000), ("int", 0, 1)),
        (lambda i: i.select("b").Not(), B == 0, ("int", 0, 1)),
        (lambda i: i.select("c").floor(), np.floor(C), ("float", None, None)),
        (lambda i: i.select("c").round(), np.floor(C + 0.5), ("float", None, None)),
        (lambda i: i.select("c").toInt16(), C.astype(np.int16), ("int", -32768, 32767)),
        (lambda i: i.select("b").toUint8(), np.clip(B, 0, 255), ("int", 0, 255)),
        (lambda i: i.select("a").toFloat(), A.astype(np.float32), ("float", None, None)),
        (lambda i: i.select("b").max(2), np.maximum(B, 2), ("int", 2, 32767)),
        (lambda i: i.select("b").pow(2), B.astype(float) ** 2, ("double", None, None)),
        (lambda i: i.select("a").normalizedDifference(["a", "a"]), np.zeros((3, 4)), ("float", None, None)),
        (lambda i: i.select("b").where(i.select("b").lt(0), 9), np.where(B < 0, 9, B), ("int", -32768, 32767)),
    ],
)  # fmt: skip
def test_operations_and_the_types_of_their_results(client: Client, made: Any, expected: np.ndarray, kind: tuple[Any, ...]) -> None:
    built = made(image())
    pixels = client.pixels(built, GRID)[0]
    valid = ~np.ma.getmaskarray(pixels)
    assert valid.sum() >= 11
    np.testing.assert_array_equal(pixels.data[valid], np.asarray(expected, pixels.dtype)[valid])
    found = data_types(client, built)[0]
    assert found == kind or (found[0] == "double" and kind[0] == "double")


def test_bands_of_two_images_pair_by_name_by_order_or_with_a_single_band(client: Client) -> None:
    swapped = image().select(["b", "a"])
    np.testing.assert_array_equal(client.pixels(image().select(["a", "b"]).subtract(swapped), GRID).filled(0), 0)
    renamed = swapped.rename(["x", "y"])
    np.testing.assert_array_equal(
        client.pixels(image().select(["a", "b"]).add(renamed), GRID).data[0].ravel()[1:], (A.astype(int) + B).ravel()[1:]
    )
    assert client.value(ee.Image(1).add(image().select(["a", "b"])).bandNames()) == ["a", "b"]
    with pytest.raises(EngineError, match="same number of bands"):
        client.value(image().add(renamed))


def test_clamp_and_unit_scale(client: Client) -> None:
    b = image().select("b")
    np.testing.assert_array_equal(client.pixels(b.clamp(-2, 3), GRID)[0], np.clip(B, -2, 3))
    assert data_types(client, b.clamp(-2, 3)) == [("int", -2, 3)]
    np.testing.assert_allclose(client.pixels(b.unitScale(-5, 6), GRID)[0], (B + 5) / 11)


def test_a_normalized_difference_needs_two_bands(client: Client) -> None:
    with pytest.raises(EngineError, match="Exactly two bands are required"):
        client.value(image().normalizedDifference(["a"]))
