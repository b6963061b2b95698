"""Profiles of requests: fetched by their ids, and read for their EECU-seconds.

Source: Earth Engine Python client, `ee.data.profiling` and `ee.profilePrinting` (the profile of a request and how it is
fetched); guide "Computation overview", section "Profiler"; columns as in the printed profiles of geetools' documentation.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import ee

from cropcam.pipeline.earthengine.error_messages import ServiceError
from cropcam.pipeline.earthengine.session import Session

_TRIES = 5  # as many as the client makes for a profile
_PAUSE_S = 1.0
_NUMBER = re.compile(r"(\d[\d,]*(?:\.\d+)?)([kMG]?)")
_UNITS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}


def profile_seconds(session: Session, ids: Sequence[str]) -> float:
    """EECU-seconds of the requests whose profiles have these ids; 0 for none. To be called outside `ee.data.profiling`.

    Raises:
        EarthEngineError: the service does not return the profiles, or in another layout.
    """
    if not ids:
        return 0.0
    table = ee.apifunction.ApiFunction.lookup("Profile.getProfiles").call(ids=list(ids))
    for _ in range(_TRIES - 1):
        try:
            return eecu_seconds(session.value(table, "fetching a profile"))
        except ServiceError:
            session.backoff.sleep(_PAUSE_S)
    return eecu_seconds(session.value(table, "fetching a profile"))


def eecu_seconds(profile: object) -> float:
    """The sum of a profile's first column.

    Args:
        profile: text of `Profile.getProfiles`: a line of titles that begins with EECU·s, then a line per part of the
            computation; "-" where none was counted.

    Raises:
        ServiceError: the text has another layout.
    """
    text = profile if isinstance(profile, str) else ""  # an answer may be anything
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if not lines or not lines[0][0].startswith("EECU"):
        raise ServiceError(
            f"a profile of another layout: {' '.join(lines[0]) if lines else 'no text'}; nothing can be estimated", "profile"
        )
    total = []
    for first, *rest in lines[1:]:
        match = _NUMBER.fullmatch(first)
        if match is None and first != "-":
            raise ServiceError(f"a profile of another layout: {' '.join((first, *rest))}; nothing can be estimated", "profile")
        total.append(float(match[1].replace(",", "")) * _UNITS[match[2]] if match else 0.0)
    return math.fsum(total)
