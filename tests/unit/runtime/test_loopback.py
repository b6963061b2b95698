"""Servers on loopback: ports, and their end."""

from __future__ import annotations

import http.client
import socket
import threading
from http.server import BaseHTTPRequestHandler

import pytest

from cropcam.pipeline.errors import ConfigError, EarthEngineError
from cropcam.pipeline.runtime.loopback import LoopbackServer, listen


class Hello(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        pass


def test_a_free_port_answers_and_a_hung_up_connection_ends() -> None:
    with listen(LoopbackServer, Hello, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        connection = http.client.HTTPConnection(*server.server_address[:2], timeout=30)
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"hello"
        assert server.url == f"http://127.0.0.1:{server.server_address[1]}"
        assert isinstance(connection.sock, socket.socket)
        server.shutdown()
        thread.join()
        server.hang_up()
        assert connection.sock.recv(1) == b""
        connection.close()


@pytest.mark.parametrize("kind", [ConfigError, EarthEngineError])
def test_a_taken_port_and_a_port_that_is_none_are_one_line(kind: type[ConfigError]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(kind, match=rf"^port {taken.getsockname()[1]} on 127\.0\.0\.1 is in use; choose another with --port"):
            listen(LoopbackServer, Hello, taken.getsockname()[1], kind)
    with pytest.raises(kind, match=r"^port 70000 is none; choose one between 1 and 65535"):
        listen(LoopbackServer, Hello, 70_000, kind)
