"""Earth Engine for tests without a service: the wheel's own discovery document and algorithms, and nothing beyond them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ee
import httplib2
from google.auth.credentials import AnonymousCredentials

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
