"""Connections: HTTP, errors, faults, tokens, requests a second."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from cropcam.pipeline.emulator.connections import ENGINE_HEADER, listen
from cropcam.pipeline.emulator.fault_injection import Fault, Faults
from cropcam.pipeline.emulator.limits import Limits
from cropcam.pipeline.emulator.server import Server
from cropcam.pipeline.errors import EarthEngineError

COMPUTE = "/v1/projects/p/value:compute"


def request(server: Server, method: str, path: str, body: str = "", **headers: str) -> tuple[int, http.client.HTTPMessage, Any]:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, json.loads(answer.read())
    finally:
        connection.close()


@pytest.fixture(scope="module")
def server(archive: Path) -> Iterator[Server]:
    with Server(archive, 0, None, Faults(), Limits(body_bytes=1000)) as found:
        yield found


def test_every_answer_names_the_embedded_engine(server: Server) -> None:
    body = json.dumps({"expression": {"result": "0", "values": {"0": {"constantValue": 7}}}})
    status, headers, found = request(server, "POST", COMPUTE, body)
    assert (status, headers[ENGINE_HEADER], found) == (200, "embedded", {"result": 7})
    assert request(server, "GET", "/v1/nothing")[1][ENGINE_HEADER] == "embedded"


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "message"),
    [
        ("POST", COMPUTE, "{", 400, "Invalid JSON payload received"),
        ("POST", COMPUTE, "3", 400, "it must be an object"),
        ("POST", COMPUTE, "{}", 400, "carries no expression"),
        ("POST", COMPUTE, " " * 1001, 400, "exceeds the limit: 1000 bytes"),
        ("DELETE", "/v1/projects/p/config", "", 404, "does not answer DELETE"),
        ("GET", "/faults", "", 404, "takes no orders for faults"),
    ],
)
def test_errors_have_the_form_of_google(server: Server, method: str, path: str, body: str, code: int, message: str) -> None:
    status, _, found = request(server, method, path, body)
    assert (status, found["error"]["code"]) == (code, code)
    assert message in found["error"]["message"]


def test_faults_are_taken_while_they_last(archive: Path) -> None:
    with Server(archive, 0, None, Faults.of(Fault("config", status=503), is_open=True), Limits()) as server:
        assert [request(server, "GET", "/v1/projects/p/config")[0] for _ in range(2)] == [503, 200]
        assert request(server, "POST", "/faults", '[{"route": "config", "status": 500}]')[2][0]["status"] == 500
        assert request(server, "DELETE", "/faults")[2] == []
        assert request(server, "GET", "/v1/projects/p/config")[0] == 200


def test_tokens_are_demanded_once_granted(archive: Path) -> None:
    with Server(archive, 0, None, Faults(is_open=True), Limits()) as server:
        assert request(server, "GET", "/v1/projects/p/config")[0] == 200
        request(server, "POST", "/access", '[{"token": "secret", "email": "a@b.c", "projects": ["p"]}]')
        assert request(server, "GET", "/v1/projects/p/config")[0] == 401
        assert request(server, "GET", "/$discovery/rest")[0] == 200
        assert request(server, "GET", "/v1/projects/p/config", authorization="Bearer secret")[0] == 200
        status, _, found = request(server, "GET", "/v1/projects/q/config", authorization="Bearer secret")
        assert (status, found["error"]["status"], found["error"]["details"][0]["reason"]) == (
            403,
            "PERMISSION_DENIED",
            "USER_PROJECT_DENIED",
        )
        assert request(server, "DELETE", "/access")[2] == []
        assert request(server, "GET", "/v1/projects/q/config")[0] == 200


def test_more_requests_a_second_than_allowed_are_429(archive: Path) -> None:
    moment = 0.0
    with Server(archive, 0, None, Faults(), Limits(requests_per_s=2), clock=lambda: moment) as server:
        codes = [request(server, "GET", f"/v1/projects/{project}/config")[0] for project in ("p", "p", "p", "q")]
        assert codes == [200, 200, 429, 200]
        assert request(server, "GET", "/v1/projects/q/config", **{"x-goog-user-project": "p"})[0] == 429
        assert request(server, "GET", "/$discovery/rest")[0] == 200
        moment = 1.0
        assert request(server, "GET", "/v1/projects/p/config")[0] == 200


def test_a_used_up_day_refuses_computations_and_nothing_else(archive: Path) -> None:
    body = json.dumps({"expression": {"result": "0", "values": {"0": {"constantValue": 7}}}})
    with Server(archive, 0, None, Faults(), Limits(eecu_day_s=1e-9)) as server:
        assert request(server, "POST", COMPUTE, body)[0] == 200
        status, _, found = request(server, "POST", COMPUTE, body)
        assert (status, "daily_eecu_usage_time" in found["error"]["message"]) == (429, True)
        assert request(server, "GET", "/v1/projects/p/operations")[0] == 200


def test_a_port_is_one_that_is_free() -> None:
    with listen(0) as free:
        port = int(free.url.rpartition(":")[2])
        with pytest.raises(EarthEngineError, match=rf"port {port} on 127\.0\.0\.1 is in use; choose another with --port"):
            listen(port)
    with pytest.raises(EarthEngineError, match="port 70000 is none"):
        listen(70_000)
