"""The places of the benchmark `travel`: simulated rasters, halves, polygons and points of a half."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import rasterio

from benchmarks import places
from cropcam.model.labels.areas import area_labels
from cropcam.model.labels.points import point_labels
from cropcam.model.labels.weak_labels import LabelSpec
from cropcam.pipeline.landscape import truth
from cropcam.pipeline.rasters.raster import open_stored
from cropcam.pipeline.store.patch_store import PatchStore, open_store
from support.stores import make_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PatchStore:
    path = tmp_path_factory.mktemp("places") / "store.zarr"
    make_store(path, count=200, size_px=8)
    return open_store(path)


def test_a_simulated_place_is_the_same_in_other_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = places.SIMULATED["B-2017"]
    for window_px in (90, 40):
        monkeypatch.setattr(places, "WINDOW_PX", window_px)
        places.simulate(place, tmp_path / str(window_px), side_px=90)
    first, second = (tmp_path / str(px) for px in (90, 40))
    for name in ("image.tif", "cdl.tif"):
        with rasterio.open(first / name) as one, rasterio.open(second / name) as other:
            np.testing.assert_array_equal(one.read(), other.read())
            assert one.read().min() > 0
    with rasterio.open(first / "cdl.tif") as file:
        wrong = file.read(1) != truth(open_stored(first / "cdl.tif").grid, place.seed, 2017)
    assert 0.005 < wrong.mean() < 0.06


def test_haze_brightens_the_short_waves_most(tmp_path: Path) -> None:
    place = places.SIMULATED["A-2016"]
    dn = []
    for haze in (0.0, 0.02):
        places.simulate(place._replace(haze=haze), tmp_path / str(haze), side_px=64)
        with rasterio.open(tmp_path / str(haze) / "image.tif") as file:
            dn.append(file.read().astype(np.float64).mean(axis=(1, 2)) * 2.75e-5)
    added = dn[1] - dn[0]
    assert (np.diff(added) < 0).all()
    assert 0.01 < added[0] < 0.03
    assert added[-1] < 0.1 * added[0]


def test_halves_hold_every_kept_patch_once(store: PatchStore) -> None:
    left, right = places.halves(store)
    np.testing.assert_array_equal(np.sort(np.concatenate([left, right])), np.arange(len(store)))
    assert store.col_N[left].max() < store.col_N[right].min()


@pytest.mark.parametrize("half", ["left", "right"])
@pytest.mark.parametrize("count", [1, 4, 16])
def test_polygons_have_the_shares_of_their_patches(store: PatchStore, tmp_path: Path, count: int, half: places.Half) -> None:
    path = places.polygons(store, count, half, tmp_path / "areas.geojson")
    place_N2 = np.stack([store.row_N, store.col_N], axis=1).astype(np.int32)
    spec = LabelSpec(labels="shares", areas=str(path))
    labels = area_labels(spec, store.info.classes, store.info.patch_grid, place_N2)
    inside = places.halves(store)[half == "right"]
    assert labels.bag_N is not None
    assert labels.image_NK is not None
    np.testing.assert_array_equal(np.flatnonzero(labels.labelled()), inside)
    bags = [inside[labels.bag_N[inside] == bag] for bag in np.unique(labels.bag_N[inside])]
    assert len(bags) == count
    for bag in bags:
        assert 0.6 < len(bag) * count / len(inside) < 1.7
        np.testing.assert_allclose(labels.image_NK[bag[0]], store.share_NK[bag].mean(axis=0), atol=1e-4)


def test_points_are_pixels_of_the_left_half(store: PatchStore, tmp_path: Path) -> None:
    path = places.points(store, 100, 0, tmp_path / "points.csv")
    place_N2 = np.stack([store.row_N, store.col_N], axis=1).astype(np.int32)
    labels = point_labels(LabelSpec(labels="points", points=str(path)), store.info.classes, store.info.patch_grid, place_N2)
    truth_NHW = places.classes(store, np.arange(len(store)))
    assert labels.pixel_NHW is not None
    drawn = labels.pixel_NHW != 255
    assert drawn.sum() == 100
    assert not drawn[places.halves(store)[1]].any()
    np.testing.assert_array_equal(labels.pixel_NHW[drawn], truth_NHW[drawn])
    again = places.points(store, 100, 0, tmp_path / "again.csv")
    assert again.read_bytes() == path.read_bytes()
    assert places.points(store, 100, 1, tmp_path / "other.csv").read_bytes() != path.read_bytes()
    with path.open(newline="") as file:
        assert next(csv.reader(file)) == ["lon", "lat", "class"]


def test_places_are_named() -> None:
    assert places.places() == ("dakota-2015", "illinois-2023", "A-2016", "A-2017", "B-2016", "B-2017")
