"""Questions about export tasks. All tasks are started before the first question and run while the others are asked."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import Any

import ee

from cropcam.pipeline.earthengine.destinations import CloudStorage, Destination, Drive
from cropcam.pipeline.earthengine.graphs import graph
from cropcam.pipeline.earthengine.plan import plan
from cropcam.pipeline.earthengine.submission import request_id
from cropcam.pipeline.earthengine.task_request import request_of
from cropcam.pipeline.errors import EarthEngineError
from cropcam.pipeline.grid import Window
from live.points import Answer, Point, same
from live.side import Side

_LISTED_WITHIN_S = 60.0
_SMALL = Window(0, 0, 16, 16)
Body = dict[str, Any]


def place_of(side: Side, kind: str) -> Destination | None:
    """The side's destination of a kind: "drive" or "gs"."""
    wanted = Drive if kind == "drive" else CloudStorage
    return next((one for one in side.destinations if isinstance(one, wanted)), None)


def body_of(side: Side, where: Destination, key: str, *, small: bool = False, description: str = "", **changes: Any) -> Body:
    """The request of one task, as cropcam makes it."""
    made = plan(side.study, where, **changes)
    task = replace(made.tasks[0], name=f"live-{side.stamp}-{key}")
    if small:
        task = replace(task, cell=_SMALL)
    image = graph(side.study, task.layer.name)
    return request_of(made, task, image, description or task.name, project=side.session.project)


def start(side: Side, key: str, body: Body) -> Answer:
    """Submit a task; the answer, with the task's name under `key` for later questions."""
    asked = side.answer(lambda: side.submit(request_id(body), body))
    name = str(asked.get("answer", {}).get("name", ""))
    side.shared[key] = {"body": body, "name": name, "asked": asked}
    return side.shared[key]  # type: ignore[no-any-return]


def listing_of(side: Side, name: str) -> Answer:
    """How long after its submission a task can be asked for, and is in the list."""
    began = time.monotonic()
    direct = side.answer(lambda: ee.data.getOperation(name)["metadata"]["state"])
    looks = 0
    while time.monotonic() - began < _LISTED_WITHIN_S:
        looks += 1
        if any(one["name"] == name for one in side.session.operations()):
            return {"asked at once": direct, "listed": True, "looks": looks, "seconds": round(time.monotonic() - began, 1)}
        side.sleep(min(side.poll_s, 2.0))
    return {"asked at once": direct, "listed": False, "looks": looks, "seconds": _LISTED_WITHIN_S}


def _again(other: bool, side: Side) -> Answer:
    """The first task's request once more, under the same id."""
    first = next((side.shared[kind] for kind in ("drive", "gs") if side.shared.get(kind, {}).get("name")), None)
    if first is None:
        raise EarthEngineError("no export was accepted, so none can be sent again")
    body = {**first["body"], "priority": {"value": 101}} if other else first["body"]
    asked = side.answer(lambda: side.submit(request_id(first["body"]), body))
    if "answer" not in asked:
        return asked
    operation = asked["answer"]
    is_new = operation["name"] != first["name"]
    if is_new:
        side.answer(lambda: side.session.cancel(operation["name"]))
    return {"the same task": not is_new, "kind": ""}


def _one_task(found: Answer) -> bool:
    return bool(found.get("the same task")) or found.get("kind") == "duplicate"


def _begin_cancelled(side: Side) -> None:
    started = start(side, "cancelled", body_of(side, side.destinations[0], "cancelled"))
    if name := started["name"]:
        started["state"] = side.answer(lambda: ee.data.getOperation(name)["metadata"]["state"])
        started["cancel"] = side.answer(lambda: ee.data.cancelOperation(name))


def _cancelled(side: Side) -> Answer:
    """A task cancelled just after its submission, and once more after its end."""
    started = side.shared["cancelled"]
    if not (name := started["name"]):
        return {"state": "refused", "asked": started["asked"]}
    found = ended(side, name)
    return {"before": started["state"], "cancel": started["cancel"], **found, "again": side.answer(lambda: ee.data.cancelOperation(name))}


def _begin_descriptions(side: Side) -> None:
    for length in (100, 101):
        text = f"live-{side.stamp}-".ljust(length, "d")
        started = start(side, f"description {length}", body_of(side, side.destinations[0], f"d{length}", small=True, description=text))
        if started["name"]:
            side.answer(lambda name=started["name"]: side.session.cancel(name))  # type: ignore[misc]


def _descriptions(side: Side) -> Answer:
    found: Answer = {}
    for length in (100, 101):
        started = side.shared[f"description {length}"]
        kept = len(str(started["asked"].get("answer", {}).get("metadata", {}).get("description", ""))) if started["name"] else 0
        found[str(length)] = {"accepted": bool(started["name"]), "kept": kept} if started["name"] else started["asked"]
    return found


def _begin_no_bucket(side: Side) -> None:
    start(side, "no bucket", body_of(side, CloudStorage(f"cropcam-live-none-{side.stamp}", ""), "none", small=True))


def _no_bucket(side: Side) -> Answer:
    started = side.shared["no bucket"]
    return ended(side, started["name"]) if started["name"] else {"state": "refused", **started["asked"]}


def ended(side: Side, name: str) -> Answer:
    """State, seconds, cost, error and destinations of a task that has ended, or has not in time."""
    began = time.monotonic()
    operation = side.wait(name)
    about = operation.get("metadata", {})
    found: Answer = {"state": str(about.get("state", "unknown to the service")), "seconds": round(time.monotonic() - began, 1)}
    found["uris"] = [str(uri).replace(side.stamp, "STAMP") for uri in about.get("destinationUris", [])]
    if "batchEecuUsageSeconds" in about:
        found["eecu"] = {"seconds": about["batchEecuUsageSeconds"]}
    if "error" in operation:
        found["error"] = operation["error"]
    return found


TASKS = (
    Point("listing", "Is a task known and listed at once?", lambda side: side.shared.get("listing", {}), same("listed", needed=lambda found: bool(found.get("listed")))),
    Point("same-request", "Is a request sent twice one task?", partial(_again, False), same("the same task", "kind", needed=_one_task), None, "any"),
    Point("other-request", "Is another request under a used id refused?", partial(_again, True), same("the same task", "kind", needed=_one_task), None, "any"),
    Point("description", "May a description have 100 characters?", _descriptions, same(needed=lambda found: bool(found["100"].get("accepted"))), _begin_descriptions, "any", 30, 5),
    Point("cancel", "How does a cancelled task end, and a cancel after the end?", _cancelled, same("state", needed=lambda found: found["state"] in ("CANCELLED", "SUCCEEDED")), _begin_cancelled, "any", 120, 50),
    Point("no-bucket", "How is a bucket refused that does not exist?", _no_bucket, same("state"), _begin_no_bucket, "gs", 120, 20),
)  # fmt: skip
