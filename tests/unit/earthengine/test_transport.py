"""The HTTP transport of the client, against a server on this machine."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from google.auth.transport.requests import AuthorizedSession
from google.oauth2.credentials import Credentials

from cropcam.pipeline.earthengine.transport import Transport


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
        body += self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(503 if self.path == "/busy" else 200)
        self.send_header("Content-Length", str(len(body)))
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
