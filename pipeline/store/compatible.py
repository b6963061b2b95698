"""Whether stores fit each other: bands, patch size, classes, and the time of the year of their images."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.legend import UNLABELLED, Legend
from cropcam.pipeline.store.patch_store import PatchStore
from cropcam.pipeline.store.schema import StoreInfo


def class_numbers(own: Legend, legend: Legend, where: str) -> npt.NDArray[np.uint8] | None:
    """The class of `legend` for each class index of a store's legend, (256,), 255 = no label; None where label codes have to be looked up.

    Raises:
        DataError: the legends are of different tables of codes, and their classes have not the same names, case aside.
    """
    mine, needed = ({name.casefold(): name for name in each.names} for each in (own, legend))
    if own.table.codes == legend.table.codes:
        if {c.name: sorted(c.codes) for c in own.classes} != {c.name: sorted(c.codes) for c in legend.classes}:
            return None
    elif {*mine} != {*needed}:
        lacking = ", ".join(sorted(needed[name] for name in {*needed} - {*mine}))
        unknown = ", ".join(sorted(mine[name] for name in {*mine} - {*needed}))
        differ = "; ".join(
            text for text in (f"it lacks {lacking}" if lacking else "", f"{unknown} is none of them" if unknown else "") if text
        )
        raise DataError(
            f"{where}: its classes are {', '.join(own.names)}, needed are {', '.join(legend.names)}: {differ}; give the codes of its legend "
            f"these names in [classes] of its study, and build it again with 'cropcam patches'"
        )
    numbers = np.full(UNLABELLED + 1, UNLABELLED, np.uint8)
    numbers[: len(own)] = [legend.names.index(needed[name.casefold()]) for name in own.names]
    return numbers


def check_fits(store: PatchStore, bands: Sequence[str], size_px: int, other: str) -> None:
    """Whether the images of a store are those of other bands and patches.

    Raises:
        DataError: bands, their order or the patch size differ; names both.
    """
    if store.bands != tuple(bands):
        order = ", in another order" if sorted(store.bands) == sorted(bands) else ""
        raise DataError(
            f"{store.path}: its bands are {', '.join(store.bands)}, those of {other} are {', '.join(bands)}{order}; build it again with "
            f"'cropcam patches' from a study with these bands and seasons"
        )
    if (own := store.info.patch_size_px) != size_px:
        raise DataError(
            f"{store.path}: its patches are of {own} x {own} px, those of {other} of {size_px} x {size_px} px; build it again with "
            f"[patches] size_px = {size_px}"
        )


def apart_in_the_year(one: StoreInfo, other: StoreInfo) -> str:
    """The seasons of two stores as text where no day of the year is in a season of both; else empty. Years do not count."""
    first, second = (store.study["image"]["seasons"] for store in (one, other))
    if any(_days(*a) & _days(*b) for a in first for b in second):
        return ""
    return " and ".join(", ".join(f"{start} to {end}" for start, end in seasons) for seasons in (first, second))


def _days(start: str, end: str) -> set[int]:
    """The days of the year of a season, START to END exclusive."""
    from_, to = (date.fromisoformat(day) for day in (start, end))
    return {day % 365 for day in range(from_.timetuple().tm_yday, from_.timetuple().tm_yday + min((to - from_).days, 365))}
