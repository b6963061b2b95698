"""The graph of the labels, evaluated by the embedded engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cropcam.pipeline.earthengine.graphs import graph
from support import scenes


def test_labels_below_the_confidence_are_no_labels(client: scenes.Client, archive: Path) -> None:
    study = scenes.study(labels={"confidence_min_pct": 55})
    codes, _ = scenes.nearest(archive / scenes.LABELS / "cropland.tif", study.grid)
    confidence, _ = scenes.nearest(archive / scenes.LABELS / "confidence.tif", study.grid)
    found = client.pixels(graph(study, "labels"), study.grid)
    assert np.array_equal(found[0], np.where(confidence >= 55, codes, 0))
    assert found.dtype == np.uint8


def test_without_a_least_confidence_every_code_of_cdl_is_a_label(client: scenes.Client, archive: Path) -> None:
    study = scenes.study()
    codes, inside = scenes.nearest(archive / scenes.LABELS / "cropland.tif", study.grid)
    found = client.pixels(graph(study, "labels"), study.grid)
    assert np.array_equal(found.filled(0)[0], codes)
    assert np.array_equal(np.ma.getmaskarray(found)[0], ~inside)  # `unmask` keeps the footprint of the asset
    assert 0 < inside.mean() < 1
    assert len(np.unique(codes)) == 5
