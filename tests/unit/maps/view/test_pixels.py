"""A pixel under a click, against the arrays of the artefacts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import Window
from cropcam.pipeline.maps.view.layers import Scene
from cropcam.pipeline.maps.view.pixels import pixel
from support.views import Artefacts, centre


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row=st.integers(0, 287), col=st.integers(0, 1247))
def test_every_value_is_that_of_the_pixel_that_holds_the_point(scene: Scene, artefacts: Artefacts, row: int, col: int) -> None:
    found = pixel(scene, *centre(scene.grid, row, col))
    names = artefacts.opened().info.classes.names
    assert (found["inside"], found["row"], found["col"]) == (True, row, col)
    mapped, true = artefacts.classes_YX[row, col], artefacts.truth_YX[row, col]
    assert found["class"] == (None if mapped == 255 else names[mapped])
    assert found["truth"] == (None if true == 255 else names[true])
    shares = [None if value == 255 else value / 250 for value in artefacts.probability_KYX[:, row, col].tolist()]
    assert found["probability"] == shares
    if mapped != 255:
        assert int(np.argmax(shares)) == mapped
        assert found["uncertainty"] == artefacts.uncertainty_YX[row, col] / 250
    store = artefacts.opened()
    values = store.encoding.physical(store.read(Window(row, col, 1, 1))).ravel()
    assert list(found["bands"]) == list(store.bands)
    for name, value in zip(store.bands, values, strict=True):
        assert found["bands"][name] == (None if np.isnan(value) else pytest.approx(float(value)))
    json.dumps(found, allow_nan=False)


def test_the_outline_holds_the_point(scene: Scene) -> None:
    lon, lat = centre(scene.grid, 7, 9)
    north, west = scene.grid.transform[5], scene.grid.transform[2]
    step = scene.grid.transform[0]
    corners = pixel(scene, lon, lat)["outline"]
    expected = [[north - 7 * step, west + 9 * step], [north - 7 * step, west + 10 * step]]
    np.testing.assert_allclose(corners[:2], expected)
    assert min(corner[0] for corner in corners) < lat < max(corner[0] for corner in corners)


def test_a_file_that_went_away_is_one_line(scene: Scene, tmp_path: Path) -> None:
    gone = replace(scene, shares={"uncertainty": tmp_path / "gone.tif"})
    with pytest.raises(DataError, match=r"^gone\.tif: cannot be read any more; start cropcam view again$"):
        pixel(gone, *centre(scene.grid, 7, 9))


def test_a_point_outside_is_outside(scene: Scene) -> None:
    assert pixel(scene, 0.0, 0.0) == {"inside": False, "lon": 0.0, "lat": 0.0}
