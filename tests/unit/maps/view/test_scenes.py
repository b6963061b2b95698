"""Which layers a map and a store have."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid, Window
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.maps.class_map import open_map
from cropcam.pipeline.maps.view.layers import Scene
from cropcam.pipeline.maps.view.scenes import of_map, of_store, with_store
from cropcam.pipeline.store.patch_store import open_store
from support.maps import retag, write_map
from support.stores import make_store, make_study
from support.views import Artefacts, write_shares

SHARES = [f"probability-{number}" for number in range(5)]


def ids(scene: Scene) -> list[str]:
    return [layer.id for layer in scene.layers]


def copied(artefacts: Artefacts, folder: Path) -> Path:
    for path in artefacts.map.parent.glob("map*"):
        shutil.copy(path, folder)
    return folder / artefacts.map.name


def test_a_store_has_pictures_truth_and_splits(artefacts: Artefacts, tmp_path: Path) -> None:
    scene = of_store(artefacts.opened(), tmp_path)
    assert ids(scene) == ["true-colour-1", "false-colour-1", "truth", "splits"]
    assert scene.facts["patches"].startswith("618 of 624 (")
    assert scene.legend == artefacts.opened().info.classes


def test_seasons_are_variants_of_true_and_false_colour(tmp_path: Path) -> None:
    make_store(tmp_path / "s.zarr", count=8, size_px=24, study=make_study(24, preset="demo-seasons"), labels=False)
    scene = of_store(open_store(tmp_path / "s.zarr"), tmp_path)
    seasons = len({layer.variant for layer in scene.layers if layer.family == "True colour"})
    assert seasons > 1
    assert [layer.family for layer in scene.layers] == [*["True colour"] * seasons, *["False colour"] * seasons, "Splits"]


def test_a_map_has_the_files_that_its_tags_name(artefacts: Artefacts) -> None:
    scene = of_map(artefacts.map)
    assert ids(scene) == ["classes", *SHARES, "uncertainty"]
    assert [scene.layers[1].variant, scene.layers[1].bands] == ["background", (1,)]
    assert scene.facts["inputs"] == "demo.zarr"


@pytest.mark.parametrize("name", ["../map-probabilities.tif", "/etc/passwd", "absent.tif", ".", ".."])
def test_a_tag_that_leads_elsewhere_names_nothing(artefacts: Artefacts, tmp_path: Path, name: str) -> None:
    path = copied(artefacts, tmp_path)
    shutil.copy(artefacts.map.parent / "map-probabilities.tif", tmp_path.parent)
    assert ids(of_map(retag(path, probabilities=name, uncertainty=name))) == ["classes"]


def test_a_sieved_map_with_known_areas_has_it_in_its_notes(artefacts: Artefacts, tmp_path: Path) -> None:
    scene = of_map(retag(copied(artefacts, tmp_path), sieve_ha="2", known_areas="areas.csv: 0.5 0.5"))
    assert (scene.facts["sieve, ha"], scene.facts["known areas"]) == ("2", "areas.csv: 0.5 0.5")
    assert scene.layers[0].note == "Patches below 2 ha have the class of their largest neighbour, not their most probable one."
    assert scene.layers[1].note == "Calibrated probability of the class, shifted to the known areas."
    assert not of_map(artefacts.map).layers[0].note


def test_with_a_store_map_and_truth_are_compared(scene: Scene) -> None:
    assert ids(scene) == ["true-colour-1", "false-colour-1", "truth", "splits", "classes", *SHARES, "uncertainty", "errors"]
    assert scene.opened_with == ("classes", "true-colour-1")
    assert scene.truth is not None
    assert scene.truth.legend.names == scene.classes.legend.names if scene.classes else False


def test_a_file_of_another_grid_or_of_other_bands_is_refused(artefacts: Artefacts, tmp_path: Path) -> None:
    path = copied(artefacts, tmp_path)
    grid, legend = open_map(path).grid, open_map(path).legend
    beside = tmp_path / "map-probabilities.tif"
    moved = PixelGrid(grid.crs, (*grid.transform[:2], grid.transform[2] + grid.transform[0], *grid.transform[3:]), *grid.shape_yx[::-1])
    write_shares(beside, artefacts.probability_KYX, moved, legend)
    with pytest.raises(DataError, match=r"map-probabilities\.tif: lies on another grid than map\.tif, which names it; make the map again"):
        of_map(path)
    write_shares(beside, artefacts.probability_KYX[:3], grid)
    with pytest.raises(DataError, match=r"has 3 bands of uint8, expected are 5 of uint8; make the map again"):
        of_map(path)
    beside.write_bytes(b"no raster")
    with pytest.raises(DataError, match=r"map-probabilities\.tif: cannot be read as a raster"):
        of_map(path)


def test_a_store_of_elsewhere_or_of_other_classes_is_refused(artefacts: Artefacts, tmp_path: Path) -> None:
    far = PixelGrid("EPSG:4326", (0.01, 0.0, 10.0, 0.0, -0.01, 10.0), 20, 20)
    classes_YX = np.zeros((20, 20), np.uint8)
    legend = artefacts.opened().info.classes
    with pytest.raises(DataError, match=r"lies elsewhere than .*; give the store of the mapped area with --store"):
        with_store(of_map(write_map(tmp_path / "far.tif", classes_YX, legend, far)), artefacts.opened(), tmp_path)
    others = Legend.of_names(("background", "rice"))
    path = write_map(tmp_path / "rice.tif", classes_YX, others, artefacts.opened().grid.window(Window(0, 0, 20, 20)))
    with pytest.raises(DataError, match=r"demo\.zarr: its classes are background, corn, .* needed are background, rice"):
        with_store(of_map(path), artefacts.opened(), tmp_path)
