"""Who sends a request: bearer tokens, their accounts, scopes and projects.

The engine lets anyone in until tokens are granted. From then on it demands one of them, as the service does.

Source: Earth Engine REST reference, "Authorization scopes" of each method.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from cropcam.pipeline.emulator.service_texts import TEXTS
from cropcam.pipeline.errors import ConfigError

AccountKind = Literal["user", "service_account"]
_AUTH = "https://www.googleapis.com/auth/"
EARTH_ENGINE = f"{_AUTH}earthengine"
CLOUD = f"{_AUTH}cloud-platform"
DRIVE = f"{_AUTH}drive"
DRIVE_READ = f"{_AUTH}drive.readonly"
STORAGE = f"{_AUTH}devstorage.full_control"
STORAGE_WRITE = f"{_AUTH}devstorage.read_write"
STORAGE_READ = f"{_AUTH}devstorage.read_only"

ENGINE_SCOPES = (EARTH_ENGINE, CLOUD)  # of every method of Earth Engine, any one of them
DRIVE_READ_SCOPES = (DRIVE, DRIVE_READ)  # of a listing or a download
STORAGE_READ_SCOPES = (STORAGE, STORAGE_WRITE, STORAGE_READ, CLOUD)
# by kind of export; that they are demanded when a task is submitted, and not when it stores its first file, is not confirmed
DESTINATION_SCOPES: Mapping[str, tuple[str, ...]] = {"drive": (DRIVE,), "gs": (STORAGE, STORAGE_WRITE, CLOUD)}
DEFAULT_SCOPES = (EARTH_ENGINE, CLOUD, DRIVE, STORAGE)  # those the client asks for (API python/ee/oauth.py, SCOPES)

PROJECT_HEADER = "x-goog-user-project"  # the project that a request counts for, where its path does not name it


@dataclass(frozen=True)
class Account:
    """The account behind a token.

    Attributes:
        email: names the account: request ids count per account.
        kind: a service account has no space on Drive.
        scopes: of its token.
        projects: that it may use; None for any.
        is_expired: its token is refused.
    """

    email: str = "anonymous"
    kind: AccountKind = "user"
    scopes: tuple[str, ...] = DEFAULT_SCOPES
    projects: tuple[str, ...] | None = None
    is_expired: bool = False

    def __post_init__(self) -> None:
        if self.kind not in get_args(AccountKind):
            raise ConfigError(f"an account of kind {self.kind!r} is not known; choose one of {', '.join(get_args(AccountKind))}")

    def require(self, any_of: Collection[str]) -> None:
        """Refuse the account where its token has none of these scopes; no scope is demanded by an empty collection.

        Raises:
            EngineError: PERMISSION_DENIED, in the words of Google's APIs.
        """
        if any_of and not set(any_of) & set(self.scopes):
            raise TEXTS["scopes"].error()


ANONYMOUS = Account()


class Access:
    """The tokens that the engine lets in, and their accounts; thread-safe. Without tokens anyone is let in.

    Example: `Access({"secret": Account("me@example.com", scopes=(EARTH_ENGINE,))})`
    """

    def __init__(self, accounts: Mapping[str, Account] | None = None) -> None:
        self._accounts = dict(accounts or {})
        self._lock = threading.Lock()

    def account(self, headers: Mapping[str, str], any_of: Collection[str], project: str = "") -> Account:
        """The account of a request.

        Args:
            headers: of the request, with names in lower case.
            any_of: the scopes of the method, one of which the token needs; empty for methods open to anyone.
            project: that the path names; the header `x-goog-user-project` goes before it.

        Raises:
            EngineError: UNAUTHENTICATED without a token, with an unknown or an expired one; PERMISSION_DENIED where the
                token lacks the scopes or the account may not use the project.
        """
        with self._lock:
            if not self._accounts or not any_of:
                return ANONYMOUS
            scheme, _, token = headers.get("authorization", "").partition(" ")
            found = self._accounts.get(token.strip()) if scheme.lower() == "bearer" else None
        if not token:
            raise TEXTS["no_token"].error()
        if found is None or found.is_expired:
            raise TEXTS["bad_token"].error()
        found.require(any_of)
        used = headers.get(PROJECT_HEADER) or project
        if used and found.projects is not None and used not in found.projects:
            raise TEXTS["project"].error(project=used)
        return found

    def grant(self, token: str, account: Account) -> None:
        """Let a token in; from the first on, the engine demands one."""
        with self._lock:
            self._accounts[token] = account

    def expire(self, token: str) -> None:
        """Refuse a token from now on, as after its hour."""
        with self._lock:
            self._accounts[token] = replace(self._accounts[token], is_expired=True)

    def order(self, described: Iterable[Mapping[str, Any]]) -> None:
        """Grant tokens from JSON objects with the fields of `Account` and "token".

        Raises:
            ConfigError: an object has other fields, or no token.
        """
        for entry in described:
            fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
            token = str(fields.pop("token", ""))
            try:
                account = Account(**fields)
            except TypeError as error:
                raise ConfigError(f"an account is a JSON object with the fields of Account and a token: {error}") from None
            if not token:
                raise ConfigError("an account is a JSON object with the fields of Account and a token: it has no token")
            self.grant(token, account)

    def clear(self) -> None:
        """Let anyone in again."""
        with self._lock:
            self._accounts.clear()

    def granted(self) -> list[dict[str, Any]]:
        """The accounts let in, as JSON objects without their tokens."""
        with self._lock:
            return [asdict(account) for account in self._accounts.values()]
