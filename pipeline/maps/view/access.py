"""Who may ask the page's server: this machine, with the token in the address, and from no other site's page."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping

from cropcam.pipeline.runtime.loopback_requests import Refused, check_sender

METHODS = ("GET", "HEAD")
_TOKEN_BYTES = 24


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
    check_sender(headers, port, stranger_ok=headers.get("sec-fetch-mode", "") == "navigate")
    given, slash, rest = target.removeprefix("/").partition("/")
    if not hmac.compare_digest(given.encode("utf-8", "replace"), token.encode()) or not slash:
        raise Refused(403, "this address has no valid token: use the one that cropcam view printed")
    return rest
