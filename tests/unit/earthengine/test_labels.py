"""The graph of the labels, evaluated by the embedded engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cropcam.pipeline.earthengine.graphs import graph
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.study.study import parse_study
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
    assert not inside.all()
    assert not np.ma.getmaskarray(found).any()  # nor outside the footprint of the asset, where a masked pixel would be 0
    assert 0 < inside.mean() < 1
    assert len(np.unique(codes)) == 5


def test_a_band_of_another_legend_by_number_and_by_name(client: scenes.Client, archive: Path) -> None:
    legend = {"0": "A", "1": "B", "5": "C", "141": "D", "176": "E", "300": "F"}
    codes, inside = scenes.nearest(archive / scenes.LABELS / "cropland.tif", scenes.study().grid)
    for band in ("", 1, "cropland"):
        study = scenes.study(labels={"legend": legend, "band": band, "nodata": [5, 9]}, classes={"a": ["D"]})
        image = graph(study, "labels")
        found = client.pixels(image, study.grid)
        assert client.value(image.bandNames()) == ["label"]
        assert found.dtype == np.uint16
        assert not np.ma.getmaskarray(found).any()
        # 0 is a class here, so that pixels without a code, which are 0 in the asset's file, get the code of `nodata`
        np.testing.assert_array_equal(found.data[0][inside], np.where(codes == 0, 5, codes)[inside])
        assert (found.data[0][~inside] == 5).all()
    confidence = scenes.study(labels={"legend": {str(code): f"c{code}" for code in range(256)}, "band": 2}, classes={"a": [1]})
    values, _ = scenes.nearest(archive / scenes.LABELS / "confidence.tif", confidence.grid)
    found = client.pixels(graph(confidence, "labels"), confidence.grid).data[0][inside]
    np.testing.assert_array_equal(found, np.where(values == 0, 65_535, values.astype(int))[inside])  # every smaller code is a class


def test_a_study_without_labels_has_no_graph_of_them() -> None:
    values = scenes.study().to_dict()
    del values["labels"]
    with pytest.raises(ConfigError, match="the layer of labels needs labels, and the study demo has none"):
        graph(parse_study(values), "labels")
