"""The cost of exports: EECU-hours, their share of a month, a limit, the workload tag. Pure: no clock and no network.

Source: Earth Engine guides "Noncommercial tiers" (quotas since 27 April 2026), "Computation overview" (EECU), "Cost
controls"; REST reference, OperationMetadata.batchEecuUsageSeconds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from cropcam.pipeline.earthengine.task_status import ENDED, SUCCEEDED, Row, is_active
from cropcam.pipeline.errors import ConfigError

TIERS_URL = "https://developers.google.com/earth-engine/guides/noncommercial_tiers"
RESTRICTED_URL = f"{TIERS_URL}#restricted_mode"  # as the client itself names it (`ee.data`, quota status of a response)
HOUR_S = 3_600.0
TAG_LENGTH = 63
_LEAST_PROGRESS = 0.1  # of a running task, from which its cost is foreseen


@dataclass(frozen=True)
class Tier:
    """A noncommercial tier and the EECU-hours that one project of it has each month."""

    name: str
    hours: int


TIERS = (Tier("Community", 150), Tier("Contributor", 1_000), Tier("Partner", 100_000))


class Verdict(Enum):
    """Whether a further task may be submitted: now, perhaps once a running one has ended, or not at all."""

    SUBMIT = "submit"
    WAIT = "wait"
    STOP = "stop"


def workload_tag(study_name: str) -> str:
    """The tag `cropcam-STUDY` of a study's requests: lower case, at most 63 characters, as the client checks it.

    Source: `ee.data.setDefaultWorkloadTag`: [a-z0-9], with "-" and "_" between.
    """
    name = re.sub(r"[^a-z0-9_-]", "-", study_name.lower())
    return f"cropcam-{name}"[:TAG_LENGTH].rstrip("-_")


def spent(rows: Iterable[Row]) -> float:
    """EECU-hours of all tasks so far: succeeded, failed and running ones, with earlier attempts."""
    return math.fsum(row.eecu_s or 0.0 for row in rows) / HOUR_S


def spent_text(rows: Sequence[Row]) -> str:
    """The cost of the tasks, and its share of a month: for the end of an export and for `tasks`."""
    if all(row.eecu_s is None for row in rows):
        return "EECU: the service has reported none yet"
    hours = spent(rows)
    shares = ", ".join(f"{share(hours, tier)} of a {tier.name} month ({tier.hours:,})" for tier in TIERS)
    so_far = " so far" if any(is_active(row.state) for row in rows) else ""
    return f"{in_hours(hours)} EECU-hours{so_far}: {shares}"


def rate(rows: Iterable[Row], layer: str) -> float | None:
    """EECU-seconds a pixel of a layer: of its succeeded tasks; before the first, of those a tenth or more of which is done.

    None while neither is known.
    """
    own = [row for row in rows if row.layer == layer and row.eecu_s is not None and row.pixels > 0]
    done = [(_attempt_s(row), row.pixels) for row in own if row.state == SUCCEEDED]
    if not done:
        begun = [row for row in own if is_active(row.state) and (row.progress or 0.0) >= _LEAST_PROGRESS]
        done = [(_attempt_s(row) / (row.progress or 1.0), row.pixels) for row in begun]
    if not done:
        return None
    return math.fsum(seconds for seconds, _ in done) / sum(pixels for _, pixels in done)


def may_submit(rows: Sequence[Row], limit_hours: float, layer: str, pixels: int) -> Verdict:
    """Whether a further task keeps an export within a limit, by what the tasks of the same layer have cost a pixel.

    The cost of the first task of a layer is unknown, so it goes alone: the next waits until that one has ended or a tenth
    of it is done. The first task of each layer can therefore pass the limit; a later one cannot, unless it costs more a pixel.

    Args:
        rows: all tasks of the export.
        limit_hours: EECU-hours of the whole export, earlier runs included.
        layer: of the task to be submitted.
        pixels: of the task to be submitted.
    """
    active = [row for row in rows if is_active(row.state)]
    rates = {name: rate(rows, name) for name in {layer, *(row.layer for row in active)}}
    limit_s, total_s, unknown = limit_hours * HOUR_S, spent(rows) * HOUR_S, False
    if total_s >= limit_s:
        return Verdict.STOP
    for row in active:
        known = rates[row.layer]
        unknown = unknown or known is None
        total_s += max((known or 0.0) * row.pixels - _attempt_s(row), 0.0)
    own = rates[layer]
    if total_s + (own or 0.0) * pixels > limit_s:
        return Verdict.WAIT if active else Verdict.STOP
    if own is None:
        return Verdict.WAIT if any(row.layer == layer for row in active) else Verdict.SUBMIT
    return Verdict.WAIT if unknown else Verdict.SUBMIT


def check_limit(rows: Sequence[Row], limit_hours: float) -> None:
    """Refuse a limit that is none, or is used up before the first request.

    Raises:
        ConfigError: naming the limit and the hours spent.
    """
    if not (math.isfinite(limit_hours) and limit_hours > 0):
        raise ConfigError(f"--max-eecu-hours {limit_hours:g}: give a number of EECU-hours above 0")
    hours = spent(rows)
    if hours >= limit_hours:
        raise ConfigError(
            f"--max-eecu-hours {limit_hours:g}: this export has used {in_hours(hours)} EECU-hours already; "
            "give a higher limit, or leave the option out"
        )


def limit_text(rows: Sequence[Row], limit_hours: float) -> str:
    """One line about an export that its limit has stopped."""
    left = sum(row.state not in ENDED and not is_active(row.state) for row in rows)
    return (
        f"--max-eecu-hours {limit_hours:g}: {in_hours(spent(rows))} EECU-hours are spent and a further task would pass the limit; "
        f"{left} task{'s are' if left != 1 else ' is'} not submitted: run the same command again with a higher limit"
    )


def _attempt_s(row: Row) -> float:
    """EECU-seconds of a task's latest attempt."""
    return (row.eecu_s or 0.0) - row.earlier_eecu_s


def in_hours(hours: float) -> str:
    """EECU-hours as text: three digits or so."""
    if hours >= 100:
        return f"{hours:,.0f}"
    if hours >= 10:
        return f"{hours:.1f}"
    if hours >= 1:
        return f"{hours:.2f}"
    return f"{hours:.4f}" if hours >= 0.0001 else "0" if hours == 0 else "under 0.0001"


def share(hours: float, tier: Tier) -> str:
    """The share of a tier's month, in per cent, as text."""
    percent = 100 * hours / tier.hours
    if percent >= 100:
        return f"{percent:,.0f} %"
    if percent >= 1:
        return f"{percent:.1f} %"
    return f"{percent:.2f} %" if percent >= 0.01 else "0 %" if percent == 0 else "under 0.01 %"
