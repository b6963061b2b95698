"""The HTTP transport of Google's clients: httplib2's protocol, with a timeout on every request and up to forty connections."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httplib2  # type: ignore[import-untyped]
import requests
from requests.adapters import HTTPAdapter

from cropcam.pipeline.earthengine.error_messages import ServiceError

CONNECT_S = 20.0
READ_S = 330.0  # an interactive request lives at most five minutes (guides, "Processing environments")
CONNECTIONS = 40  # concurrent requests a project may have (guides, "Earth Engine quotas")
ANSWER_BYTES = 256 * 2**20  # of one answer; the service sends 48 MB at most
_PIECE = 2**16  # compressed bytes that are unpacked at a time, a thousandfold at most


class Transport:
    """An httplib2-style `request` over pooled connections, as `ee.Initialize` and `googleapiclient.discovery.build` take it.

    Args:
        connect_s: seconds that a connection may take.
        read_s: seconds without a byte of the answer.
        session: sends the requests; by default a plain one, for a client that signs them itself.
    """

    def __init__(self, connect_s: float = CONNECT_S, read_s: float = READ_S, session: requests.Session | None = None) -> None:
        self._timeout_s = (connect_s, read_s)
        self._session = session or pooled(requests.Session(), CONNECTIONS)

    def request(
        self,
        uri: str,
        method: str = "GET",
        body: str | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        redirections: int | None = None,  # noqa: ARG002 - httplib2's signature
        connection_type: object = None,  # noqa: ARG002
    ) -> tuple[httplib2.Response, bytes]:
        """Send one request; thread-safe.

        Raises:
            ConnectionError: no connection, or a broken one.
            TimeoutError: no response in time.
            ServiceError: an answer that is larger than any of the service.
        """
        try:
            asked: dict[str, Any] = {"data": body, "headers": dict(headers or {}), "timeout": self._timeout_s, "stream": True}
            with self._session.request(method, uri, **asked) as answer:
                content = _content(answer, uri)
        except requests.exceptions.Timeout as error:
            raise TimeoutError(f"no answer within {self._timeout_s[1]:.0f} s") from error
        except requests.exceptions.RequestException as error:
            raise ConnectionError(_reason(error)) from error
        return httplib2.Response({**answer.headers, "status": str(answer.status_code)}), content

    def close(self) -> None:
        """Close all connections."""
        self._session.close()


def is_loopback_host(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Adapter(HTTPAdapter):
    """Connections that reach this machine directly, whatever proxy the environment names for others."""

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:  # noqa: ANN401
        """As the base class."""
        if is_loopback_host(urlsplit(request.url or "").hostname or ""):
            options["proxies"] = {}
        return super().send(request, *args, **options)


def pooled(session: requests.Session, connections: int) -> requests.Session:
    """A session that keeps so many connections to each of a few hosts, and reaches this machine without a proxy."""
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(pool_connections=4, pool_maxsize=connections))
    return session


def _content(answer: requests.Response, uri: str) -> bytes:
    content = bytearray()
    for piece in answer.iter_content(_PIECE):
        content += piece
        if len(content) > ANSWER_BYTES:
            host = urlsplit(uri).netloc
            raise ServiceError(f"an answer of {host} has over {ANSWER_BYTES // 2**20} MiB: not Earth Engine's; check --api-url", "refused")
    return bytes(content)


def _reason(error: Exception) -> str:
    """The innermost reason of a broken connection."""
    inner: BaseException = error
    while (deeper := inner.__cause__ or inner.__context__) is not None:
        inner = deeper
    return str(inner) or type(inner).__name__
