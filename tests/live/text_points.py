"""Questions that are refused on purpose: the service's texts, and whether the table of known errors understands them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ee

from cropcam.pipeline.grid import PixelGrid, Window
from live.points import Answer, Point, Verdict
from live.side import ONCE, Side


def _requests(side: Side) -> dict[str, tuple[str, Callable[[], Any]]]:
    """By name: the kind that the table gives, and a request that is refused."""
    grid = side.study.grid
    one = grid.window(Window(0, 0, 1, 1))
    collection = ee.ImageCollection(side.study.image.collections[0])
    never = collection.filterDate("1970-01-01", "1970-01-02").median().select(side.study.image.bands[0])
    image = collection.first().select(0).toUint16()
    quick = side.session.with_backoff(ONCE)

    def sized(width: int, height: int, crs: str = grid.crs) -> PixelGrid:
        return PixelGrid(crs, grid.transform, width, height)

    return {
        "no such asset": ("asset", lambda: ee.Image("USDA/NASS/CDL/1901").getInfo()),
        "no such band": ("bands", lambda: quick.pixels(collection.first().select("SR_B99"), one, "")),
        "no scene": ("bands", lambda: quick.pixels(never, one, "")),
        "too many bytes": ("request_size", lambda: quick.pixels(image, sized(20_000, 20_000), "")),
        "side too long": ("request_size", lambda: quick.pixels(image, sized(40_000, 1), "")),
        "no such CRS": ("crs", lambda: quick.pixels(image, sized(1, 1, "EPSG:999999"), "")),
        "5,001 elements": (
            "elements",
            lambda: ee.FeatureCollection(ee.List.sequence(1, 5001).map(lambda n: ee.Feature(None, {"n": n}))).getInfo(),
        ),
        "no such task": ("absent", lambda: ee.data.getOperation(f"projects/{side.session.project}/operations/{'X' * 24}")),
        "cancel of no such task": ("absent", lambda: ee.data.cancelOperation(f"projects/{side.session.project}/operations/{'X' * 24}")),
    }


def _texts(side: Side) -> Answer:
    return {name: {"expected": kind, **_refusal(side, request)} for name, (kind, request) in _requests(side).items()}


def _refusal(side: Side, request: Callable[[], Any]) -> dict[str, Any]:
    """A refusal without the project's name; of an answer only that there was one."""
    answer = side.answer(request)
    return (
        {"refused": False}
        if "answer" in answer
        else {"refused": True, **answer, "text": answer["text"].replace(side.session.project, "PROJECT")}
    )


def _judge(service: Answer, embedded: Answer) -> Verdict:
    refused = {name: found for name, found in service.items() if found["refused"]}
    other = {name: [found["kind"], found["expected"]] for name, found in refused.items() if found["kind"] != found["expected"]}
    words = [name for name in service if _words(service[name]) != _words(embedded.get(name, {}))]
    return Verdict(
        not words, not other, {"other kind": other, "other words": words, "not refused": sorted(service.keys() - refused.keys())}
    )


def _words(found: dict[str, Any]) -> tuple[object, object]:
    return found.get("status"), found.get("text")


TEXTS = (Point("texts", "How are bad requests refused?", _texts, _judge, seconds=60, eecu_s=5),)
