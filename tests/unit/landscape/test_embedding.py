"""Embeddings of the landscape: unit vectors, one image a year, and they tell crops apart."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cropcam.pipeline.grid import Window
from cropcam.pipeline.landscape import simulate, truth
from cropcam.pipeline.landscape.embedding import BANDS, COLLECTION, vectors
from cropcam.pipeline.landscape.utm_tiles import utm_tiles
from support.sensor_archives import BOUNDS, small

YEARS = [["2017-01-01", "2019-01-01"]]


def test_vectors_have_length_1_and_windows_agree() -> None:
    tile = utm_tiles(tuple(BOUNDS), 163_840, 163_840)[0]
    whole = vectors(tile, Window(0, 0, 40, 50), 0, 2018)
    assert whole.shape == (64, 40, 50)
    np.testing.assert_allclose(np.square(whole).sum(axis=0), 1, rtol=1e-5)
    np.testing.assert_allclose(vectors(tile, Window(7, 9, 20, 30), 0, 2018), whole[:, 7:27, 9:39], atol=1e-6)


def test_crops_lie_apart() -> None:
    tile = utm_tiles((-90.05, 41.0, -90.0, 41.05), 163_840, 163_840)[0]
    window = Window(0, 0, 300, 300)
    found, codes = vectors(tile, window, 0, 2018), truth(tile.grid.window(window), 0, 2018)
    corn, soybean = (found[:, codes == code] for code in (1, 5))
    assert min(corn.shape[1], soybean.shape[1]) > 500
    direction = corn.mean(axis=1) - soybean.mean(axis=1)
    scores = [direction @ part for part in (corn, soybean)]
    middle = (scores[0].mean() + scores[1].mean()) / 2
    assert ((scores[0] > middle).mean() + (scores[1] < middle).mean()) / 2 > 0.85


def test_one_image_a_year_and_tile(tmp_path: Path) -> None:
    summary = simulate(small("satellite-embedding", seasons=YEARS), tmp_path)
    images = sorted((tmp_path / COLLECTION).iterdir())
    assert len(images) == summary.written == 4  # two zones, two years
    about = json.loads((images[0] / "asset.json").read_text())
    assert about["bands"] == list(BANDS)
    assert about["properties"]["system:time_end"] - about["properties"]["system:time_start"] == pytest.approx(365 * 86_400_000)
    assert simulate(small("satellite-embedding", seasons=YEARS), tmp_path).written == 0
