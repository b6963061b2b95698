"""Quick looks of a store, against its own pixels."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rio_cogeo.cogeo import cog_validate

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import Window
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.maps.class_map import open_map
from cropcam.pipeline.maps.view.quick_looks import common_bands, make_quick_looks
from cropcam.pipeline.store.patch_store import open_store
from cropcam.pipeline.study.study import load_study, parse_study
from support.stores import make_store, make_study
from support.views import Artefacts


def test_pictures_truth_and_splits_are_those_of_the_store(artefacts: Artefacts, tmp_path: Path) -> None:
    store = artefacts.opened()
    progress: list[tuple[int, int]] = []
    looks = make_quick_looks(store, store.info.classes, tmp_path, progress=lambda done, total, _: progress.append((done, total)))
    assert progress[-1][0] == progress[-1][1]
    (look,) = looks.seasons
    assert look.names == ("SR_B4", "SR_B3", "SR_B2", "SR_B5")
    values_CYX = store.encoding.physical(store.read(Window(0, 0, *store.grid.shape_yx)))
    with rasterio.open(look.path) as file:
        grey_CYX = file.read()
        assert (file.crs, tuple(file.transform)[:6]) == (store.grid.crs, store.grid.transform)
    for index, (name, low, high) in enumerate(zip(look.names, look.low, look.high, strict=True)):
        exact_YX = values_CYX[store.bands.index(name)]
        missing_YX = np.isnan(exact_YX)
        assert (grey_CYX[index][missing_YX] == 0).all()
        expected = 1 + 254 * np.clip((exact_YX[~missing_YX] - low) / (high - low), 0, 1) ** (1 / 1.4)  # brighter in the middle
        assert np.abs(grey_CYX[index][~missing_YX] - expected).max() <= 0.51
        assert ((grey_CYX[index] > 1) & (grey_CYX[index] < 255)).sum() > 0.8 * (~missing_YX).sum()
    assert looks.truth is not None
    assert open_map(looks.truth).legend.names == store.info.classes.names
    with rasterio.open(looks.truth) as file:
        np.testing.assert_array_equal(file.read(1), artefacts.truth_YX)
    with rasterio.open(looks.splits) as file:
        np.testing.assert_array_equal(file.read(1), store.table("split"))
        assert file.bounds[3] == pytest.approx(store.grid.bounds_xyxy[3])
    for path in (look.path, looks.truth, looks.splits):
        assert cog_validate(path)[0], path


def test_they_are_made_once_and_again_where_one_is_missing(artefacts: Artefacts, tmp_path: Path) -> None:
    store = artefacts.opened()
    before = sorted(path.name for path in artefacts.store.rglob("*"))
    looks = make_quick_looks(store, store.info.classes, tmp_path)
    calls: list[object] = []
    assert make_quick_looks(store, store.info.classes, tmp_path, progress=lambda *call: calls.append(call)) == looks
    assert not calls
    looks.splits.unlink()
    make_quick_looks(store, store.info.classes, tmp_path, progress=lambda *call: calls.append(call))
    assert calls
    assert looks.splits.is_file()
    assert sorted(path.name for path in artefacts.store.rglob("*")) == before  # nothing is written into the store


def test_another_order_of_classes_gets_a_truth_of_its_own(artefacts: Artefacts, tmp_path: Path) -> None:
    store = artefacts.opened()
    own = store.info.classes
    turned = Legend((own.classes[0], *reversed(own.classes[1:])), own.table)
    looks = make_quick_looks(store, turned, tmp_path)
    assert looks.truth is not None
    with rasterio.open(looks.truth) as file:
        found_YX = file.read(1)
    order = np.array([*(turned.names.index(name) for name in own.names), *[255] * (256 - len(own))], np.uint8)
    np.testing.assert_array_equal(found_YX, order[artefacts.truth_YX])
    others = Legend.of_names(("background", "rice"))
    with pytest.raises(DataError, match="its classes are background, corn"):
        make_quick_looks(store, others, tmp_path)


def test_two_seasons_have_two_pictures_and_a_store_without_labels_no_truth(tmp_path: Path) -> None:
    study = make_study(24, preset="demo-seasons")
    make_store(tmp_path / "s.zarr", count=8, size_px=24, study=study, labels=False)
    store = open_store(tmp_path / "s.zarr")
    looks = make_quick_looks(store, store.info.classes, tmp_path)
    assert looks.truth is None
    assert [look.season for look in looks.seasons] == ["/".join(season) for season in study.image.seasons]
    assert [name for look in looks.seasons for name in look.names][::4] == [f"{n}_SR_B4" for n in range(1, len(looks.seasons) + 1)]


def test_a_damaged_store_leaves_nothing_behind(artefacts: Artefacts, tmp_path: Path) -> None:
    shutil.copytree(artefacts.store, tmp_path / "s.zarr")
    shard = max((tmp_path / "s.zarr" / "image").rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
    shard.write_bytes(shard.read_bytes()[: shard.stat().st_size // 2])
    (tmp_path / "cache").mkdir()
    store = open_store(tmp_path / "s.zarr")
    with pytest.raises(DataError, match="is damaged"):
        make_quick_looks(store, store.info.classes, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize(
    ("preset", "found"),
    [
        ("demo", {"red": "SR_B4", "green": "SR_B3", "blue": "SR_B2", "nir": "SR_B5"}),
        ("corn-belt-2018-sentinel-2", {"red": "red", "green": "green", "blue": "blue", "nir": "nir"}),
        ("corn-belt-2017-embedding", {}),
    ],
)
def test_colours_follow_the_sensor(preset: str, found: dict[str, str]) -> None:
    assert common_bands(load_study(preset).image) == found


def test_an_old_landsat_has_its_colours_in_other_bands() -> None:
    values = load_study("demo").to_dict()
    values["image"] |= {"collections": ["LANDSAT/LT05/C02/T1_L2"], "bands": ["SR_B1", "SR_B2", "SR_B3", "SR_B4"]}
    assert common_bands(parse_study(values).image) == {"red": "SR_B3", "green": "SR_B2", "blue": "SR_B1", "nir": "SR_B4"}


def test_bands_without_a_colour_are_shown_as_they_come(tmp_path: Path) -> None:
    study = make_study(24)
    study = study.model_copy(update={"image": study.image.model_copy(update={"bands": ("SR_B1", "SR_B7")})})
    make_store(tmp_path / "s.zarr", count=8, size_px=24, study=study)
    store = open_store(tmp_path / "s.zarr")
    (look,) = make_quick_looks(store, store.info.classes, tmp_path).seasons
    assert (look.names, look.is_colour) == (("SR_B1", "SR_B7"), False)
    assert replace(look).path.is_file()
