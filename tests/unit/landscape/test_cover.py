"""Land cover: pure in position, rotating crops, varied enough to learn from."""

from __future__ import annotations

import numpy as np

from cropcam.pipeline.grid import Window
from cropcam.pipeline.landscape import truth
from cropcam.pipeline.landscape.spectra import CLASS_OF_CODE
from cropcam.pipeline.study.study import load_study
from support.rasters import albers_square


def test_truth_is_the_same_through_any_window() -> None:
    grid = albers_square(-90.02, 41.0)
    whole = truth(grid, 3)
    assert whole.dtype == np.uint8
    assert whole.shape == grid.shape_yx
    assert set(np.unique(whole)) <= set(CLASS_OF_CODE)
    for window in (Window(0, 0, 40, 50), Window(37, 61, 64, 33), Window(grid.height - 1, grid.width - 1, 1, 1)):
        np.testing.assert_array_equal(truth(grid.window(window), 3), whole[window.slices])
    assert (truth(grid, 4) != whole).mean() > 0.2


def test_crops_rotate_but_woods_and_water_stay() -> None:
    grid = albers_square(-89.5, 40.0, 0.1)
    one, two = truth(grid, 0, 2016), truth(grid, 0, 2017)
    crops = np.isin(one, (1, 5))
    assert 0.1 < (one != two)[crops].mean() < 0.95
    lasting = one > 100
    np.testing.assert_array_equal(one[lasting], two[lasting])


def test_demo_classes_come_and_go_from_patch_to_patch() -> None:
    study = load_study("demo")
    classes = study.legend.index(truth(study.grid, 0))
    size, patches = study.patches.size_px, study.patch_grid
    cut = classes[: patches.rows * size, : patches.columns * size]
    per_patch = cut.reshape(patches.rows, size, patches.columns, size).transpose(0, 2, 1, 3).reshape(patches.count, -1)
    for index, name in enumerate(study.legend.names):
        share = (per_patch == index).mean(1)
        present = (share > study.labels.presence_min_share).mean()
        assert 0.35 < present < 0.85, f"{name} is present in {present:.2f} of the patches"
        assert share.max() > 0.5 or name == "background"
    for name in ("corn", "soybean", "forest", "grassland"):
        assert (per_patch != study.legend.names.index(name)).all(1).mean() > 0.03, f"no patch lacks {name}"
