"""Whether stores fit each other: each difference is named with the way to make them fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cropcam.pipeline.code_table import Code, CodeTable
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.legend import UNLABELLED, Legend
from cropcam.pipeline.store.compatible import apart_in_the_year, check_fits, class_numbers
from cropcam.pipeline.store.joined import join
from cropcam.pipeline.store.patch_store import PatchStore, open_store
from support.stores import make_store, make_study


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[PatchStore]:
    folder: Path = tmp_path_factory.mktemp("compatible")
    for seed, name in enumerate(("iowa", "ohio")):
        make_store(folder / f"{name}.zarr", count=6, size_px=8, seed=seed)
    return [open_store(folder / f"{name}.zarr") for name in ("iowa", "ohio")]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bands": ("a",) * 7}, r"its bands are a, .*, those of .*iowa\.zarr are SR_B1, .*'cropcam patches' from a study with these bands"),
        ({"reverse": True}, "in another order"),
        ({"patch_size_px": 5}, r"its patches are of 5 x 5 px, those of .* of 8 x 8 px; .*size_px = 8"),
    ],
)
def test_stores_that_do_not_fit_are_refused(stores: list[PatchStore], changes: dict[str, Any], message: str) -> None:
    changes = {"bands": stores[0].bands[::-1]} if "reverse" in changes else changes
    other = PatchStore(stores[1].path, replace(stores[1].info, **changes))
    with pytest.raises(DataError, match=message):
        check_fits(other, stores[0].bands, 8, str(stores[0].path))
    with pytest.raises(DataError, match=message):
        join([stores[0], other])


def test_classes_with_the_same_names_and_codes_need_no_look_up() -> None:
    own = make_study().legend
    numbers = class_numbers(own, own, "here")
    assert numbers is not None
    assert numbers[: len(own)].tolist() == [*range(len(own))]
    assert (numbers[len(own) :] == UNLABELLED).all()


def test_classes_of_another_table_need_the_same_names() -> None:
    own = make_study().legend
    few = Legend.from_codes({"corn": (10,)}, CodeTable("mine", (Code(10, "corn"), Code(20, "rest"))))
    with pytest.raises(
        DataError,
        match=r"here: its classes are .*, needed are background, corn: forest, grassland, soybean is none of them; give the codes",
    ):
        class_numbers(own, few, "here")
    alike = Legend.from_codes(
        {"GRASSLAND": (4,), "corn": (1,), "Forest": (3,), "soybean": (2,)}, CodeTable("mine", tuple(Code(n, str(n)) for n in range(1, 6)))
    )
    numbers = class_numbers(own, alike, "here")  # names are compared without case
    assert numbers is not None
    assert numbers[: len(own)].tolist() == [0, 2, 4, 3, 1]


@pytest.mark.parametrize(
    ("own", "other", "apart"),
    [
        ([["2016-06-01", "2016-09-01"]], [["2023-08-31", "2023-09-30"]], False),
        ([["2016-06-01", "2016-09-01"]], [["2023-09-02", "2023-09-30"]], True),
        ([["2016-11-01", "2017-03-01"]], [["2020-01-05", "2020-01-20"]], False),
        ([["2016-01-01", "2017-01-01"]], [["2020-12-31", "2021-01-01"]], False),
    ],
)
def test_seasons_are_compared_by_the_day_of_the_year(stores: list[PatchStore], own: Any, other: Any, apart: bool) -> None:
    infos = [replace(stores[0].info, study={**stores[0].info.study, "image": {"seasons": seasons}}) for seasons in (own, other)]
    expected = f"{own[0][0]} to {own[0][1]} and {other[0][0]} to {other[0][1]}" if apart else ""
    assert apart_in_the_year(*infos) == expected
