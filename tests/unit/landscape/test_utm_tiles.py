"""Tiles: both zones of a border, pixels on one lattice, overlap, names."""

from __future__ import annotations

import numpy as np
import pytest

from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.landscape.utm_tiles import coarser, utm_tiles

WIDE = (-90.5, 40.0, -89.5, 40.6)


def test_every_point_of_an_area_lies_in_a_tile_of_its_zone() -> None:
    tiles = utm_tiles(WIDE, 100_000, 109_800)
    assert {tile.zone for tile in tiles} == {15, 16}
    random = np.random.default_rng(0)
    for lon, lat in zip(random.uniform(-90.5, -89.5, 200), random.uniform(40.0, 40.6, 200), strict=True):
        zone = 15 if lon < -90 else 16
        seen = 0
        for tile in tiles:
            x, y = transform_points("EPSG:4326", tile.grid.crs, lon, lat)
            west, south, east, north = tile.grid.bounds_xyxy
            seen += tile.zone == zone and west < x < east and south < y < north
        assert seen >= 1


def test_names_are_those_of_the_military_grid() -> None:
    """Champaign, Illinois lies in 16TCK, Ames, Iowa in 15TVG."""
    for lon, lat, name in ((-88.24, 40.11, "16TCK"), (-93.62, 42.03, "15TVG")):
        assert name in {tile.name for tile in utm_tiles((lon - 0.01, lat - 0.01, lon + 0.01, lat + 0.01), 100_000, 109_800)}


def test_pixels_of_all_tiles_of_a_zone_share_a_lattice_of_60_metres() -> None:
    for tile in utm_tiles(WIDE, 100_000, 109_800):
        _, _, x, _, _, y = tile.grid.transform
        assert x % 60 == 0
        assert y % 60 == 0
        assert tile.grid.width % 6 == tile.grid.height % 6 == 0
        assert coarser(tile.grid, 2).bounds_xyxy == tile.grid.bounds_xyxy


def test_elsewhere_there_is_no_land() -> None:
    with pytest.raises(ConfigError, match="the simulated landscape is the contiguous United States"):
        utm_tiles((5.0, 45.0, 6.0, 46.0), 100_000, 109_800)
