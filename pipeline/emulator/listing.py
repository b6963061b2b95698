"""Assets by name and in lists: names in and out, pages, the filters by time that clients write."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from typing import Any

from cropcam.pipeline.emulator import limits
from cropcam.pipeline.emulator.errors import unimplemented

_PUBLIC = "projects/earthengine-public/assets/"
_LEGACY = "projects/earthengine-legacy/assets/"
_LARGEST_PAGE = 1_000
_TERM = re.compile(r"(startTime|endTime)\s*(>=|<=|<|>)\s*\"([^\"]+)\"")


def asset_id(name: str) -> str:
    """The id of an asset's name: without the project for public and legacy assets.

    Example:
        >>> asset_id("projects/earthengine-public/assets/USDA/NASS/CDL/2016")
        'USDA/NASS/CDL/2016'
    """
    return name.removeprefix(_PUBLIC).removeprefix(_LEGACY).rstrip("/")


def asset_name(identity: str) -> str:
    """The name of an asset's id.

    Example:
        >>> asset_name("USDA/NASS/CDL/2016")
        'projects/earthengine-public/assets/USDA/NASS/CDL/2016'
    """
    return identity if re.match(r"projects/[^/]+/assets", identity) else f"{_PUBLIC}{identity}"


def named(asset: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An asset's description with its name and id."""
    return {"name": name, "id": asset_id(name), **asset}


def page(assets: Sequence[Mapping[str, Any]], key: str, query: Mapping[str, str]) -> dict[str, Any]:
    """One page of a list, as `listAssets` and `listImages` return it.

    Raises:
        EngineError: a filter other than by startTime and endTime.

    Source: Earth Engine REST reference, projects.assets/listAssets.
    """
    kept = [asset for asset in assets if _passes(asset, query.get("filter", ""))]
    size = page_size(query, _LARGEST_PAGE)
    token = query.get("pageToken", "")
    start = int(token) if token.isdigit() else 0
    named = [{**asset, "name": asset.get("name") or asset_name(str(asset.get("id", "")))} for asset in kept[start : start + size]]
    return {key: named} | ({"nextPageToken": str(start + size)} if start + size < len(kept) else {})


def page_size(query: Mapping[str, str], largest: int) -> int:
    """Entries of one page: the number in the query, at most `largest`.

    Raises:
        EngineError: not a number.
    """
    text = query.get("pageSize") or "0"
    if not text.isdecimal():
        raise limits.invalid(f"Invalid pageSize {text!r}: it must be a number.")
    return min(int(text) or largest, largest)


def _passes(asset: Mapping[str, Any], condition: str) -> bool:
    for text in (part.strip() for part in condition.split(" AND ") if part.strip()):
        term = _TERM.fullmatch(text)
        if term is None:
            raise unimplemented(f"The asset filter {text!r}")
        field, sign, value = term.groups()
        moment, limit = asset.get(field) or asset.get("startTime"), _moment(value)
        if moment is None or not _compare(_moment(str(moment)), sign, limit):
            return False
    return True


def _compare(moment: datetime.datetime, sign: str, limit: datetime.datetime) -> bool:
    return {">=": moment >= limit, "<=": moment <= limit, "<": moment < limit, ">": moment > limit}[sign]


def _moment(text: str) -> datetime.datetime:
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise limits.invalid(f"Invalid time {text!r} in an asset filter.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
