"""The scene of a run: maps are made from it once, over its own store or another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from cropcam.model import run_scene
from cropcam.model.options import Settings
from cropcam.model.run_scene import maps_of_run, scene_of_run, store_of_run
from cropcam.model.training.train import train
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.maps.class_map import open_map
from cropcam.pipeline.maps.view.layers import Scene
from cropcam.pipeline.store.patch_store import open_store
from support.stores import make_store, make_study

SIZE = 16


def scene_of(run: Path, other: Path | None, cache: Path) -> Scene:
    store = store_of_run(run, other)
    return scene_of_run(run, maps_of_run(run, store, cache, device="cpu"), store, cache)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run-scene")
    make_store(folder / "home.zarr", count=40, size_px=SIZE, study=make_study(SIZE))
    train(
        folder / "home.zarr", folder / "run", Settings(model="fcn", labels="pixels", epochs=1, batch_size=8, precision="fp32"), device="cpu"
    )
    return folder / "run"


def test_a_run_has_every_layer_and_its_maps_agree(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = scene_of(run, None, tmp_path)
    names = open_store(run.parent / "home.zarr").info.classes.names
    families = [(layer.family, layer.variant) for layer in scene.layers]
    per_class = [(family, name) for family in ("Probability", "Activation") for name in names]
    single = [(family, "") for family in ("True colour", "False colour", "Truth", "Splits", "Classes")]
    assert families == [*single, *per_class, ("Uncertainty", ""), ("Errors", "")]
    assert (scene.title, scene.kind, scene.facts["network"]) == ("run", "run", "fcn")
    assert scene.classes is not None
    with rasterio.open(scene.classes.path) as mapped, rasterio.open(scene.shares["probability"]) as shares:
        classes_YX, share_KYX = mapped.read(1), shares.read()
    known_YX = classes_YX != 255
    assert known_YX.any()
    np.testing.assert_array_equal(share_KYX.argmax(axis=0)[known_YX], classes_YX[known_YX])
    monkeypatch.setattr(run_scene, "map_raster", lambda *_, **__: pytest.fail("the maps are there"))
    again = scene_of(run, None, tmp_path)
    assert [layer.id for layer in again.layers] == [layer.id for layer in scene.layers]


def test_another_store_is_mapped_with_the_run(run: Path, tmp_path: Path) -> None:
    make_store(tmp_path / "away.zarr", count=20, size_px=SIZE, seed=7, study=make_study(SIZE))
    scene = scene_of(run, tmp_path / "away.zarr", tmp_path)
    assert scene.facts["store"] == "away.zarr"
    assert scene.classes is not None
    assert open_map(scene.classes.path).grid == open_store(tmp_path / "away.zarr").grid


def test_a_store_of_other_bands_and_a_missing_store_are_refused(run: Path, tmp_path: Path) -> None:
    make_store(tmp_path / "two.zarr", count=4, size_px=SIZE, study=make_study(SIZE, preset="demo-seasons"))
    with pytest.raises(DataError, match=r"two\.zarr: "):
        scene_of(run, tmp_path / "two.zarr", tmp_path)
    with pytest.raises(DataError, match="no such store"):
        scene_of(run, tmp_path / "absent.zarr", tmp_path)
