"""Scenes and labels as arrays: DN without fill, labels with the errors of CDL."""

from __future__ import annotations

import numpy as np

from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.grid import CDL_ORIGIN_XY, PixelGrid, Window
from cropcam.pipeline.landscape import truth
from cropcam.pipeline.landscape.frames import scenes as scenes_of
from cropcam.pipeline.landscape.scenes import Ground, covered, label_grid, labels, positions, to_dn
from cropcam.pipeline.study.study import load_study
from support.rasters import albers_square


def test_dn_never_turns_into_fill() -> None:
    np.testing.assert_array_equal(to_dn(np.array([-5, -0.2, 0, 0.1, 9], np.float32)), [1, 1, 7273, 10909, 65535])


def test_labels_err_like_cdl() -> None:
    grid = albers_square(-88.3, 40.2)
    labelled, confidence = labels(grid, 0, 2016)
    wrong = labelled != truth(grid)
    assert 0.012 < wrong.mean() < 0.045
    assert confidence.min() >= 1
    assert confidence.max() <= 100
    assert confidence[wrong].mean() < confidence[~wrong].mean() - 20
    window = Window(20, 30, 40, 50)
    np.testing.assert_array_equal(labels(grid.window(window), 0, 2016)[0], labelled[window.slices])


def test_a_label_grid_lies_on_the_lattice_of_cdl_and_covers_the_area() -> None:
    bounds = (-90.02, 41.0, -89.97, 41.04)
    grid = label_grid(bounds)
    assert (grid.crs, grid.transform[0]) == ("EPSG:5070", 30.0)
    assert (grid.transform[2] - CDL_ORIGIN_XY[0]) % 30 == (grid.transform[5] - CDL_ORIGIN_XY[1]) % 30 == 0
    corners = transform_points("EPSG:4326", "EPSG:5070", [bounds[0], bounds[2]], [bounds[1], bounds[3]])
    row, col = grid.index(*corners)
    assert (row >= 0).all()
    assert (col >= 0).all()
    inside = covered(grid, bounds)
    assert inside[row, col].all()
    assert 0.2 < inside.mean() < 0.9
    assert not inside[0, 0]


def test_a_window_of_a_scene_is_the_same_alone() -> None:
    study = load_study("demo")
    scene = scenes_of(study)[0]
    x, y = transform_points("EPSG:4326", scene.frame.grid.crs, -90.02, 41.0)
    row, col = (int(value) for value in scene.frame.grid.index(x, y))
    whole = Ground(scene.frame, Window(row, col, 40, 50), 0).block(scene)
    part = Ground(scene.frame, Window(row + 10, col + 20, 12, 15), 0).block(scene)
    assert (whole.dn > 0).any()
    for one, all_ in zip(part, whole, strict=True):
        np.testing.assert_array_equal(one, all_[..., 10:22, 20:35])
    np.testing.assert_array_equal((whole.dn == 0).any(axis=0), whole.qa_pixel == 1)


def test_positions_of_another_crs_are_those_of_the_same_points() -> None:
    grid = PixelGrid("EPSG:32616", (30.0, 0.0, 410_000.0, 0.0, -30.0, 4_475_700.0), 5, 4)
    x_m, y_m = positions(grid)
    back = transform_points("EPSG:5070", grid.crs, x_m, y_m)
    np.testing.assert_allclose(back, np.meshgrid(*grid.centres()), atol=1e-4)
