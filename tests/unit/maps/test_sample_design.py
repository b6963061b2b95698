"""The sizes and the pixels of stratified samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.maps import class_map
from cropcam.pipeline.maps.class_map import open_map
from cropcam.pipeline.maps.sample_design import allocate, draw, sample_size
from support.maps import write_map


def test_the_published_sample_size() -> None:
    """Olofsson et al. 2014, section 5.1.1: 641 points for a standard error of 0.01."""
    share = np.array([0.02, 0.015, 0.32, 0.645])
    assert sample_size(share, np.array([0.7, 0.6, 0.9, 0.95]), 0.01) == 641


@settings(max_examples=80, deadline=None)
@given(pixels=st.lists(st.integers(0, 10_000), min_size=1, max_size=6).filter(any), total=st.integers(0, 900))
def test_every_class_has_its_points_and_all_have_the_total(pixels: list[int], total: int) -> None:
    pixels_K = np.array(pixels)
    count_K = allocate(pixels_K, total)
    assert (count_K >= np.minimum(pixels_K, 25)).all()
    assert (count_K <= pixels_K).all()
    least = int(np.minimum(pixels_K, 25).sum())
    assert count_K.sum() == min(max(total, 100, least), pixels_K.sum())


def test_the_rest_goes_by_area() -> None:
    assert allocate(np.array([100_000, 300_000]), 250).tolist() == [75, 175]
    assert allocate(np.array([100_000, 10, 300_000, 0]), 0).tolist() == [35, 10, 55, 0]


def test_drawn_pixels_are_of_their_class_once_and_by_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_map, "BLOCK_PX", 32)
    classes = np.random.default_rng(0).integers(0, 3, (90, 70)).astype(np.uint8)
    classes[:30, :20] = 255
    opened = open_map(write_map(tmp_path / "map.tif", classes))
    pixels = np.bincount(classes[classes != 255], minlength=5)
    count = np.array([25, 40, pixels[2], 0, 0])
    drawn = draw(opened, pixels, count, 5)
    assert (classes[drawn.row_S, drawn.col_S] == drawn.class_S).all()
    assert len(set(zip(drawn.row_S.tolist(), drawn.col_S.tolist(), strict=True))) == count.sum()
    again, other = draw(opened, pixels, count, 5), draw(opened, pixels, count, 6)
    np.testing.assert_array_equal(again.row_S, drawn.row_S)
    assert (other.row_S != drawn.row_S).any()
    with pytest.raises(DataError, match="changed while the sample was drawn; draw it again"):
        draw(opened, pixels + 1, count, 5)


def test_each_pixel_has_the_same_chance(tmp_path: Path) -> None:
    classes = np.zeros((8, 8), np.uint8)
    classes[:, 4:] = 1
    opened = open_map(write_map(tmp_path / "map.tif", classes))
    hits = np.zeros((8, 8))
    for seed in range(300):
        drawn = draw(opened, np.array([32, 32, 0, 0, 0]), np.array([8, 8, 0, 0, 0]), seed)
        hits[drawn.row_S, drawn.col_S] += 1
    assert abs(hits / 300 - 0.25).max() < 0.12  # five standard errors
