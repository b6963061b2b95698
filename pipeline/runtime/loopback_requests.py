"""Requests to a server on loopback: who may send one, what it may hold, how long it may take.

A page of another site can send requests to this machine from the user's own browser. It cannot give them the `Host` of this machine where its
own name leads here, and the browser adds `Origin` or `Sec-Fetch-Site`; both are checked before anything else is looked at.

Source: Fetch standard, "CORS protocol", "Origin header"; W3C, "Fetch Metadata Request Headers"; RFC 9112, sections 2.2, 6 and 9.
"""

from __future__ import annotations

import io
import logging
import re
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any

from cropcam.pipeline.runtime.loopback import LoopbackServer

SILENT_S = 120.0  # a connection without a request
REQUEST_S = 20.0  # from the first byte of a request to the last of its headers
BODY_S = 60.0
SEND_S = 120.0  # one part of a response
# a page may load from its own address alone, and no other page may frame it or read its files
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), camera=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_NAMES = ("127.0.0.1", "localhost", "[::1]")
_SIMPLE_TYPES = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data")  # that any page may send anywhere
_DIGITS = re.compile(r"[0-9]{1,18}")


class Refused(Exception):  # noqa: N818 - an answer, not a failure
    """A request that is not answered: the status and one line why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


def check_sender(headers: Mapping[str, str], port: int, *, stranger_ok: bool = False) -> None:
    """Refuse a request that this machine's user did not send.

    Args:
        headers: by name in lower case.
        port: of the server.
        stranger_ok: whether a page of another site may send it too: a link that is followed, a picture that is shown.

    Raises:
        Refused: 403 for another host (a name that a stranger's DNS gives this machine), and for a request of another site's page.
    """
    hosts = {f"{name}:{port}" for name in _NAMES} | (set(_NAMES) if port == 80 else set())
    if headers.get("host", "").lower() not in hosts:
        raise Refused(
            403, "this server is for this machine alone: use its address as it was printed, and through a tunnel the same port at both ends"
        )
    if (origin := headers.get("origin")) is not None and origin.lower() not in {f"http://{host}" for host in hosts}:
        raise Refused(403, "requests of other sites are refused")
    if headers.get("sec-fetch-site", "") not in ("", "none", "same-origin") and not stranger_ok:
        raise Refused(403, "requests of other sites are refused")


def body_size(headers: Mapping[str, str], most_bytes: int) -> int:
    """Bytes of a request's body.

    Raises:
        Refused: 400 for a length that is none, 411 for a body without a length, 413 for one over `most_bytes`, 415 for a type that the form of
            any web page may have.
    """
    if "transfer-encoding" in headers:
        raise Refused(411, "a body needs a Content-Length")
    text = headers.get("content-length", "0").strip()
    if not _DIGITS.fullmatch(text):
        raise Refused(400, f"Content-Length {text[:40]!r} is no number of bytes")
    if int(text) > most_bytes:
        raise Refused(413, f"Request payload size exceeds the limit: {most_bytes} bytes.")
    if headers.get("content-type", "").partition(";")[0].strip().lower() in _SIMPLE_TYPES:
        raise Refused(415, "a body of this type is refused; send application/json")
    return int(text)


class LoopbackHandler(BaseHTTPRequestHandler, ABC):
    """One connection: request after request, each within its time. Subclasses answer in `serve`, and refuse in `refuse`."""

    protocol_version = "HTTP/1.1"
    sys_version = ""
    disable_nagle_algorithm = True
    server: LoopbackServer

    def setup(self) -> None:
        """Read through `_TimedInput`."""
        super().setup()
        self._input = _TimedInput(self.connection, self.server)
        self.rfile = io.BufferedReader(self._input)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - of any method: http.server looks for do_NAME
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    @abstractmethod
    def serve(self) -> None:
        """Answer `self.command` and `self.path`."""

    @abstractmethod
    def refuse(self, status: int, reason: str) -> None:
        """Answer a request that is no HTTP with one line."""

    def handle_one_request(self) -> None:
        """The next request."""
        self._input.wait()
        super().handle_one_request()

    def parse_request(self) -> bool:
        """Whether the request is one of HTTP/1."""
        if not super().parse_request():
            return False
        if self.request_version not in ("HTTP/1.0", "HTTP/1.1"):
            self.send_error(505, "HTTP/1.1 is needed")
            return False
        return True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002 - as the base class
        """A request that is no HTTP: one line, no page."""
        self.close_connection = True
        self.request_version = "HTTP/1.1"
        self.refuse(code, "".join(filter(str.isprintable, message or "bad request"))[:200])

    def plain_headers(self) -> dict[str, str]:
        """The headers by name in lower case; of one that is there twice both values: of two hosts, neither."""
        return {name.lower(): ", ".join(self.headers.get_all(name) or ()) for name in self.headers}

    def body(self, most_bytes: int) -> bytes:
        """The request's body, read once.

        Raises:
            Refused: as `body_size`, 400 for a body that is shorter than its length.
            TimeoutError: it takes too long.
        """
        try:
            size = body_size(self.plain_headers(), most_bytes)
            self._input.limit(BODY_S)
            self.server.note(self.connection, is_silent=True)
            content = self.rfile.read(size)
            self.server.note(self.connection, is_silent=False)
            if len(content) < size:
                raise Refused(400, f"the body ended after {len(content)} of {size} bytes")
        except (Refused, TimeoutError):
            self.close_connection = True  # what follows is no request
            raise
        return content

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - as the base class
        """As the base class, for those who look for it."""
        logging.getLogger(__name__).debug(format, *args)

    def _serve(self) -> None:
        self.server.note(self.connection, is_silent=False)
        self.connection.settimeout(SEND_S)
        self.serve()


class _TimedInput(io.RawIOBase):
    """The bytes of a connection: the first of a request within `SILENT_S`, all of its headers within `REQUEST_S`."""

    def __init__(self, connection: socket.socket, server: LoopbackServer) -> None:
        self._connection, self._server = connection, server
        self._until: float | None = None

    def wait(self) -> None:
        """A new request begins with the next byte."""
        self._until = None
        self._server.note(self._connection, is_silent=True)

    def limit(self, seconds: float) -> None:
        """So many seconds from here."""
        self._until = time.monotonic() + seconds

    def readable(self) -> bool:
        """As the base class."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - as the base class
        """As the base class.

        Raises:
            TimeoutError: the time is over.
        """
        left = SILENT_S if self._until is None else self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request takes too long")
        self._connection.settimeout(left)
        try:
            size = self._connection.recv_into(buffer)
        finally:
            self._connection.settimeout(SEND_S)
        if self._until is None:
            self.limit(REQUEST_S)
        return size
