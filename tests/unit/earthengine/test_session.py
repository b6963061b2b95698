"""Sessions: whose credentials, which project, which endpoint; one line for what is wrong; no secret anywhere."""

from __future__ import annotations

import json
from typing import Any

import ee
import httplib2
import pytest
from google.auth.credentials import AnonymousCredentials
from google.oauth2.credentials import Credentials

from cropcam.pipeline.earthengine.access import Account
from cropcam.pipeline.earthengine.error_messages import Backoff
from cropcam.pipeline.earthengine.session import HIGH_VOLUME_URL, STANDARD_URL, open_session
from cropcam.pipeline.errors import ConfigError, EarthEngineError
from support.engines import Offline

LOOPBACK = "http://127.0.0.1:1"
TOKEN = "ya29.very-secret-token-0123456789"  # noqa: S105 - made up
pytestmark = pytest.mark.usefixtures("nobody")
QUICK = Backoff(attempts=2, sleep=lambda _: None)


class Refusing(Offline):
    """Answers every request with one error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__()
        self._status, self._message = status, message

    def request(self, uri: str, method: str = "GET", **given: Any) -> tuple[httplib2.Response, bytes]:
        if "$discovery" in uri:
            return super().request(uri, method, **given)
        body = json.dumps({"error": {"code": self._status, "message": self._message, "status": "X"}})
        return httplib2.Response({"status": self._status, "content-type": "application/json"}), body.encode()


def quiet_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ee.deprecation, "_FetchDataCatalogStac", dict)


def test_loopback_is_anonymous_and_never_asks_for_the_catalogue_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    def outside() -> dict[str, Any]:
        raise AssertionError("went outside")

    monkeypatch.setattr(ee.deprecation, "_FetchDataCatalogStac", outside)
    transport = Offline()
    session = open_session(None, LOOPBACK + "/", transport=transport)
    assert (session.project, session.api_url, session.is_loopback) == ("embedded", LOOPBACK, True)
    assert all(request.startswith(f"GET {LOOPBACK}") for request in transport.requests)
    assert ee.deprecation._FetchDataCatalogStac is outside
    assert open_session("mine", "http://localhost:1", transport=transport).project == "mine"


def test_without_credentials_one_line_names_the_command_to_run() -> None:
    with pytest.raises(
        EarthEngineError, match=r"^no credentials; run: earthengine authenticate --force, or set GOOGLE_APPLICATION_CREDENTIALS"
    ):
        open_session("p")


def test_a_project_is_needed_and_comes_from_the_option_the_credentials_or_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet_catalogue(monkeypatch)
    anonymous = AnonymousCredentials()
    with pytest.raises(EarthEngineError, match="no Google Cloud project; give --project, or run: earthengine set_project"):
        open_session(credentials=anonymous, transport=Offline())
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "from-environment")
    session = open_session(credentials=anonymous, transport=Offline())
    assert (session.project, session.api_url, session.is_loopback) == ("from-environment", STANDARD_URL, False)
    for url in (HIGH_VOLUME_URL, "high-volume"):
        assert open_session("given", url, credentials=anonymous, transport=Offline()).api_url == HIGH_VOLUME_URL
    assert open_session("given", "standard", credentials=anonymous, transport=Offline()).api_url == STANDARD_URL


def test_a_session_knows_the_kind_of_its_account_and_no_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet_catalogue(monkeypatch)
    drive = "https://www.googleapis.com/auth/drive"
    session = open_session("p", credentials=Credentials(TOKEN, scopes=[drive]), transport=Offline())
    assert session.account == Account(False, frozenset({drive}))
    assert open_session(None, LOOPBACK, transport=Offline()).account == Account()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("127.0.0.1:5000", "not a plain URL"),
        ("ftp://x", "not a plain URL"),
        ("", "not a plain URL"),  # an unset variable must not mean the service
        ("http://[::1", "not a plain URL"),
        ("https://user:pass@host", "not a plain URL"),
        ("http://earthengine.googleapis.com", "would travel unencrypted; write https"),
        ("HTTP://earthengine.googleapis.com", "would travel unencrypted; write https"),
    ],
)
def test_endpoints_that_are_none_are_refused(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        open_session("p", url)
    assert "pass@" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "message", "advice"),
    [
        (403, "Caller does not have required permission to use project p.", "the credentials may not use this project; check --project"),
        (403, "Project 'p' is not registered to use Earth Engine.", "register it at https://console.cloud.google.com/earth-engine"),
        (401, "Request had invalid authentication credentials.", "run: earthengine authenticate"),
        (404, "Not found.", "check --project, --api-url"),
    ],
)
def test_a_service_that_does_not_let_one_in_is_understood(status: int, message: str, advice: str) -> None:
    with pytest.raises(EarthEngineError, match=f"project p at http://127.0.0.1:1: .*{advice}"):
        open_session("p", LOOPBACK, transport=Refusing(status, message), backoff=QUICK)


def test_a_missing_server_is_an_error_after_two_tries() -> None:
    with pytest.raises(EarthEngineError, match=r"no connection to Earth Engine: .*refused.*; tried 2 times"):
        open_session("p", LOOPBACK, backoff=QUICK, client_retries=0)


def test_tokens_never_reach_a_session_its_errors_or_what_is_printed_of_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quiet_catalogue(monkeypatch)
    credentials = Credentials(TOKEN)
    session = open_session("p", credentials=credentials, transport=Offline())
    assert TOKEN not in repr(session)
    with pytest.raises(EarthEngineError, match=r"\[secret\]") as caught:
        open_session("p", credentials=credentials, transport=Refusing(400, f"bad header Authorization: Bearer {TOKEN}"), backoff=QUICK)
    assert TOKEN not in str(caught.value)
    captured = capsys.readouterr()
    assert TOKEN not in captured.out + captured.err
