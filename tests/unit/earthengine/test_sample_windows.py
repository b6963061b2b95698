"""Windows that stand for a study: spread, inside the grid, apart, meeting the region."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.earthengine.sample_windows import windows_of
from cropcam.pipeline.grid import METRES_PER_DEGREE, Window
from cropcam.pipeline.study.study import load_study, parse_study
from support.graph_studies import variant


def test_windows_lie_in_different_thirds_of_a_large_grid() -> None:
    study = load_study("corn-belt-2016")
    found = windows_of(study)
    assert found == windows_of(study)
    assert [(window.height, window.width) for window in found] == [(256, 256)] * 3
    for size, starts in ((study.grid.height, [window.row for window in found]), (study.grid.width, [window.col for window in found])):
        assert sorted(3 * start // size for start in starts) == [0, 1, 2]
        assert all(0 <= start <= size - 256 for start in starts)


def test_a_small_grid_is_one_window() -> None:
    assert windows_of(variant(area={"bounds": [-90.0, 41.0, -89.99, 41.02]})) == [Window(0, 0, 74, 37)]


@given(st.integers(8, 2_000), st.integers(8, 2_000))
def test_windows_lie_inside_the_grid_and_beside_each_other(width: int, height: int) -> None:
    study = load_study("demo")
    scale = study.area.scale_m / METRES_PER_DEGREE
    values = study.to_dict()
    values["area"] |= {"bounds": [-90.0, 40.0, -90.0 + (width + 0.5) * scale, 40.0 + (height + 0.5) * scale]}
    values["patches"]["size_px"] = 8
    grid = parse_study(values).grid
    covered = np.zeros(grid.shape_yx, np.uint8)
    for window in windows_of(parse_study(values)):
        assert (window.height, window.width) == (min(256, height), min(256, width))
        covered[window.slices] += 1
    assert covered.max() == 1
    assert covered.sum() >= min(256, height) * min(256, width)


def test_windows_meet_the_region() -> None:
    corner = '{"type": "Polygon", "coordinates": [[[-90.3, 41.2], [-90.3, 41.0], [-90.1, 41.2], [-90.3, 41.2]]]}'
    study = variant(area={"bounds": [-90.3, 40.4, -89.3, 41.2], "region": corner})
    found = windows_of(study)
    assert len({tuple(window) for window in found}) == 3
    assert all(window.row + window.col < 1_000 for window in found)  # its north-west
    point = '{"type": "Polygon", "coordinates": [[[-89.8, 40.8], [-89.8001, 40.8], [-89.8, 40.8001], [-89.8, 40.8]]]}'
    assert len(windows_of(variant(area={"bounds": [-90.3, 40.4, -89.3, 41.2], "region": point}))) == 1
