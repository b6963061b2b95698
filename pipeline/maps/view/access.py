"""Who may ask the page's server: this machine, with the token in the address, and from no other site's page."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping

METHODS = ("GET", "HEAD")
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
_TOKEN_BYTES = 24


class Refused(Exception):  # noqa: N818 - an answer, not a failure
    """A request that is not answered: the status and one line why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def check(method: str, target: str, headers: Mapping[str, str], *, port: int, token: str) -> str:
    """The rest of the request's address behind "/TOKEN/", with its query.

    Args:
        method: of the request.
        target: of the request line: path and query.
        headers: by name in lower case.
        port: of the server.
        token: that the address must have.

    Raises:
        Refused: 405 for another method; 403 for another host (a name that a stranger's DNS gives this machine), for a request that another
            site's page sends, and without the token.
    """
    if method not in METHODS:
        raise Refused(405, "only GET and HEAD are answered")
    hosts = {f"{name}:{port}" for name in _NAMES} | (set(_NAMES) if port == 80 else set())
    if headers.get("host", "").lower() not in hosts:
        raise Refused(403, "the page is for this machine alone: use the address that cropcam view printed")
    if (origin := headers.get("origin")) is not None and origin.lower() not in {f"http://{host}" for host in hosts}:
        raise Refused(403, "requests of other sites are refused")
    if headers.get("sec-fetch-site", "") == "cross-site" and headers.get("sec-fetch-mode", "") != "navigate":
        raise Refused(403, "requests of other sites are refused")
    given, slash, rest = target.removeprefix("/").partition("/")
    if not hmac.compare_digest(given.encode("utf-8", "replace"), token.encode()) or not slash:
        raise Refused(403, "this address has no valid token: use the one that cropcam view printed")
    return rest
