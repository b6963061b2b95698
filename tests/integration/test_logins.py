"""Logins that the service does not take, from the unmodified client to the one line: the embedded engine demands tokens here."""

from __future__ import annotations

from collections.abc import Iterator

import ee
import pytest
from google.oauth2.credentials import Credentials

from cropcam.pipeline.earthengine.error_messages import Backoff, ServiceError
from cropcam.pipeline.earthengine.session import Session, open_session
from cropcam.pipeline.emulator import Access, Account, serve
from cropcam.pipeline.emulator.access import DRIVE, EARTH_ENGINE
from support import scenes

QUICK = Backoff(attempts=2, sleep=lambda _: None)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An engine that lets in three tokens."""
    accounts = {
        "good": Account(scopes=(EARTH_ENGINE,), projects=("mine",)),
        "narrow": Account(scopes=(DRIVE,)),
        "old": Account(is_expired=True),
    }
    with serve(scenes.write_archive(tmp_path_factory.mktemp("scenes")), access=Access(accounts)) as server:
        yield server.url
    ee.Reset()


def opened(url: str, token: str, project: str = "mine") -> Session:
    return open_session(project, url, credentials=Credentials(token), backoff=QUICK, client_retries=0)


def test_a_good_login_gets_its_answers(url: str) -> None:
    assert opened(url, "good").value(ee.Number(1).add(1), "adding") == 2


@pytest.mark.parametrize(
    ("token", "project", "kind", "message"),
    [
        ("narrow", "mine", "scopes", "insufficient authentication scopes: the login does not cover this service; run: earthengine authenticate --force"),
        ("good", "theirs", "project", "permission to use project theirs.*check --project, or ask its owner for the role Service Usage Consumer"),
        ("old", "mine", "credentials", "run: earthengine authenticate --force"),
        ("unknown", "mine", "credentials", "run: earthengine authenticate --force"),
    ],
)  # fmt: skip
def test_a_login_that_is_refused_is_explained(url: str, token: str, project: str, kind: str, message: str) -> None:
    with pytest.raises(ServiceError, match=message) as caught:
        opened(url, token, project)
    assert caught.value.kind == kind
    assert caught.value.raw.startswith(f"project {project} at http://127.0.0.1:")
