"""The algorithm behind `ee.Image.expression`.

Source: Earth Engine API, ee.Image.expression.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cropcam.pipeline.emulator.algorithms.masks import where
from cropcam.pipeline.emulator.elements import Callback
from cropcam.pipeline.emulator.errors import EngineError, unimplemented
from cropcam.pipeline.emulator.expression_parser import Language, evaluate
from cropcam.pipeline.emulator.images import LazyImage
from cropcam.pipeline.emulator.operators import BINARY, UNARY
from cropcam.pipeline.emulator.registry import NotPromotable, algorithm, find, promote
from cropcam.pipeline.emulator.values import Value


@algorithm("Image.parseExpression", refused=("mapFreeVarsToDefaultImageBands",))
def parse_expression(expression: str, argName: str, vars: list[str]) -> Callback:  # noqa: A002
    """The function of an image and variables that a formula writes; b(...) is a band of the image."""

    def call(*values: Value) -> LazyImage:
        given = dict(zip(vars, values, strict=True))
        return _image(evaluate(expression, _language(given, argName)))

    return Callback(tuple(vars), call)


def _language(given: Mapping[str, Any], image_name: str) -> Language:
    def name(word: str) -> Value:
        if word not in given:
            raise EngineError(f"Image.parseExpression: Unrecognized variable '{word}'.")
        return given[word]

    def call(word: str, arguments: list[Any]) -> Value:
        if word == "b":
            return _band(given[image_name], arguments[0]) if len(arguments) == 1 else _bands(given[image_name], arguments)
        if word not in BINARY and word not in UNARY:
            raise unimplemented(f"Image.parseExpression: function '{word}'")
        return _apply(word, *arguments)

    return Language(_apply, call, name, _band)


def _apply(operation: str, *operands: Value) -> LazyImage:
    images = [_image(operand) for operand in operands]
    if operation == "where":
        return where(*images)
    names = ("image1", "image2") if operation in BINARY else ("value",)
    image: LazyImage = find(f"Image.{operation}").call(dict(zip(names, images, strict=False)), None)
    return image


def _band(value: Value, selector: Value) -> LazyImage:
    return _bands(value, [selector])


def _bands(value: Value, selectors: list[Any]) -> LazyImage:
    image: LazyImage = find("Image.select").call({"input": _image(value), "bandSelectors": selectors}, None)
    return image


def _image(value: Value) -> LazyImage:
    try:
        image: LazyImage = promote(value, LazyImage)
    except NotPromotable:
        raise EngineError("Image.parseExpression: Only images and numbers can be calculated with.") from None
    return image
