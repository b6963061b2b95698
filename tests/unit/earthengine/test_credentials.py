"""Whose credentials are found, and what is wrong with them, in one line."""

from __future__ import annotations

import json
from pathlib import Path

import ee
import pytest
from google.auth.exceptions import RefreshError, TransportError
from google.oauth2.credentials import Credentials

from cropcam.pipeline.earthengine.credentials import find_credentials, project_of
from cropcam.pipeline.earthengine.error_messages import ServiceError
from cropcam.pipeline.errors import EarthEngineError

pytestmark = pytest.mark.usefixtures("nobody")


def saved_login(home: Path) -> Path:
    """What `earthengine authenticate` leaves."""
    stored = home / ".config/earthengine/credentials"
    stored.parent.mkdir(parents=True)
    stored.write_text(json.dumps({"refresh_token": "1//secret-refresh", "project": "stored-project"}))
    return stored


def test_a_key_file_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    with pytest.raises(EarthEngineError, match=r"key\.json: No such file or directory; run: earthengine authenticate"):
        find_credentials()
    for text in ("not json", "[]", '{"type": "service_account"}'):
        path.write_text(text)
        with pytest.raises(EarthEngineError, match=r"key\.json: not the JSON of a credential"):
            find_credentials()


def test_a_service_accounts_file_brings_its_project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    about = {
        "type": "service_account",
        "project_id": "its-own",
        "private_key_id": "1",
        "private_key": pem,
        "client_email": "a@b.c",
        "client_id": "1",
        "token_uri": "https://127.0.0.1:1/token",
    }
    path = tmp_path / "key.json"
    path.write_text(json.dumps(about))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    found = find_credentials()
    assert found.service_account_email == "a@b.c"
    assert project_of(found) == "its-own"


def test_what_earthengine_authenticate_wrote_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    saved_login(tmp_path)
    monkeypatch.setattr(ee.oauth, "is_valid_credentials", lambda _: True)
    found = find_credentials()
    assert project_of(found) == "stored-project"


def test_credentials_that_are_damaged_are_named_by_their_file(tmp_path: Path) -> None:
    saved_login(tmp_path).write_text("no json")
    with pytest.raises(EarthEngineError, match=r"earthengine/credentials: not the JSON of a credential; run: earthengine authenticate"):
        find_credentials()


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (TransportError("no route to oauth2.googleapis.com"), "connection", "the login: no connection to Earth Engine: no route .*; run the same command again"),
        (RefreshError("invalid_grant: Token has been expired or revoked.", {}), "credentials", "the login: invalid_grant: .*: the credentials are not valid"),
        (RefreshError("invalid_grant: Invalid JWT: Token must be a short-lived token ... Check your iat and exp values", {}), "clock", "the clock of this machine is wrong"),
        (RefreshError("internal_failure", retryable=True), "service", "cannot be renewed at the moment"),
    ],
)  # fmt: skip
def test_a_saved_login_that_cannot_be_renewed_is_explained(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, kind: str, message: str
) -> None:
    saved_login(tmp_path)

    def refresh(*_: object) -> None:
        raise error

    monkeypatch.setattr(Credentials, "refresh", refresh)
    with pytest.raises(ServiceError, match=message) as caught:
        find_credentials()
    assert caught.value.kind == kind
    assert caught.value.raw.startswith("the login: ")
