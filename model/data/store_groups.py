"""Groups of stores, for leaving out one place or one year at a time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from cropcam.pipeline.crs import transform_bounds
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.store.joined import join, store_names
from cropcam.pipeline.store.patch_store import PatchStore
from cropcam.pipeline.store.schema import StoreInfo

KINDS = ("store", "place", "year")
OVERLAP = 0.5  # stores that share more than this part of the smaller one's area are one place
_WGS84 = "EPSG:4326"
_SEPARATORS = "-_. "
Box = tuple[float, float, float, float]


class Group(NamedTuple):
    """Stores that are left out together."""

    name: str
    stores: tuple[int, ...]  # their numbers


def store_groups(stores: Sequence[PatchStore], kind: str = "store") -> list[Group]:
    """The groups of stores by store, place or year, in the order of their first stores.

    Raises:
        ConfigError: an unknown kind, a store named twice, or fewer than two groups; names those found and the other kinds.
        DataError: the stores do not fit each other, as of `JoinedStore`.
    """
    if kind not in KINDS:
        raise ConfigError(f"--leave-out {kind}: choose one of {', '.join(KINDS)}")
    if len(stores) < 2:
        only = f" ({stores[0].path})" if stores else ""
        raise ConfigError(f"crossval takes two stores or more, here is {len(stores)}{only}; name the others too")
    join(stores)  # a store named twice, or one that does not fit
    names = store_names([store.path for store in stores])
    infos = [store.info for store in stores]
    found = {each: _grouped(each, names, infos) for each in KINDS}
    if len(found[kind]) < 2:
        (group,) = found[kind]
        members = ", ".join(names[number] for number in group.stores)
        others = " or ".join(f"--leave-out {each} ({len(groups)} groups)" for each, groups in found.items() if len(groups) > 1)
        raise ConfigError(f"--leave-out {kind}: all stores are one group, {group.name} ({members}): none is left to train on; use {others}")
    return found[kind]


def season_year(info: StoreInfo) -> str:
    """The year in which the first season of a store's study begins."""
    return str(min(first for first, _ in info.study["image"]["seasons"])[:4])


def common_name(names: Sequence[str]) -> str:
    """The words that all names begin with; the first name where there are none.

    >>> common_name(["iowa-north-2022", "iowa-north-2023"]), common_name(["iowa", "ohio"]), common_name(["iowa-2022"])
    ('iowa-north', 'iowa', 'iowa-2022')
    """
    words = [re.findall(rf"[^{_SEPARATORS}]+|[{_SEPARATORS}]+", name) for name in names]
    shared = []
    for column in zip(*words, strict=False):
        if len({*column}) > 1:
            break
        shared.append(column[0])
    return "".join(shared).strip(_SEPARATORS) or names[0]


def same_place(first: Box, other: Box) -> bool:
    """Whether two boxes (west, south, east, north) of one CRS share more than `OVERLAP` of the smaller one's area.

    >>> same_place((0, 0, 2, 2), (0, 0, 9, 9)), same_place((0, 0, 2, 2), (1, 0, 3, 2))
    (True, False)
    """
    width, height = (min(first[side + 2], other[side + 2]) - max(first[side], other[side]) for side in (0, 1))
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (first, other))
    return width > 0 and height > 0 and width * height > OVERLAP * smaller


def _grouped(kind: str, names: Sequence[str], infos: Sequence[StoreInfo]) -> list[Group]:
    if kind == "store":
        return [Group(name, (number,)) for number, name in enumerate(names)]
    if kind == "year":
        years = [season_year(info) for info in infos]
        return [Group(year, tuple(n for n, own in enumerate(years) if own == year)) for year in dict.fromkeys(years)]
    members = _places([transform_bounds(info.crs, _WGS84, info.pixel_grid.bounds_xyxy) for info in infos])
    found = [common_name([names[number] for number in numbers]) for numbers in members]
    distinct = len({*found}) == len(found)
    return [Group(name if distinct else names[numbers[0]], numbers) for name, numbers in zip(found, members, strict=True)]


def _places(boxes: Sequence[Box]) -> list[tuple[int, ...]]:
    """The numbers of the boxes of each place; a box joins all places that it overlaps."""
    places: list[list[int]] = []
    for number, box in enumerate(boxes):
        touched = [place for place in places if any(same_place(boxes[other], box) for other in place)]
        places = [place for place in places if place not in touched]
        places.append(sorted([number, *(other for place in touched for other in place)]))
    return [tuple(place) for place in sorted(places)]
