"""The HTTP transport of Google's clients: httplib2's protocol, with a timeout on every request and up to forty connections."""

from __future__ import annotations

from collections.abc import Mapping

import httplib2  # type: ignore[import-untyped]
import requests
from requests.adapters import HTTPAdapter

CONNECT_S = 20.0
READ_S = 330.0  # an interactive request lives at most five minutes (guides, "Processing environments")
CONNECTIONS = 40  # concurrent requests a project may have (guides, "Earth Engine quotas")


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
        """
        try:
            answer = self._session.request(method, uri, data=body, headers=dict(headers or {}), timeout=self._timeout_s)
        except requests.exceptions.Timeout as error:
            raise TimeoutError(f"no answer within {self._timeout_s[1]:.0f} s") from error
        except requests.exceptions.RequestException as error:
            raise ConnectionError(_reason(error)) from error
        return httplib2.Response({**answer.headers, "status": str(answer.status_code)}), answer.content

    def close(self) -> None:
        """Close all connections."""
        self._session.close()


def pooled(session: requests.Session, connections: int) -> requests.Session:
    """A session that keeps so many connections to each of a few hosts."""
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_connections=4, pool_maxsize=connections))
    return session


def _reason(error: Exception) -> str:
    """The innermost reason of a broken connection."""
    inner: BaseException = error
    while (deeper := inner.__cause__ or inner.__context__) is not None:
        inner = deeper
    return str(inner) or type(inner).__name__
