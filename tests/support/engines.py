"""Earth Engine for tests without a service: the wheel's own discovery document and algorithms, and nothing beyond them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ee
import httplib2
from google.auth.credentials import AnonymousCredentials

from cropcam.pipeline.earthengine import exports
from cropcam.pipeline.earthengine.error_messages import Backoff, ServiceError
from cropcam.pipeline.earthengine.export_run import Options, Pace
from cropcam.pipeline.earthengine.plan import Plan
from cropcam.pipeline.earthengine.session import Session
from cropcam.pipeline.earthengine.task_status import Row

PACE = Pace(0.0, 0.0, lambda _: None)  # without waiting
WHEEL = Path(ee.__file__).parent / "tests"


class Offline:
    """An httplib2-style transport that answers Initialize from the wheel and refuses every other request."""

    def __init__(self) -> None:
        self.requests: list[str] = []

    def request(self, uri: str, method: str = "GET", **_: Any) -> tuple[httplib2.Response, bytes]:
        self.requests.append(f"{method} {uri}")
        name = "cloud_api_discovery_document.json" if "$discovery" in uri else "algorithms.json" if "/algorithms" in uri else None
        assert name, f"a request was made: {method} {uri}"
        return httplib2.Response({"status": 200, "content-type": "application/json"}), (WHEEL / name).read_bytes()


@contextmanager
def offline() -> Iterator[Offline]:
    """An initialised client that cannot send anything."""
    transport = Offline()
    fetch = ee.deprecation._FetchDataCatalogStac
    ee.deprecation._FetchDataCatalogStac = dict
    try:
        ee.Initialize(credentials=AnonymousCredentials(), url="http://127.0.0.1:1", project="test", http_transport=transport)
        yield transport
    finally:
        ee.deprecation._FetchDataCatalogStac = fetch
        ee.Reset()


def signatures() -> dict[str, dict[str, Any]]:
    """The wheel's algorithms by name, each with its arguments by name."""
    listed = json.loads((WHEEL / "algorithms.json").read_text("utf-8"))["algorithms"]
    return {
        entry["name"].removeprefix("algorithms/"): {argument["argumentName"]: argument for argument in entry.get("arguments", [])}
        for entry in listed
    }


def invocations(value: Any) -> Iterator[dict[str, Any]]:
    """Every functionInvocationValue in an expression."""
    if isinstance(value, dict):
        if "functionInvocationValue" in value:
            yield value["functionInvocationValue"]
        for inner in value.values():
            yield from invocations(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from invocations(inner)


class FakeService(Session):
    """A session whose service lives in memory: operations by name, faults on order; `sent` counts what reached it."""

    def __init__(self, **states: str) -> None:
        super().__init__("test", "https://earthengine.googleapis.com", False, Backoff(attempts=3, sleep=lambda _: None))
        self.__dict__.update(held={}, sent=[], orders=[], states=states, looks=0, scenes=5, assets={}, unknown=[], hidden=[])

    def with_backoff(self, backoff: Backoff) -> Session:
        other = copy.copy(self)
        other.__dict__["backoff"] = backoff
        return other

    def value(self, computed: Any, what: str) -> Any:  # noqa: ARG002
        return {} if what.startswith("pixel sizes") else self.scenes

    def pixels(self, image: Any, grid: Any, what: str) -> bytes:  # noqa: ARG002
        return b""

    def export(self, request_id: str, request: Any, what: str) -> dict[str, Any]:
        def send() -> dict[str, Any]:
            fault = self.orders.pop(0) if self.orders else None
            if isinstance(fault, BaseException) and not isinstance(fault, KeyboardInterrupt):
                raise fault
            self.sent.append(request_id)
            known = next((operation for operation in self.held.values() if operation["requestId"] == request_id), None)
            if known is not None:
                if known["body"] != request:
                    raise ee.EEException("A task with this request ID exists; the request is not byte for byte identical.")
                return known
            name = f"projects/test/operations/{len(self.held):024d}"
            metadata = {"state": "PENDING", "description": request["description"], "createTime": "2026-01-01T00:00:00Z"}
            self.held[name] = {"name": name, "requestId": request_id, "metadata": metadata, "body": request}
            if fault is not None:  # the process dies after the request arrived
                raise fault
            return self.held[name]

        return self.backoff.call(send, what)

    def operations(self) -> list[dict[str, Any]]:
        """The list: each task goes one state on; `hidden` are parts of descriptions that the list does not show yet."""
        self.__dict__["looks"] += 1
        shown = [
            operation for operation in self.held.values() if not any(part in operation["metadata"]["description"] for part in self.hidden)
        ]
        return [self._moved(operation) for operation in shown]

    def operation(self, name: str) -> dict[str, Any]:
        """One task, one state on; `unknown` are parts of descriptions that get 404."""
        about = self.held.get(name, {}).get("metadata", {})
        if name not in self.held or any(part in about["description"] for part in self.unknown):
            raise ServiceError(f"{name}: not found", "absent")
        return self._moved(self.held[name])

    def _moved(self, operation: dict[str, Any]) -> dict[str, Any]:
        """An operation after its next state; `states` names tasks (by a part of their description) that end otherwise."""
        about, following = operation["metadata"], {"PENDING": "RUNNING", "RUNNING": "SUCCEEDED", "CANCELLING": "CANCELLED"}
        has_run = about["state"] == "RUNNING"
        about["state"] = following.get(about["state"], about["state"])
        ending = next((end for part, end in self.states.items() if part in about["description"]), None)
        if about["state"] == "SUCCEEDED" and ending and "error" not in operation:
            about["state"] = "FAILED"
            operation["error"] = {"code": 3, "message": ending}
        if has_run and about["state"] == "SUCCEEDED" and "assetExportOptions" in operation["body"]:
            self._write_asset(operation["body"])
        about |= {"startTime": "2026-01-01T00:00:10Z", "updateTime": "2026-01-01T00:01:40Z", "batchEecuUsageSeconds": 2.5}
        return dict(json.loads(json.dumps({key: value for key, value in operation.items() if key not in ("body", "requestId")})))

    def _write_asset(self, body: dict[str, Any]) -> None:
        """An asset with the properties that the graph sets."""
        calls = [call["arguments"] for call in invocations(body["expression"]) if call["functionName"] == "Element.set"]
        properties = {call["key"]["constantValue"]: call["value"].get("constantValue") for call in calls if "constantValue" in call["key"]}
        name = body["assetExportOptions"]["earthEngineDestination"]["name"]
        self.assets[name.removeprefix("projects/earthengine-legacy/assets/")] = {"properties": properties}  # "test" is too short a project

    def asset(self, name: str) -> dict[str, Any] | None:
        return self.assets.get(name)

    def cancel(self, name: str) -> None:
        self.held[name]["metadata"]["state"] = "CANCELLING"


def run_export(made: Plan, service: FakeService, file: Path, **options: Any) -> list[Row]:
    """Export without waiting."""
    return exports.export(made, service, file, Options(**{"pace": PACE, **options}))
