"""What a store already shows to be doubtful, a sentence each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cropcam.pipeline.store.cautions import FEW_PATCHES, cautions
from cropcam.pipeline.store.joined import join
from cropcam.pipeline.store.patch_store import PatchStore, open_store
from cropcam.pipeline.study.study import Study, load_study
from support.stores import make_store, make_study


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PatchStore:
    path = tmp_path_factory.mktemp("store") / "s.zarr"
    make_store(path, 150, 8, study=make_study(8))
    return open_store(path)


def of(store: PatchStore, study: Study | None = None, **changes: Any) -> PatchStore:
    """The store with another description."""
    info = replace(store.info, **changes)
    return PatchStore(store.path, replace(info, study=study.to_dict()) if study else info)


def test_a_sound_store_has_none(store: PatchStore) -> None:
    assert cautions(store) == []


@pytest.mark.parametrize(
    ("mean", "named"),
    [
        ([-0.13, 0.1, 0.1, 0.1, 0.3, 0.2, 1.4], "SR_B1 (-0.13), SR_B7 (1.4)"),
        ([0.0, 1.0, 0.1, 0.1, 0.3, 0.2, 1e4], "SR_B7 (1e+04)"),
    ],
)
def test_means_that_no_reflectance_has_are_named(store: PatchStore, mean: list[float], named: str) -> None:
    (text,) = cautions(of(store, statistics={**store.info.statistics, "mean": mean}))
    assert text == (
        f"the mean over the training patches is no reflectance, which lies from 0 to 1: {named}; check --scale, --offset and the order of the bands"
    )


def test_bands_with_a_unit_of_their_own_and_derived_bands_are_no_reflectance(store: PatchStore) -> None:
    changes = {
        "image.bands": ["SR_B1", "ST_B10"],
        "image.collections": ["LANDSAT/LC08/C02/T1_L2"],
        "image.derived": {"ratio": "SR_B1 / ST_B10"},
    }
    study = load_study("demo", changes)
    statistics = {**store.info.statistics, "mean": [0.1, 300.0, -5.0]}
    assert cautions(of(store, study, bands=study.image.layers, statistics=statistics)) == []
    embedding = load_study(
        "demo", {"image.sensor": "satellite-embedding", "image.bands": ["A00"], "image.seasons": [["2017-01-01", "2018-01-01"]]}
    )
    assert cautions(of(store, embedding, bands=("A00",), statistics={**statistics, "mean": [-0.4]})) == []


def test_seasons_have_the_bands_of_the_sensor(store: PatchStore) -> None:
    study = load_study("demo-seasons", {"image.bands": ["SR_B1"]})
    assert cautions(of(store, study, bands=study.image.layers, statistics={**store.info.statistics, "mean": [0.1, 0.2, 0.1]})) == []
    (text,) = cautions(of(store, study, bands=study.image.layers, statistics={**store.info.statistics, "mean": [0.1, -0.2, 0.1]}))
    assert "2_SR_B1 (-0.2)" in text


def test_names_that_the_sensor_does_not_have_are_named(store: PatchStore) -> None:
    study = load_study("demo", {"image.bands": [f"band_{number}" for number in range(1, 12)]})
    mean = {"mean": [5000.0] + [0.1] * 10}
    names, means = cautions(of(store, study, bands=study.image.layers, statistics={**store.info.statistics, **mean}))
    assert names.startswith("band_1, band_2, band_3, band_4, band_5, band_6, band_7, band_8 and 3 more are no bands of the sensor (Landsat")
    assert names.endswith("values are not checked, and an export refuses the study; name the sensor and its bands in [image]")
    assert "0 to 1: band_1 (5000);" in means
    (one,) = cautions(of(store, load_study("demo", {"image.bands": ["nir", *load_study("demo").image.bands[:6]]})))
    assert one.startswith("nir is no band of the sensor")


def test_classes_that_cannot_be_scored_are_named_with_their_patches(store: PatchStore) -> None:
    few = of(store)
    share_NK, split_N = store.share_NK.copy(), store.split_N
    share_NK[:, 3] = 0
    share_NK[np.flatnonzero(split_N == 0)[:20], 3] = 0.5
    share_NK[np.flatnonzero(split_N == 1)[: FEW_PATCHES - 1], 3] = 0.5
    share_NK[np.flatnonzero(split_N == 2)[:FEW_PATCHES], 3] = 0.5
    few.__dict__["share_NK"] = share_NK
    assert cautions(few) == [
        "fewer than 10 patches to score forest (9 in validation): figures of these classes say little; take a larger area, smaller "
        "splits.block_patches, or other splits.fractions"
    ]
    share_NK[:, 3] = 0
    assert cautions(few) == [
        "no training patch has forest: what is not there cannot be learned; take a larger area, or leave the class out"
    ]


def test_a_share_up_to_the_least_is_no_presence(store: PatchStore) -> None:
    high = make_study(8, presence_min_share=0.99)
    found = cautions(of(store, high))
    assert any("patches to score" in text or "no training patch" in text for text in found)


def test_a_store_without_labels_has_no_classes_to_score(tmp_path: Path) -> None:
    make_store(tmp_path / "s.zarr", 12, 8, study=make_study(8), labels=False)
    assert cautions(open_store(tmp_path / "s.zarr")) == []


def test_of_several_stores_each_is_named(store: PatchStore, tmp_path: Path) -> None:
    make_store(tmp_path / "small.zarr", 12, 8, study=make_study(8))
    found = cautions(join([store, open_store(tmp_path / "small.zarr")]))
    assert found
    assert all(text.startswith("small: ") for text in found)


def with_study(store: PatchStore, study: dict[str, Any]) -> PatchStore:
    return PatchStore(store.path, replace(store.info, study=study))


def test_a_study_that_cannot_be_read_stops_nothing(store: PatchStore) -> None:
    study = store.info.study
    (found,) = cautions(with_study(store, {**study, "classes": {"corn": ["-1"]}}))
    assert found.startswith("the study in the store cannot be read, its bands and classes are not looked at: ")
    assert "classes.corn" in found
    joined = join([store, with_study(store, {**study, "patches": 3})], [], ["one", "two"])
    assert [line.split(":")[0] for line in cautions(joined)] == ["two"]


def test_without_labels_no_share_is_read(store: PatchStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_: PatchStore) -> None:
        raise AssertionError("the shares were read")

    monkeypatch.setattr(PatchStore, "share_NK", property(never))
    assert cautions(store, labels=False) == []
    with pytest.raises(AssertionError, match=r"^the shares were read$"):
        cautions(store)


def test_a_day_in_a_name_that_no_season_has_is_told(store: PatchStore) -> None:
    names = {
        "image:LC08_L2SP_023032_20230831_20230911_02_T1_SR_B4.TIF": "0",
        "image:LC08_x_20160801_y_SR_B5.TIF": "0",
        "labels:c_20100101_.tif": "0",
    }
    (found,) = cautions(of(store, None, digests={**store.info.digests, **names}))
    assert found.startswith("image date 2023-08-31 by the name of its file, and the seasons of the study are 2016-")
    assert "--set image.seasons=" in found
