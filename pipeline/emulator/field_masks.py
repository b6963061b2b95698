"""Partial responses: the `fields` parameter of Google's older APIs.

Source: Drive API guide "Return specific fields"; Cloud Storage JSON API "Partial response".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

Mask = dict[str, Any]  # name -> the mask inside it; empty: all of it
_TOKEN = re.compile(r"\s*([A-Za-z0-9_*]+|[(),/])")


class MaskError(ValueError):
    """A `fields` parameter that names what the resource does not have, or is malformed."""


def parse_mask(text: str) -> Mask:
    """The mask of a `fields` parameter, for example "nextPageToken,files(id,owners/me)".

    Raises:
        MaskError: malformed.
    """
    tokens, place = [], 0
    while text[place:].strip():
        match = _TOKEN.match(text, place)
        if match is None:
            raise MaskError(text[place:].strip())
        tokens.append(match[1])
        place = match.end()
    mask = _list(tokens, "")
    if tokens or not mask:
        raise MaskError(text)
    return mask


def masked(value: Any, mask: Mask) -> Any:  # noqa: ANN401 - JSON
    """The parts of a JSON value that a mask names; in a list, of each of its values."""
    if not mask or "*" in mask:
        return value
    if isinstance(value, list):
        return [masked(item, mask) for item in value]
    if isinstance(value, Mapping):
        return {key: masked(value[key], inner) for key, inner in mask.items() if key in value}
    return value


@cache
def resource_fields(api: str, schema: str) -> frozenset[str]:
    """The names of a resource's fields, by the discovery document that google-api-python-client ships.

    Args:
        api: for example "drive.v3".
        schema: for example "File".
    """
    text = resources.files("googleapiclient.discovery_cache").joinpath("documents", f"{api}.json").read_text("utf-8")
    return frozenset(json.loads(text)["schemas"][schema]["properties"])


def check_mask(mask: Mask, known: frozenset[str]) -> None:
    """Refuse names that a resource does not have.

    Raises:
        MaskError: the first such name.
    """
    for name in mask:
        if name != "*" and name not in known:
            raise MaskError(name)


def _list(tokens: list[str], end: str) -> Mask:
    mask: Mask = {}
    while True:
        name, inner = _path(tokens)
        mask[name] = mask.get(name, {}) | inner
        if tokens and tokens[0] == ",":
            tokens.pop(0)
            continue
        if end and (not tokens or tokens.pop(0) != end):
            raise MaskError(name)
        return mask


def _path(tokens: list[str]) -> tuple[str, Mask]:
    if not tokens or tokens[0] in "(),/":
        raise MaskError(tokens[0] if tokens else "of no name")
    name = tokens.pop(0)
    if tokens and tokens[0] == "/":
        tokens.pop(0)
        inner, deeper = _path(tokens)
        return name, {inner: deeper}
    if tokens and tokens[0] == "(":
        tokens.pop(0)
        return name, _list(tokens, ")")
    return name, {}
