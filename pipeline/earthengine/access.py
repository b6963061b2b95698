"""The account behind a session, and the destinations it can write to: checked before the first request.

Source: Earth Engine guide "Service accounts"; Google Drive API, "storageQuotaExceeded" (service accounts have no space);
"OAuth 2.0 scopes for Google APIs".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cropcam.pipeline.earthengine.error_messages import ServiceError

_PREFIX = "https://www.googleapis.com/auth/"
_CLOUD = f"{_PREFIX}cloud-platform"
# by the beginning of a destination: its service, and the scopes of which one is needed
_NEEDED = {
    "drive:": ("Google Drive", (f"{_PREFIX}drive",)),
    "gs://": ("Cloud Storage", (f"{_PREFIX}devstorage.full_control", f"{_PREFIX}devstorage.read_write", _CLOUD)),
    "asset:": ("Earth Engine assets", (f"{_PREFIX}earthengine", _CLOUD)),
}


@dataclass(frozen=True)
class Account:
    """The properties of credentials that decide where exports can go; holds no credential.

    Attributes:
        is_service_account: a key file, an impersonated account, or a machine's own account.
        scopes: scopes that the login covers; None where they are unknown.
    """

    is_service_account: bool = False
    scopes: frozenset[str] | None = None


def account_of(credentials: Any) -> Account:  # noqa: ANN401 - any of google.auth's
    """The account of some credentials."""
    scopes = getattr(credentials, "granted_scopes", None) or getattr(credentials, "scopes", None)
    return Account(bool(getattr(credentials, "service_account_email", None)), frozenset(scopes) if scopes else None)


def check_destination(account: Account, destination: str) -> None:
    """Refuse a destination that the account can never write to. Local folders need no check.

    Args:
        account: of the open session.
        destination: drive:FOLDER, gs://BUCKET/PREFIX, asset:PATH or a folder.

    Raises:
        EarthEngineError: a service account with Drive, or a login without the scope of the destination.
    """
    for begin, (service, needed) in _NEEDED.items():
        if not destination.startswith(begin):
            continue
        if begin == "drive:" and account.is_service_account:
            raise ServiceError(
                f"{destination}: a service account has no space on Drive, and nobody could open the files there; "
                "export to gs://BUCKET/PREFIX or a local folder, or log in as a user: earthengine authenticate --force",
                "service_account",
            )
        if account.scopes is not None and not account.scopes & set(needed):
            raise ServiceError(
                f"{destination}: the login does not cover {service} (scope {needed[0]}); "
                f"run: earthengine authenticate --force, and allow all that the page asks for",
                "scopes",
            )
