from __future__ import annotations

import json

import pytest
from google.auth.exceptions import RefreshError, TransportError

from cropcam.pipeline.fetch.service_errors import DRIVE, STORAGE, explain, http_error


def body(message: str, reason: str = "", status: str = "", details: list[dict[str, str]] | None = None) -> bytes:
    error: dict[str, object] = {"message": message}
    if reason:
        error["errors"] = [{"reason": reason, "message": message}]
    if status:
        error |= {"status": status, "details": details or []}
    return json.dumps({"error": error}).encode()


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (403, body("Rate Limit Exceeded", "rateLimitExceeded")),
        (403, body("User Rate Limit Exceeded", "userRateLimitExceeded")),
        (429, b"Too Many Requests"),
        (408, b""),
        (500, body("Internal Error", "internalError")),
        (502, b"<html>Bad Gateway</html>"),
        (503, body("Backend Error", "backendError")),
    ],
)
def test_what_passes_is_tried_again(status: int, content: bytes) -> None:
    fault = explain(http_error(status, content, "http://x"), DRIVE)
    assert fault.is_transient
    assert fault.text.startswith(f"Google Drive is not answering properly ({status}: ")


@pytest.mark.parametrize(
    ("status", "content", "kind", "text"),
    [
        (403, body("Request had insufficient authentication scopes.", "insufficientPermissions"), "scopes", "earthengine authenticate --force"),
        (403, body("Request had insufficient authentication scopes.", status="PERMISSION_DENIED", details=[{"reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT"}]), "scopes", "the login does not hold the scope for Google Drive"),
        (403, body("Google Drive API has not been used in project 12 before or it is disabled. Enable it by visiting https://console.developers.google.com/apis/api/drive.googleapis.com/overview?project=12 then retry.", "accessNotConfigured"), "disabled", "enable it at https://console.developers.google.com/apis/api/drive.googleapis.com/overview?project=12"),
        (403, body("Caller does not have required permission to use project p. Grant the caller the roles/serviceusage.serviceUsageConsumer role", "forbidden"), "project", "Service Usage Consumer"),
        (403, body("The download quota for this file has been exceeded.", "downloadQuotaExceeded"), "quota", "tomorrow"),
        (404, body("The specified bucket does not exist.", "notFound"), "bucket", "there is no such bucket"),
        (404, b"No such object: bucket/a.tif", "absent", "it is not there"),
        (404, body("File not found: 123.", "notFound"), "absent", "it is not there"),
        (412, body("At least one of the pre-conditions you specified did not hold.", "conditionNotMet"), "changed", "replaced"),
        (416, b"", "changed", "replaced"),
        (401, body("Invalid Credentials", "authError"), "credentials", "not valid"),
        (403, body("x@y.iam.gserviceaccount.com does not have storage.objects.list access to the Google Cloud Storage bucket.", "forbidden"), "permission", "Storage Object Viewer"),
        (400, body("Invalid Value", "invalid"), "refused", "refused (400: Invalid Value)"),
    ],
)  # fmt: skip
def test_what_stays_has_a_next_step(status: int, content: bytes, kind: str, text: str) -> None:
    fault = explain(http_error(status, content, "http://x"), DRIVE)
    assert (fault.kind, fault.is_transient) == (kind, False)
    assert text in fault.text


def test_no_token_gets_into_a_text() -> None:
    fault = explain(http_error(403, body("token ya29.abcdefghijkl is no good", "forbidden"), "http://x"), STORAGE)
    assert "ya29" not in fault.text


def test_connections_and_logins() -> None:
    assert explain(ConnectionError("reset"), STORAGE).text == "no connection to Cloud Storage: reset"
    assert explain(TransportError("no network"), STORAGE).is_transient  # type: ignore[no-untyped-call]
    refused = explain(RefreshError("invalid_scope: Bad Request"), DRIVE)  # type: ignore[no-untyped-call]
    assert (refused.kind, refused.is_transient) == ("scopes", False)
    expired = explain(RefreshError("invalid_grant: Token has been expired or revoked."), DRIVE)  # type: ignore[no-untyped-call]
    assert (expired.kind, expired.is_transient) == ("credentials", False)
