"""Credentials for the files of an export: those of Earth Engine's client, with one scope, and the session that sends requests.

Source: google-auth, "User guide"; "Using OAuth 2.0 to Access Google APIs": a refresh may ask for no scope that was not granted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.auth.credentials import AnonymousCredentials, CredentialsWithQuotaProject, Scoped
from google.auth.transport.requests import AuthorizedSession
from google.oauth2.credentials import Credentials

from cropcam.pipeline.earthengine.credentials import find_credentials
from cropcam.pipeline.earthengine.error_messages import ServiceError
from cropcam.pipeline.earthengine.transport import pooled
from cropcam.pipeline.fetch.service_errors import LOG_IN_AGAIN

_AUTH = "https://www.googleapis.com/auth/"
# scopes that let their holder read, the narrowest first
DRIVE_SCOPES = (f"{_AUTH}drive.readonly", f"{_AUTH}drive")
STORAGE_SCOPES = (
    f"{_AUTH}devstorage.read_only", f"{_AUTH}devstorage.read_write", f"{_AUTH}devstorage.full_control",
    f"{_AUTH}cloud-platform.read-only", f"{_AUTH}cloud-platform",
)  # fmt: skip
TIMEOUT_S = (20.0, 60.0)  # to connect, and between two pieces of an answer
CONNECTIONS = 32


def credentials_for(scopes: Sequence[str], service: str, *, project: str | None = None, is_loopback: bool = False) -> Any:  # noqa: ANN401 - any of google.auth's
    """The user's credentials, good for reading one service and no more; none on loopback.

    Args:
        scopes: of the service, the narrowest first.
        service: its name, for messages.
        project: Google Cloud project whose quota the requests use; else the credentials' own.
        is_loopback: whether the service is an engine on this machine.

    Raises:
        EarthEngineError: no credentials, or none with such a scope.
    """
    if is_loopback:
        return AnonymousCredentials()  # type: ignore[no-untyped-call]
    found = narrowed(find_credentials(), scopes, service)
    if project and isinstance(found, CredentialsWithQuotaProject) and isinstance(found, Credentials):
        return found.with_quota_project(project)
    return found


def narrowed(credentials: Any, scopes: Sequence[str], service: str) -> Any:  # noqa: ANN401
    """The same credentials with one of `scopes`.

    Service accounts ask for the narrowest. A user's login keeps a granted scope literally, for a refresh that asks for
    another one is refused, even for a narrower one. Credentials that do not know their scopes stay as they are.

    Raises:
        EarthEngineError: the login was granted none of `scopes`.
    """
    if isinstance(credentials, Scoped):
        return credentials.with_scopes([scopes[0]])  # type: ignore[no-untyped-call]
    granted = getattr(credentials, "scopes", None)
    if not isinstance(credentials, Credentials) or not granted:
        return credentials
    kept = next((scope for scope in scopes if scope in granted), None)
    if kept is None:
        raise ServiceError(f"the login does not hold the scope for {service} ({scopes[-1]}); {LOG_IN_AGAIN}", "scopes")
    return Credentials(  # type: ignore[no-untyped-call]
        None,
        refresh_token=credentials.refresh_token, token_uri=credentials.token_uri, client_id=credentials.client_id,
        client_secret=credentials.client_secret, quota_project_id=credentials.quota_project_id, scopes=[kept],
        refresh_handler=credentials.refresh_handler,
    )  # fmt: skip


def authorized_session(credentials: Any) -> AuthorizedSession:  # noqa: ANN401
    """A session of google-auth: it signs each request and refreshes an expired token once it is refused. For many threads."""
    session = AuthorizedSession(credentials, refresh_timeout=TIMEOUT_S[1])  # type: ignore[no-untyped-call]
    pooled(session, CONNECTIONS)
    return session
