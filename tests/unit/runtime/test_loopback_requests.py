"""Requests to a server on loopback: senders, lengths, times, numbers of connections."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cropcam.pipeline.runtime import loopback, loopback_requests
from cropcam.pipeline.runtime.loopback import LoopbackServer, listen
from cropcam.pipeline.runtime.loopback_requests import SECURITY_HEADERS, LoopbackHandler, Refused, body_size, check_sender

PORT = 8123
OWN = {"host": f"127.0.0.1:{PORT}"}


@pytest.mark.parametrize("host", [f"127.0.0.1:{PORT}", f"LOCALHOST:{PORT}", f"[::1]:{PORT}"])
def test_this_machine_may_ask(host: str) -> None:
    check_sender({"host": host}, PORT)
    check_sender({"host": host, "origin": f"http://127.0.0.1:{PORT}", "sec-fetch-site": "same-origin"}, PORT)
    check_sender({"host": "localhost"}, 80)


@pytest.mark.parametrize("host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", f"127.0.0.1:{PORT}, evil", f"127.0.0.2:{PORT}", ""])
@pytest.mark.parametrize("stranger_ok", [False, True])
def test_another_host_may_not(host: str, stranger_ok: bool) -> None:
    with pytest.raises(Refused, match="for this machine alone") as refused:
        check_sender({"host": host}, PORT, stranger_ok=stranger_ok)
    assert refused.value.status == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "anything"])
def test_another_sites_page_may_show_what_is_open_to_it_and_no_more(site: str) -> None:
    check_sender(OWN | {"sec-fetch-site": site}, PORT, stranger_ok=True)
    with pytest.raises(Refused, match="other sites"):
        check_sender(OWN | {"sec-fetch-site": site}, PORT)
    for origin in ("https://evil.example", "null", ""):
        with pytest.raises(Refused, match="other sites"):
            check_sender(OWN | {"origin": origin}, PORT, stranger_ok=True)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-length": "-1"}, 400),
        ({"content-length": "ten"}, 400),
        ({"content-length": "1, 2"}, 400),
        ({"content-length": "\u0661"}, 400),
        ({"content-length": "9" * 30}, 400),
        ({"content-length": "11"}, 413),
        ({"transfer-encoding": "chunked"}, 411),
        ({"content-length": "3", "content-type": "text/plain"}, 415),
        ({"content-length": "3", "content-type": "Multipart/Form-Data; boundary=x"}, 415),
        ({"content-length": "3", "content-type": "application/x-www-form-urlencoded"}, 415),
    ],
)
def test_bodies_without_a_length_or_of_any_forms_type_are_refused(headers: dict[str, str], status: int) -> None:
    with pytest.raises(Refused) as refused:
        body_size(headers, 10)
    assert refused.value.status == status


def test_the_length_of_a_body() -> None:
    assert body_size({}, 10) == 0
    assert body_size({"content-length": "10", "content-type": "application/json; charset=UTF-8"}, 10) == 10


def test_no_header_opens_a_page_to_others() -> None:
    assert not [name for name in SECURITY_HEADERS if name.startswith("Access-Control")]
    assert SECURITY_HEADERS["X-Content-Type-Options"] == "nosniff"
    assert SECURITY_HEADERS["Referrer-Policy"] == "no-referrer"


class Echo(LoopbackHandler):
    def serve(self) -> None:
        try:
            content = self.body(100)
        except Refused as refused:
            self.refuse(refused.status, refused.reason)
            return
        self.answer(200, content)

    def refuse(self, status: int, reason: str) -> None:
        self.answer(status, reason.encode())

    def answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def echo() -> Iterator[LoopbackServer]:
    with listen(LoopbackServer, Echo, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
            server.hang_up()


def connect(server: LoopbackServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.server_port), timeout=30)


def talk(server: LoopbackServer, sent: bytes) -> bytes:
    """All that comes back until the server ends the connection."""
    with connect(server) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        return connection.makefile("rb").read()


def test_requests_in_a_row_are_answered_in_order() -> None:
    one = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n"
    with echo() as server:
        found = talk(server, one + b"abc" + one + b"def" + b"PROPFIND / HTTP/1.1\r\n\r\n")
    assert re.findall(rb"HTTP/1.1 (\d+)", found) == [b"200", b"200", b"200"]
    assert re.findall(rb"\r\n\r\n(\w+)", found) == [b"abcHTTP", b"defHTTP"]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", 431),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n" + b" " * 1000, 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc", 400),
    ],
)
def test_what_is_no_request_gets_one_line_and_the_connection_ends(sent: bytes, status: int) -> None:
    with echo() as server:
        found = talk(server, sent)
    head, _, line = found.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d" % status)
    assert found.count(b"HTTP/1.1 ") - line.count(b"HTTP/1.1") == 1
    assert b"<" not in line


@pytest.mark.parametrize(
    ("limit", "sent"),
    [("SILENT_S", b""), ("REQUEST_S", b"GET / HTTP/1.1\r\nX:"), ("BODY_S", b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab")],
)
def test_slow_clients_are_left(monkeypatch: pytest.MonkeyPatch, limit: str, sent: bytes) -> None:
    monkeypatch.setattr(loopback_requests, limit, 0.05)
    with echo() as server, connect(server) as connection:
        connection.sendall(sent)
        assert connection.recv(1) == b""


def test_of_too_many_connections_the_longest_silent_one_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loopback, "CONNECTIONS", 3)
    with echo() as server:
        kept = [connect(server) for _ in range(3)]
        for connection in kept[1:]:  # the first is silent for longest
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert connection.recv(12) == b"HTTP/1.1 200"
        assert talk(server, b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 200")
        assert kept[0].recv(1) == b""
        kept[1].sendall(b"GET / HTTP/1.1\r\n\r\n")
        kept[1].shutdown(socket.SHUT_WR)
        assert b"\r\n\r\nHTTP/1.1 200" in kept[1].makefile("rb").read()  # behind the rest of the first answer
        for connection in kept:
            connection.close()


def test_the_limits() -> None:
    assert loopback.CONNECTIONS == 256
    assert (loopback_requests.SILENT_S, loopback_requests.REQUEST_S, loopback_requests.BODY_S, loopback_requests.SEND_S) == (
        120,
        20,
        60,
        120,
    )
