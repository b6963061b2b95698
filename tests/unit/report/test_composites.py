"""Composites: which bands, one stretch for a scene, pixels without data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cropcam.model.report import composites as module
from cropcam.model.report.composites import composites, scene_composites
from cropcam.pipeline.store.patch_store import open_store

BANDS = ("SR_B1", "SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B6", "SR_B7")


def test_bands_are_recognised_by_the_end_of_their_names() -> None:
    reflectance = np.linspace(0, 1, 2 * 21 * 9, dtype=np.float32).reshape(2, 21, 3, 3)
    seasons = [f"{season}_{band}" for season in (1, 2, 3) for band in BANDS]
    true, false = composites(seasons, reflectance)
    assert (true.names, false.names) == (("2_SR_B4", "2_SR_B3", "2_SR_B2"), ("2_SR_B5", "2_SR_B6", "2_SR_B4"))
    for composite in (true, false):
        for index, limits in zip(composite.bands, composite.limits, strict=True):
            assert limits == pytest.approx(np.percentile(reflectance[:, index], [2, 98]))
    (first,) = composites(["VV", "VH"], reflectance[:, :2])
    assert (first.title, first.bands) == ("first bands", (0, 1, 1))


def test_pictures_are_grey_without_data_and_true_colour_is_brighter_in_the_middle() -> None:
    reflectance = np.full((1, 7, 2, 2), 0.2, np.float32)
    reflectance[0, :, 0, 1], reflectance[0, 6, 1, 1], reflectance[0, :, 1, 0] = 0.4, np.nan, 0.3
    true, false = (item.picture(reflectance[0]) for item in composites(BANDS, reflectance))
    for picture, middle in ((true, 255 * 0.5 ** (1 / 1.4)), (false, 255 * 0.5)):
        assert picture[1, 1].tolist() == [232, 234, 231]
        assert picture[0, 1].tolist() == [255, 255, 255]
        assert picture[0, 0].tolist() == [0, 0, 0]
        np.testing.assert_allclose(picture[1, 0], middle, atol=6)


def test_a_scene_is_stretched_over_patches_of_the_whole_store(evaluated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(evaluated.parent / "patches.zarr")
    everything = store.encoding.physical(store.images(np.arange(len(store))))
    assert scene_composites(store) == composites(store.bands, everything)
    monkeypatch.setattr(module, "_VALUES", 3 * everything[0].size)  # of large patches a few
    assert scene_composites(store) == composites(store.bands, everything[[0, 10, 19]])
