"""Percentiles of a store's bands from the histograms among its statistics."""

from __future__ import annotations

from typing import Any

import numpy as np

from cropcam.pipeline.encoding import BandEncoding


def percentiles(statistics: dict[str, Any], encoding: BandEncoding, shares: tuple[float, ...] = (0.02, 0.5, 0.98)) -> list[list[float]]:
    """Percentiles per band of the training split in physical units, interpolated within a histogram bin."""
    edges, found = np.array(statistics["histogram"]["edges"]), []
    for counts, scale, offset in zip(statistics["histogram"]["counts"], encoding.scale, encoding.offset, strict=True):
        cumulated = np.concatenate([[0], np.cumsum(counts)])
        below = np.array(shares) if scale > 0 else 1 - np.array(shares)  # a negative scale turns the order of stored values round
        values = np.interp(below * cumulated[-1], cumulated, edges)
        found.append((values * scale + offset).tolist())
    return found
