"""Polygons as well-known binary, as GeoParquet and GeoPackage hold them, written straight from the rings on the pixel grid.

Geometry objects would need several times the memory of a polygon with millions of vertices.
Source: OGC 06-103r4, Simple Feature Access, section 8.2.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.grid import AffineOrder
from cropcam.pipeline.maps.polygons_rings import Outlines
from cropcam.pipeline.maps.polygons_stores import Floats, Int32, Int64
from cropcam.pipeline.runtime.compiled import compiled

Bytes = npt.NDArray[np.uint8]
_RING_BYTES, _VERTEX_BYTES = 4, 16
_HEADER = np.frombuffer(b"\x01\x03\x00\x00\x00", np.uint8)  # little endian, polygon


def wkb(outlines: Outlines, transform: AffineOrder) -> tuple[Bytes, Int64]:
    """The polygons as well-known binary, one after the other, and the offset of each (P + 1,).

    Args:
        outlines: rings on the corners of the pixel grid.
        transform: of the grid, without rotation.
    """
    offset_P: Int64 = np.concatenate([[0], np.cumsum(wkb_bytes(outlines))])
    buffer = np.empty(int(offset_P[-1]), np.uint8)
    _write(*outlines[:2], *outlines[3:5], outlines.first_P, offset_P, _HEADER, np.array(transform), buffer)
    return buffer, offset_P


def wkb_bytes(outlines: Outlines) -> Int64:
    """How many bytes each polygon (P,) takes."""
    size_R = _RING_BYTES + _VERTEX_BYTES * (outlines.length_R + 1)  # the first vertex is repeated at the end
    return np.asarray(len(_HEADER) + _RING_BYTES + np.add.reduceat(size_R, outlines.first_P[:-1]))


def bounds(outlines: Outlines, transform: AffineOrder) -> Floats:
    """West, south, east and north (P, 4) of each polygon in CRS units."""
    box_P4 = np.empty((len(outlines.first_P) - 1, 4), np.int64)
    _boxes(*outlines[:2], *outlines[3:5], outlines.first_P, box_P4)
    a, _, c, _, e, f = transform
    x_P2, y_P2 = np.sort(c + a * box_P4[:, :2], axis=1), np.sort(f + e * box_P4[:, 2:], axis=1)
    return np.stack([x_P2[:, 0], y_P2[:, 0], x_P2[:, 1], y_P2[:, 1]], axis=1)


@compiled
def _write(
    x_V: Int32,
    y_V: Int32,
    start_R: Int64,
    length_R: Int64,
    first_P: Int64,
    offset_P: Int64,
    header: Bytes,
    transform: Floats,
    buffer: Bytes,
) -> None:
    number, pair = np.empty(1, np.uint32), np.empty(2, np.float64)
    number_bytes, pair_bytes = number.view(np.uint8), pair.view(np.uint8)
    for polygon in range(len(first_P) - 1):
        place = offset_P[polygon]
        buffer[place : place + 5] = header
        number[0] = first_P[polygon + 1] - first_P[polygon]
        buffer[place + 5 : place + 9] = number_bytes
        place += 9
        for ring in range(first_P[polygon], first_P[polygon + 1]):
            number[0] = length_R[ring] + 1
            buffer[place : place + 4] = number_bytes
            place += 4
            for index in range(length_R[ring] + 1):
                vertex = start_R[ring] + (index if index < length_R[ring] else 0)
                pair[0] = transform[2] + transform[0] * x_V[vertex]
                pair[1] = transform[5] + transform[4] * y_V[vertex]
                for byte in range(16):
                    buffer[place + byte] = pair_bytes[byte]
                place += 16


@compiled
def _boxes(x_V: Int32, y_V: Int32, start_R: Int64, length_R: Int64, first_P: Int64, box_P4: Any) -> None:  # noqa: ANN401 - two axes
    for polygon in range(len(first_P) - 1):
        outer = first_P[polygon]
        begin, end = start_R[outer], start_R[outer] + length_R[outer]
        box_P4[polygon, 0], box_P4[polygon, 1] = x_V[begin:end].min(), x_V[begin:end].max()
        box_P4[polygon, 2], box_P4[polygon, 3] = y_V[begin:end].min(), y_V[begin:end].max()
