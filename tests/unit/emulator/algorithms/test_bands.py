"""Algorithms on the bands of an image, through the real client's objects."""

from __future__ import annotations

import ee
import pytest

from cropcam.pipeline.emulator.errors import EngineError
from support.scenes import Client
from support.small_images import image


def test_bands_are_selected_renamed_and_added(client: Client) -> None:
    names = lambda made: client.value(made.bandNames())  # noqa: E731
    assert names(image().select(["c", 0])) == ["c", "a"]
    assert names(image().select("[ab]")) == ["a", "b"]
    assert names(image().select(["a", "b"], ["x", "y"])) == ["x", "y"]
    assert names(image().rename(["x", "y", "z"])) == ["x", "y", "z"]
    assert names(image().addBands(image().select("a"))) == ["a", "b", "c", "a_1"]
    assert names(image().addBands(image().select("a"), None, True)) == ["a", "b", "c"]
    assert names(ee.Image.cat([image(), 1])) == ["a", "b", "c", "constant"]
    assert names(ee.Image([1, 2])) == ["constant", "constant_1"] or names(ee.Image.constant([1, 2])) == ["constant_0", "constant_1"]
    assert client.value(image().bandTypes())["b"]["min"] == -32768
    with pytest.raises(EngineError, match=r"Band pattern 'q' did not match any bands\. Available bands: \[a, b, c\]"):
        client.value(image().select("q"))
    with pytest.raises(EngineError, match="Band index 7 out of bounds"):
        client.value(image().select(7))
    with pytest.raises(EngineError, match=r"The number of names \(2\) must match the number of bands \(3\)"):
        client.value(image().rename(["x", "y"]))


def test_bands_are_renamed_by_pattern_sliced_and_added_by_name(client: Client) -> None:
    names = lambda made: client.value(made.bandNames())  # noqa: E731
    assert names(image().regexpRename("^", "x_")) == ["x_a", "x_b", "x_c"]
    assert names(image().slice(1, 3)) == ["b", "c"]
    assert names(image().addBands(image(), ["b"])) == ["a", "b", "c", "b_1"]
    with pytest.raises(EngineError, match="Duplicate band names"):
        client.value(image().rename(["x", "x", "y"]))
