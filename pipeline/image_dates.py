"""The days on which images were taken, from the names of their files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date

# the first one is the acquisition, as in LC08_L2SP_030031_20230831_20230906_02_T1 and T15TYH_20180705T165849_B04_10m
_DATE = re.compile(r"_((?:19|20)\d{2})(\d{2})(\d{2})[_T]")


def image_dates(names: Iterable[str]) -> list[str]:
    """Acquisition dates (YYYY-MM-DD, ascending) in file names of Landsat and Sentinel-2; a name without a date has none."""
    dates = set()
    for name in names:
        if match := _DATE.search(name):
            try:
                dates.add(date(*map(int, match.groups())).isoformat())
            except ValueError:  # eight digits that are no date
                continue
    return sorted(dates)
