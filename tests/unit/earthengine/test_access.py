"""Which destinations an account can write to, known before the first request."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from google.auth.credentials import AnonymousCredentials
from google.oauth2 import service_account
from google.oauth2.credentials import Credentials

from cropcam.pipeline.earthengine.access import Account, account_of, check_destination
from cropcam.pipeline.earthengine.error_messages import ServiceError

SCOPE = "https://www.googleapis.com/auth/"
EVERYWHERE = ("drive:folder", "gs://bucket/prefix", "asset:projects/p/assets/a", "folder")


def test_a_user_whose_scopes_are_unknown_or_complete_may_write_everywhere() -> None:
    complete = frozenset(SCOPE + name for name in ("earthengine", "cloud-platform", "drive", "devstorage.full_control"))
    for account in (Account(), Account(scopes=complete)):
        for destination in EVERYWHERE:
            check_destination(account, destination)


def test_a_service_account_has_no_drive() -> None:
    account = Account(is_service_account=True)
    with pytest.raises(
        ServiceError, match=r"drive:folder: a service account has no space on Drive.*gs://BUCKET/PREFIX or a local folder"
    ) as caught:
        check_destination(account, "drive:folder")
    assert caught.value.kind == "service_account"
    for destination in EVERYWHERE[1:]:
        check_destination(account, destination)


@pytest.mark.parametrize(
    ("destination", "scopes", "named"),
    [
        ("drive:folder", ["earthengine", "cloud-platform"], "Google Drive .scope https://www.googleapis.com/auth/drive"),
        ("gs://bucket/x", ["earthengine", "drive"], "Cloud Storage .scope https://www.googleapis.com/auth/devstorage.full_control"),
        ("asset:projects/p/assets/a", ["drive"], "Earth Engine assets .scope https://www.googleapis.com/auth/earthengine"),
    ],
)
def test_a_login_without_the_scope_is_named_how_to_get_it(destination: str, scopes: list[str], named: str) -> None:
    account = Account(scopes=frozenset(SCOPE + name for name in scopes))
    with pytest.raises(
        ServiceError, match=f"{destination}: the login does not cover {named}.*run: earthengine authenticate --force"
    ) as caught:
        check_destination(account, destination)
    assert caught.value.kind == "scopes"
    check_destination(account, "folder")


def test_each_of_several_scopes_will_do_for_cloud_storage() -> None:
    for name in ("cloud-platform", "devstorage.read_write", "devstorage.full_control"):
        check_destination(Account(scopes=frozenset({SCOPE + name})), "gs://bucket")


def test_accounts_are_read_from_googles_own_credentials() -> None:
    assert account_of(AnonymousCredentials()) == Account()
    assert account_of(Credentials("t")) == Account()
    assert account_of(Credentials("t", scopes=["a"])) == Account(scopes=frozenset({"a"}))
    assert account_of(Credentials("t", scopes=["a", "b"], granted_scopes=["a"])) == Account(scopes=frozenset({"a"}))
    signer = object()
    key = service_account.Credentials(signer, "x@y.iam.gserviceaccount.com", "https://127.0.0.1:1/token", scopes=["a"])
    assert account_of(key) == Account(True, frozenset({"a"}))
    machine = SimpleNamespace(service_account_email="default", scopes=None)  # google.auth.compute_engine's, whose import looks around
    assert account_of(machine) == Account(True)
