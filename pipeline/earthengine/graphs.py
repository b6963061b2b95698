"""Graphs as JSON and as digests, which identify the pixels of an export or a delivery."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ee

from cropcam.pipeline.earthengine.composite import composite, count
from cropcam.pipeline.earthengine.labels import labels
from cropcam.pipeline.runtime.hashing import json_sha256
from cropcam.pipeline.study.study import Study

_BUILDERS: Mapping[str, Callable[[Study], ee.Image]] = {"image": composite, "labels": labels, "count": count}


def graph(study: Study, layer: str) -> ee.Image:
    """The image of one layer ("image", "labels", "count")."""
    return _BUILDERS[layer](study)


def expression(image: ee.Image) -> dict[str, Any]:
    """The image as the REST reference's Expression: `{"result": KEY, "values": {...}}`."""
    encoded: dict[str, Any] = ee.serializer.encode(image, for_cloud_api=True)
    return encoded


def algorithms(encoded: object) -> set[str]:
    """Names of all algorithms an expression invokes."""
    if isinstance(encoded, list):
        return set().union(*map(algorithms, encoded))
    if not isinstance(encoded, dict):
        return set()
    name = {str(encoded["functionName"])} if "functionName" in encoded else set()
    return name.union(*map(algorithms, encoded.values()))


def graph_digest(study: Study, layer: str) -> str:
    """sha256 (hex) of one layer's graph and grid; equal digests mean equal pixels."""
    grid = study.grid
    facts = [expression(graph(study, layer)), grid.crs, list(grid.transform), grid.width, grid.height]
    return json_sha256(facts)
