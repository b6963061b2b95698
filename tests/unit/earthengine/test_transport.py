"""The HTTP transport of the client, against a server on this machine."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from google.auth.credentials import AnonymousCredentials
from google.auth.transport.requests import AuthorizedSession
from google.oauth2.credentials import Credentials

from cropcam.pipeline.earthengine import transport as transport_module
from cropcam.pipeline.earthengine.error_messages import ServiceError
from cropcam.pipeline.earthengine.transport import Transport, is_loopback_host
from cropcam.pipeline.fetch.access import authorized_session


class Handler(BaseHTTPRequestHandler):
    release = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/silent":
            self.release.wait(20)
        if self.path == "/broken":
            self.close_connection = True
            return
        body = f"{self.command} {self.path} {self.headers.get('X-Goog-User-Project')}".encode()
        if self.path == "/signed":
            body = str(self.headers.get("Authorization")).encode()
        if self.path == "/bomb":
            body = gzip.compress(bytes(2**21))
        body += self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(503 if self.path == "/busy" else 200)
        self.send_header("Content-Length", str(len(body)))
        if self.path == "/bomb":
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Nothing on the screen of the tests."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    Handler.release.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        Handler.release.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def transport() -> Iterator[Transport]:
    made = Transport()
    yield made
    made.close()


def test_an_answer_has_its_status_and_body(url: str, transport: Transport) -> None:
    response, body = transport.request(f"{url}/v1/value", headers={"X-Goog-User-Project": "p"})
    assert (response.status, body) == (200, b"GET /v1/value p")
    response, body = transport.request(f"{url}/v1/value:compute", "POST", b"{}")
    assert (response.status, body) == (200, b"POST /v1/value:compute None{}")


def test_an_error_status_is_an_answer(url: str, transport: Transport) -> None:
    response, _ = transport.request(f"{url}/busy")
    assert response.status == 503


def test_a_connection_that_breaks_off_is_an_error_with_its_reason(url: str, transport: Transport) -> None:
    with pytest.raises(ConnectionError, match="closed connection without response"):
        transport.request(f"{url}/broken")


def test_no_answer_in_time_is_a_timeout(url: str) -> None:
    impatient = Transport(read_s=0.05)
    with pytest.raises(TimeoutError, match="no answer within 0 s"):
        impatient.request(f"{url}/silent")
    impatient.close()


def test_no_server_is_a_connection_error(transport: Transport) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, and nobody listens
        with pytest.raises(ConnectionError, match="refused"):
            transport.request(f"http://127.0.0.1:{unused.getsockname()[1]}/")


def test_a_session_of_google_auth_signs_the_requests(url: str) -> None:
    transport = Transport(session=AuthorizedSession(Credentials("the token")))
    assert transport.request(f"{url}/signed")[1] == b"Bearer the token"
    transport.close()


def test_a_proxy_of_the_environment_catches_no_request_to_this_machine(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")  # nobody is there
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    made = Transport()
    assert made.request(f"{url}/v1/value")[0].status == 200
    assert made.request(f"{url.replace('127.0.0.1', 'localhost')}/v1/value")[0].status == 200
    with authorized_session(AnonymousCredentials()) as session:
        assert session.get(f"{url}/v1/value", timeout=20).status_code == 200
    with pytest.raises(ConnectionError, match="refused"):  # others are reached through it
        made.request("http://earthengine.example/v1/value")
    made.close()


@pytest.mark.parametrize(("host", "local"), [("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("localhost", True), ("10.0.0.1", False), ("localhost.evil.example", False), ("", False)])  # fmt: skip
def test_hosts_that_are_this_machine(host: str, local: bool) -> None:
    assert is_loopback_host(host) is local


def test_an_answer_that_fills_the_memory_is_not_taken(url: str, transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    assert transport_module.ANSWER_BYTES == 268_435_456
    assert len(transport.request(f"{url}/bomb")[1]) == 2**21
    monkeypatch.setattr(transport_module, "ANSWER_BYTES", 2**20)
    with pytest.raises(ServiceError, match=r"an answer of 127\.0\.0\.1:\d+ has over 1 MiB: not Earth Engine's; check --api-url"):
        transport.request(f"{url}/bomb")
