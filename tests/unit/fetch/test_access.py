from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.credentials import AnonymousCredentials
from google.oauth2 import service_account
from google.oauth2.credentials import Credentials

from cropcam.pipeline.errors import EarthEngineError
from cropcam.pipeline.fetch import access
from cropcam.pipeline.fetch.access import DRIVE_SCOPES, STORAGE_SCOPES, credentials_for, narrowed

AUTH = "https://www.googleapis.com/auth/"


def login(*scopes: str, **options: Any) -> Credentials:
    return Credentials(None, refresh_token="r", token_uri="t", client_id="c", client_secret="s", scopes=list(scopes) or None, **options)  # noqa: S106


def test_a_login_keeps_one_granted_scope_literally() -> None:
    found = narrowed(
        login(f"{AUTH}earthengine", f"{AUTH}drive", f"{AUTH}devstorage.full_control", quota_project_id="p"), DRIVE_SCOPES, "Drive"
    )
    assert (found.scopes, found.refresh_token, found.quota_project_id) == ([f"{AUTH}drive"], "r", "p")
    assert narrowed(login(f"{AUTH}cloud-platform"), STORAGE_SCOPES, "Storage").scopes == [f"{AUTH}cloud-platform"]
    unknown = login()
    assert narrowed(unknown, DRIVE_SCOPES, "Drive") is unknown


def test_a_login_without_the_scope_is_refused() -> None:
    with pytest.raises(
        EarthEngineError, match=r"the login does not hold the scope for Google Drive .*log in again: earthengine authenticate"
    ):
        narrowed(login(f"{AUTH}earthengine"), DRIVE_SCOPES, "Google Drive")


def test_a_service_account_asks_for_the_narrowest_scope() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    about = {"client_email": "a@b", "token_uri": "t", "private_key": pem}
    made = service_account.Credentials.from_service_account_info(about, scopes=[f"{AUTH}earthengine"])  # type: ignore[no-untyped-call]
    assert narrowed(made, STORAGE_SCOPES, "Storage").scopes == [f"{AUTH}devstorage.read_only"]


def test_loopback_needs_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "find_credentials", lambda: pytest.fail("looked for credentials"))
    assert isinstance(credentials_for(DRIVE_SCOPES, "Drive", is_loopback=True), AnonymousCredentials)


def test_a_named_project_is_the_one_whose_quota_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "find_credentials", lambda: login(f"{AUTH}drive", quota_project_id="own"))
    assert credentials_for(DRIVE_SCOPES, "Drive").quota_project_id == "own"
    assert credentials_for(DRIVE_SCOPES, "Drive", project="named").quota_project_id == "named"
