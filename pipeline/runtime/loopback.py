"""Servers on loopback: a port of 127.0.0.1, a thread per connection, sockets that are closed at the end."""

from __future__ import annotations

import errno
import logging
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

from cropcam.pipeline.errors import ConfigError, CropcamError

ADDRESS = "127.0.0.1"
_LOG = logging.getLogger(__name__)


class LoopbackServer(ThreadingHTTPServer):
    """A thread per connection; keeps its open sockets, to close them."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, *args: Any) -> None:  # noqa: ANN401 - as the base class
        self._sockets: set[socket.socket] = set()
        super().__init__(*args)

    @property
    def url(self) -> str:
        """Where it listens: "http://127.0.0.1:PORT"."""
        return f"http://{ADDRESS}:{self.server_address[1]}"

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the base class
        """Serve one connection, and keep its socket as long."""
        self._sockets.add(request)
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._sockets.discard(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002 - as the base class
        """A client that went away is no error."""
        _LOG.debug("connection ended", exc_info=True)

    def hang_up(self) -> None:
        """End every connection."""
        for connection in self._sockets.copy():
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


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, with a KeyboardInterrupt. In the main thread alone."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
