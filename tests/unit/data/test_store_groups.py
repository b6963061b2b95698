"""Groups of stores to leave out: by store, place and year."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cropcam.model.data.store_groups import season_year, store_groups
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.store.patch_store import PatchStore
from cropcam.pipeline.store.schema import StoreInfo
from support.map_runs import info_of
from support.stores import make_study


def store(name: str, year: str, shift: float = 0.0, size_px: int = 50) -> PatchStore:
    """A store without arrays, `shift` widths east of the demo study's, of a year."""
    info: StoreInfo = info_of(make_study(size_px), size_px)
    a, b, c, *rest = info.transform
    study = {**info.study, "image": {**info.study["image"], "seasons": [[f"{year}-06-01", f"{year}-09-01"]]}}
    statistics = {"split": "train", "pixels": 1, "mean": [0.1] * len(info.bands), "std": [1.0] * len(info.bands)}
    changed = replace(info, transform=(a, b, c + shift * a * info.width, *rest), study=study, statistics=statistics)
    return PatchStore(Path(f"{name}.zarr"), changed)


STORES = [store("iowa-2021", "2021"), store("ohio-2021", "2021", 1.2), store("iowa-2022", "2022", 0.3), store("utah", "2022", -0.6)]


def named(kind: str) -> dict[str, list[str]]:
    return {group.name: [STORES[number].path.stem for number in group.stores] for group in store_groups(STORES, kind)}


def test_each_store_is_a_group_of_its_own() -> None:
    assert named("store") == {name: [name] for name in ("iowa-2021", "ohio-2021", "iowa-2022", "utah")}


def test_stores_that_overlap_by_more_than_half_are_one_place() -> None:
    assert named("place") == {"iowa": ["iowa-2021", "iowa-2022"], "ohio-2021": ["ohio-2021"], "utah": ["utah"]}


def test_a_year_is_that_in_which_the_seasons_begin() -> None:
    assert named("year") == {"2021": ["iowa-2021", "ohio-2021"], "2022": ["iowa-2022", "utah"]}
    winter = replace(STORES[0].info, study={"image": {"seasons": [["2022-01-01", "2022-03-01"], ["2021-11-01", "2022-01-01"]]}})
    assert season_year(winter) == "2021"


def test_a_place_that_joins_two_is_one_with_both() -> None:
    chain = [store("a", "2021"), store("b", "2022", 0.8), store("c", "2023", 0.4)]
    with pytest.raises(
        ConfigError,
        match=r"--leave-out place: all stores are one group, a \(a, b, c\): none is left to train on; "
        r"use --leave-out store \(3 groups\) or --leave-out year \(3 groups\)",
    ):
        store_groups(chain, "place")


def test_places_of_equal_names_are_named_by_their_first_stores() -> None:
    groups = store_groups([store("run-a", "2021"), store("run-b", "2022"), store("run-c", "2021", 3), store("run-d", "2022", 3)], "place")
    assert [group.name for group in groups] == ["run-a", "run-c"]


def test_stores_that_make_no_fold_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"crossval takes two stores or more, here is 1 \(utah\.zarr\)"):
        store_groups(STORES[3:])
    with pytest.raises(ConfigError, match=r"utah\.zarr: is the same store as .*name each store once"):
        store_groups([*STORES, STORES[3]])
    with pytest.raises(ConfigError, match=r"--leave-out month: choose one of store, place, year"):
        store_groups(STORES, "month")
    with pytest.raises(DataError, match=r"odd\.zarr: its patches are of 20 x 20 px, those of iowa-2021\.zarr of 50 x 50 px"):
        store_groups([STORES[0], store("odd", "2021", size_px=20)])
