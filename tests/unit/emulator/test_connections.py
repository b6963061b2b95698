"""Connections: HTTP, errors, faults, tokens, requests a second."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
        status, _, found = request(server, "POST", "/faults", '[{"route": "operations:list"}]')
        assert (status, "never strikes" in found["error"]["message"]) == (400, True)
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


EXPORT = {"description": "d", "fileExportOptions": {"driveDestination": {"folder": "f", "filenamePrefix": "p"}}}
BODY = json.dumps({"expression": {"result": "0", "values": {"0": {"constantValue": 7}}}} | EXPORT)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/projects/p/image:export"), ("GET", "/v1/projects/p/config"), ("POST", "/faults")]
)
def test_a_page_of_another_site_starts_nothing(server: Server, method: str, path: str, headers: dict[str, str]) -> None:
    status, found_headers, found = request(server, method, path, BODY if method == "POST" else "", **headers)
    assert (status, found["error"]["status"]) == (403, "PERMISSION_DENIED")
    assert not [name for name in found_headers if name.lower().startswith("access-control")]
    assert request(server, "GET", "/v1/projects/p/operations")[2] == {"operations": []}


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_a_body_of_a_forms_type_starts_nothing(server: Server, kind: str) -> None:
    status, _, found = request(server, "POST", "/v1/projects/p/image:export", BODY, **{"Content-Type": kind})
    assert (status, "send application/json" in found["error"]["message"]) == (400, True)
    assert request(server, "GET", "/v1/projects/p/operations")[2] == {"operations": []}


def test_pages_of_other_sites_may_show_pictures_alone(server: Server) -> None:
    shown = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    body = json.dumps({"expression": json.loads(BODY)["expression"]})
    image = body.replace(
        '{"constantValue": 7}',
        json.dumps({"functionInvocationValue": {"functionName": "Image.constant", "arguments": {"value": {"constantValue": 7}}}}),
    )
    name = request(server, "POST", "/v1/projects/p/maps", image)[2]["name"]
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    connection.request("GET", f"/v1/{name}/tiles/0/0/0", headers=shown)
    assert connection.getresponse().status == 200
    connection.close()


def test_nothing_that_is_sent_is_a_page(server: Server) -> None:
    headers = request(server, "GET", "/v1/projects/%3Cimg%20src=x%3E/nothing")[1]
    assert headers["Content-Type"] == "application/json; charset=UTF-8"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_what_is_left_of_a_body_is_no_request(server: Server) -> None:
    host = urlsplit(server.url).netloc
    inner = f"GET /v1/projects/p/config HTTP/1.1\r\nHost: {host}\r\n\r\n"
    outer = f"POST /nothing HTTP/1.1\r\nHost: {host}\r\nOrigin: http://evil.example\r\nContent-Type: text/plain\r\nContent-Length: {len(inner)}\r\n\r\n"
    with socket.create_connection((urlsplit(server.url).hostname, urlsplit(server.url).port), timeout=10) as connection:
        connection.sendall((outer + inner).encode())
        answers = b"".join(iter(lambda: connection.recv(65536), b""))
    assert (answers.count(b"HTTP/1.1"), answers[9:12]) == (1, b"404")


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "TRACE"])
def test_other_methods_are_not_found(server: Server, method: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    connection.request(method, "/v1/projects/p/config")
    answer = connection.getresponse()
    assert answer.status == 404
    assert (answer.read() == b"") is (method == "HEAD")
    connection.close()


@pytest.mark.parametrize(
    "path",
    [
        "/v1/projects/p/assets/../../../etc/passwd",
        "/v1/projects/p/assets/%2e%2e/%2e%2e/etc/passwd",
        "/v1/projects/p/assets/%2Fetc%2Fpasswd",
        "/v1/projects/p/assets/a%00b",
        "/v1/projects/p/assets/..%5C..%5Cetc",
        "/v1/projects/p/operations/..%2F..%2Fx",
        "/storage/v1/b/..%2F..%2Fetc",
        "/storage/v1/b/bucket/o/..%2F..%2F..%2Fetc%2Fpasswd?alt=media",
        "/drive/v3/files/..%2F..%2Fetc%2Fpasswd?alt=media",
        "/drive/v3/files/%00",
    ],
)
def test_paths_and_ids_lead_nowhere_else(server: Server, path: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.status in (400, 404)
    assert b"root:" not in answer.read()
    connection.close()


@pytest.mark.parametrize("body", ["[" * 100_000, '{"a":' + "[" * 100_000 + "]" * 100_000 + "}", '{"a": NaN}', '{"a": 1' + "0" * 5000 + "}"])
def test_json_that_is_none_is_one_line(archive: Path, body: str) -> None:
    with Server(archive, 0, None, Faults(), Limits()) as server:
        status, _, found = request(server, "POST", COMPUTE, body)
    assert (status, found["error"]["message"].startswith("Invalid JSON payload received: ")) == (400, True)


@pytest.mark.parametrize("code", ["EPSG:999999", "EPSG:4326; DROP", "ESRI:54009", "X" * 100_000, "EPSG:0"])
def test_an_unknown_crs_is_refused_for_good(server: Server, code: str) -> None:
    constant = {"functionInvocationValue": {"functionName": "Image.constant", "arguments": {"value": {"constantValue": 7}}}}
    grid = {"dimensions": {"width": 8, "height": 8}, "affineTransform": {"scaleX": 1, "scaleY": -1}, "crsCode": code[:300]}
    body = json.dumps({"expression": {"result": "0", "values": {"0": constant}}, "fileFormat": "NPY", "grid": grid})
    assert request(server, "POST", "/v1/projects/p/image:computePixels", body)[0] == 400


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["value", "width", "scaleX", "values", "0", "result"]), inner, max_size=3)
    ),
    max_leaves=6,
)
PIXELS = {
    "expression": {"result": "0", "values": {"0": {"functionInvocationValue": {"functionName": "Image.constant", "arguments": {"value": {"constantValue": 7}}}}}},
    "fileFormat": "NPY",
    "bandIds": ["constant"],
    "grid": {"dimensions": {"width": 2, "height": 2}, "affineTransform": {"scaleX": 1.0, "scaleY": -1.0}, "crsCode": "EPSG:4326"},
    "visualizationOptions": {"ranges": [{"min": 0, "max": 1}], "paletteColors": ["red"]},
    "fileExportOptions": {"fileFormat": "GEO_TIFF", "driveDestination": {"folder": "f", "filenamePrefix": "p"}},
    "description": "d",
    "maxPixels": {"value": "10"},
}  # fmt: skip


@pytest.fixture(scope="module")
def roomy(archive: Path) -> Iterator[Server]:
    with Server(archive, 0, None, Faults(), Limits(requests_per_s=10**6)) as found:
        yield found


@settings(max_examples=60)
@given(
    st.sampled_from(["image:computePixels", "value:compute", "image:export", "maps", "thumbnails", "assets?assetId=a"]),
    st.sampled_from(
        ["expression", "fileFormat", "bandIds", "grid", "visualizationOptions", "fileExportOptions", "description", "maxPixels"]
    ),
    JSON,
    st.none()
    | st.sampled_from(["values", "result", "dimensions", "affineTransform", "crsCode", "ranges", "paletteColors", "driveDestination"]),
)
def test_any_field_may_be_any_json(roomy: Server, path: str, field: str, value: Any, inner: str | None) -> None:
    body = dict(PIXELS)
    body[field] = {**PIXELS[field], inner: value} if inner and isinstance(PIXELS[field], dict) else value  # type: ignore[dict-item]
    connection = http.client.HTTPConnection(urlsplit(roomy.url).netloc, timeout=30)
    connection.request("POST", f"/v1/projects/p/{path}", json.dumps(body))
    answer = connection.getresponse()
    assert (answer.status, answer.status in (200, 400, 404, 409, 429) and b"Traceback" not in answer.read()) == (answer.status, True)
    connection.close()
