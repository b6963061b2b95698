"""Tokens, scopes and projects."""

from __future__ import annotations

import ee.oauth
import pytest

from cropcam.pipeline.emulator.access import (
    ANONYMOUS,
    CLOUD,
    DEFAULT_SCOPES,
    DRIVE,
    DRIVE_READ_SCOPES,
    EARTH_ENGINE,
    ENGINE_SCOPES,
    Access,
    Account,
)
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.errors import ConfigError

ME = Account("me@example.com", scopes=(EARTH_ENGINE,), projects=("mine",))


def bearer(name: str = "good", **more: str) -> dict[str, str]:
    return {"authorization": f"Bearer {name}", **more}


def test_without_tokens_anyone_is_let_in() -> None:
    assert Access().account({}, ENGINE_SCOPES, "any") == ANONYMOUS
    assert Access().account(bearer("unknown"), ENGINE_SCOPES) == ANONYMOUS


def test_the_default_scopes_are_those_the_client_asks_for() -> None:
    assert list(DEFAULT_SCOPES) == ee.oauth.SCOPES


def test_a_granted_token_names_its_account() -> None:
    access = Access({"good": ME})
    assert access.account(bearer(), ENGINE_SCOPES, "mine") == ME
    assert access.account({"authorization": "bearer good"}, ENGINE_SCOPES) == ME
    assert access.account({}, ()) == ANONYMOUS  # a route open to anyone


@pytest.mark.parametrize(
    ("headers", "words", "code"),
    [
        ({}, "Request is missing required authentication credential", 401),
        ({"authorization": "Basic good"}, "Request had invalid authentication credentials", 401),
        (bearer("other"), "Request had invalid authentication credentials", 401),
        (bearer("old"), "Request had invalid authentication credentials", 401),
        (bearer("narrow"), "Request had insufficient authentication scopes", 403),
        (bearer(**{"x-goog-user-project": "theirs"}), "Caller does not have required permission to use project theirs", 403),
    ],
)
def test_other_requests_are_refused(headers: dict[str, str], words: str, code: int) -> None:
    access = Access({"good": ME, "old": Account(is_expired=True), "narrow": Account(scopes=(DRIVE,))})
    with pytest.raises(EngineError, match=words) as refused:
        access.account(headers, ENGINE_SCOPES, "mine")
    assert refused.value.code == code


def test_the_project_of_the_path_counts_where_no_header_names_one() -> None:
    access = Access({"good": ME})
    with pytest.raises(EngineError, match=r"permission to use project theirs.*roles/serviceusage\.serviceUsageConsumer"):
        access.account(bearer(), ENGINE_SCOPES, "theirs")
    assert access.account(bearer(**{"x-goog-user-project": "mine"}), ENGINE_SCOPES, "theirs") == ME


def test_a_token_ends_and_another_begins() -> None:
    access = Access({"good": ME})
    access.expire("good")
    with pytest.raises(EngineError, match="invalid authentication credentials"):
        access.account(bearer(), ENGINE_SCOPES)
    access.grant("good", ME)
    assert access.account(bearer(), ENGINE_SCOPES) == ME


def test_scopes_of_drive_are_not_those_of_earth_engine() -> None:
    with pytest.raises(EngineError, match="insufficient authentication scopes"):
        Account(scopes=(EARTH_ENGINE, CLOUD)).require(DRIVE_READ_SCOPES)
    Account(scopes=(DRIVE,)).require(DRIVE_READ_SCOPES)
    Account(scopes=()).require(())


def test_tokens_are_ordered_as_json_and_never_shown() -> None:
    access = Access()
    access.order([{"token": "secret", "email": "a@b.c", "kind": "service_account", "scopes": [EARTH_ENGINE], "projects": ["p"]}])
    assert access.account(bearer("secret"), ENGINE_SCOPES, "p").kind == "service_account"
    (shown,) = access.granted()
    assert (shown["email"], "secret" in str(shown)) == ("a@b.c", False)
    access.clear()
    assert access.account({}, ENGINE_SCOPES) == ANONYMOUS


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"token": "x", "colour": "red"}, "unexpected keyword argument 'colour'"),
        ({"email": "a"}, "it has no token"),
        ({"token": "x", "kind": "robot"}, "kind 'robot' is not known; choose one of user, service_account"),
    ],
)
def test_bad_orders_are_refused(entry: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Access().order([entry])
