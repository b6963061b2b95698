"""Servers on loopback: a port of 127.0.0.1, a thread per connection, as many connections as one machine needs, closed at the end.

What a connection may send is the matter of `loopback_requests`.
"""

from __future__ import annotations

import errno
import logging
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

from cropcam.pipeline.errors import ConfigError, CropcamError

ADDRESS = "127.0.0.1"
CONNECTIONS = 256  # at a time: a client of Earth Engine keeps 40
_LOG = logging.getLogger(__name__)


class LoopbackServer(ThreadingHTTPServer):
    """A thread per connection; keeps its open sockets, to close them.

    Beyond `CONNECTIONS` the connection that has been silent for longest gives way; where all are being answered, the new one does.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, *args: Any) -> None:  # noqa: ANN401 - as the base class
        self._sockets: dict[socket.socket, float | None] = {}  # since when a connection is silent; None while it is answered
        self._lock = threading.Lock()
        super().__init__(*args)

    @property
    def url(self) -> str:
        """Where it listens: "http://127.0.0.1:PORT"."""
        return f"http://{ADDRESS}:{self.server_address[1]}"

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the base class
        """Serve one connection in a thread of its own, if there is room."""
        with self._lock:
            has_room = len(self._sockets) < CONNECTIONS or self._hang_up_silent()
            if has_room:
                self._sockets[request] = time.monotonic()
        if not has_room:
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread is left
            with self._lock:
                self._sockets.pop(request, None)
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the base class
        """Serve one connection, and keep its socket as long."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:  # others look through all of them
                self._sockets.pop(request, None)

    def note(self, request: socket.socket, *, is_silent: bool) -> None:
        """Whether a connection waits for its client; else it is being answered."""
        with self._lock:
            if not is_silent and request in self._sockets:
                self._sockets[request] = None
            elif self._sockets.get(request, 0.0) is None:  # one that was silent before is so since then
                self._sockets[request] = time.monotonic()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002 - as the base class
        """A client that went away is no error."""
        _LOG.debug("connection ended", exc_info=True)

    def hang_up(self) -> None:
        """End every connection."""
        for connection in list(self._sockets):
            _shut(connection)

    def _hang_up_silent(self) -> bool:
        """End the connection that has been silent for longest; whether there is one."""
        silent = {connection: since for connection, since in self._sockets.items() if since is not None}
        if not silent:
            return False
        longest = min(silent, key=lambda connection: silent[connection])
        self._sockets.pop(longest, None)
        _shut(longest)
        return True


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        _LOG.debug("connection was closed already")


Server = TypeVar("Server", bound=LoopbackServer)


def listen(kind: type[Server], handler: type[BaseHTTPRequestHandler], port: int, error_kind: type[CropcamError] = ConfigError) -> Server:
    """A server on a port of 127.0.0.1, 0 for any that is free.

    Raises:
        CropcamError: of `error_kind`: the port is taken, or none.
    """
    try:
        return kind((ADDRESS, port), handler)
    except OverflowError:
        raise error_kind(f"port {port} is none; choose one between 1 and 65535, or 0 for any that is free") from None
    except OSError as error:
        reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be opened ({error.strerror})"
        raise error_kind(f"port {port} on {ADDRESS} {reason}; choose another with --port, or 0 for any that is free") from None
