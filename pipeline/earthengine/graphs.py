"""Graphs as JSON and as digests, which identify the pixels of an export or a delivery."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ee

from cropcam.pipeline.earthengine.composite import composite, count
from cropcam.pipeline.earthengine.labels import labels
from cropcam.pipeline.earthengine.nearby import nearby
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.runtime.hashing import json_sha256
from cropcam.pipeline.study.study import Study

_BUILDERS: Mapping[str, Callable[[Study, ee.Geometry | None], ee.Image]] = {"image": composite, "labels": labels, "count": count}


def graph(study: Study, layer: str, grid: PixelGrid | None = None) -> ee.Image:
    """The image of one layer ("image", "labels", "count").

    Args:
        study: the study.
        layer: its name.
        grid: a window or cell of the study's grid. The image then has these pixels from the scenes and label images near them alone:
            the same pixels for less work. Outside that window its pixels mean nothing. Its digest stays that of the study (`graph_digest`).
    """
    return _BUILDERS[layer](study, None if grid is None else nearby(study, grid))


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
