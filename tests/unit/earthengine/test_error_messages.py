"""What the service's errors mean: transient or final, one line with what to do, and never a secret."""

from __future__ import annotations

import ee
import httplib2
import pytest
from google.auth.exceptions import RefreshError, TransportError
from googleapiclient.errors import HttpError

from cropcam.pipeline.earthengine.error_messages import Backoff, ServiceError, classify_error, redacted
from cropcam.pipeline.errors import EarthEngineError


def answered(status: int, text: str) -> ee.EEException:
    """The client's exception for an HTTP answer: the status is only in its context."""
    try:
        try:
            raise HttpError(httplib2.Response({"status": status}), b"")
        except HttpError:
            raise ee.EEException(text)  # noqa: B904 - as the client does
    except ee.EEException as error:
        return error


@pytest.mark.parametrize(
    ("status", "text", "kind", "advice"),
    [
        (400, "User memory limit exceeded.", "memory", "smaller cells or windows"),
        (400, "Computation timed out.", "timeout", "smaller cells or windows"),
        (400, "Total request size (58720256 bytes) must be less than or equal to 50331648 bytes.", "request_size", "--window-px"),
        (400, "Export too large: specified 495650445 pixels (max: 100000000).", "pixels", "--cell-px"),
        (404, "Image.load: Image asset 'USDA/NASS/CDL/2031' not found (does not exist or caller does not have access).", "asset", "labels.asset"),
        (400, "Collection.load: ImageCollection asset 'LANDSAT/X' not found.", "asset", "image.collections"),
        (403, "Earth Engine API has not been used in project 123 before or it is disabled.", "registration", "register it"),
        (403, "Project 'p' is not registered to use Earth Engine.", "registration", "register it"),
        (403, "Caller does not have required permission to use project p.", "project", "--project"),
        (403, "Permission 'earthengine.exports.create' denied on resource.", "permission", "roles"),
        (401, "Request had invalid authentication credentials.", "credentials", "earthengine authenticate"),
        (400, "Image.select: Band pattern 'SR_B1' did not match any bands. Available bands: []", "bands", "image.seasons"),
        (429, "Your project has exceeded its monthly quota of EECU-hours.", "quota", "next month"),
        (400, "The user's Drive storage quota has been exceeded.", "storage", "free space"),
        (404, "The specified bucket does not exist.", "bucket", "gs://BUCKET"),
        (409, "A task with this request ID already exists.", "duplicate", "submitted before"),
        (400, "Too many tasks already in the queue (3000).", "queue", "3,000"),
        (400, "Something new.", "refused", "Something new"),
    ],
)  # fmt: skip
def test_final_errors_say_what_to_do(status: int, text: str, kind: str, advice: str) -> None:
    fault = classify_error(answered(status, text))
    assert (fault.kind, fault.is_transient) == (kind, False)
    assert advice in fault.text
    assert "\n" not in fault.text


@pytest.mark.parametrize(
    "error",
    [
        answered(429, "Too many concurrent aggregations."),
        answered(429, "Quota exceeded for quota metric 'Requests' and limit 'per minute'."),
        answered(500, "An internal error has occurred (request 123)."),
        answered(502, "Bad gateway"),
        answered(503, "The service is currently unavailable."),
        answered(504, "Deadline exceeded"),
        ConnectionResetError("connection reset by peer"),
        TimeoutError("no answer within 330 s"),
        TransportError("no route"),
        ee.EEException("Internal error."),
    ],
)
def test_passing_errors_are_worth_waiting_for(error: Exception) -> None:
    assert classify_error(error).is_transient


def test_a_failed_tasks_message_is_understood_without_a_status() -> None:
    assert classify_error("Internal error.").is_transient
    assert classify_error("User memory limit exceeded.").kind == "memory"
    assert not classify_error(RefreshError("invalid_grant: Token has been expired or revoked.")).is_transient


@pytest.mark.parametrize(
    "secret",
    [
        "ya29.a0AfH6SMB-secret_token",
        "1//0gabcdefghijklmnop-secret",
        "AIzaSyD-1234567890abcdefghijklmnopqrst",
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.c2VjcmV0",
        "GOCSPX-abcdefsecret",
    ],
)
def test_secrets_are_blotted_out(secret: str) -> None:
    text = redacted(f"denied: Authorization: Bearer {secret}\n for {secret} and key=abc")
    assert secret not in text
    assert "[secret]" in text
    assert "abc" not in text.replace("abcdef", "")
    assert "-----BEGIN" not in redacted("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----")
    assert "MIIE" not in redacted("x -----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY----- y")


def test_patience_waits_longer_each_time_and_then_says_so() -> None:
    waits: list[float] = []
    calls = iter([answered(429, "Too many"), answered(503, "down"), ConnectionError("reset"), "pixels"])

    def ask() -> object:
        found = next(calls)
        if isinstance(found, Exception):
            raise found
        return found

    backoff = Backoff(attempts=5, first_s=2.0, longest_s=5.0, sleep=waits.append, spread=lambda: 1.0)
    assert backoff.call(ask, "asking") == "pixels"
    assert waits == [2.0, 4.0, 5.0]

    def busy() -> object:
        raise answered(429, "Too many concurrent requests")

    with pytest.raises(ServiceError, match=r"asking: .*429.*; tried 5 times; run the same command again later") as caught:
        backoff.call(busy, "asking")
    assert isinstance(caught.value, EarthEngineError)
    assert caught.value.exit_code == 4


def test_patience_ends_at_once_where_waiting_is_no_use() -> None:
    waits: list[float] = []

    def ask() -> object:
        raise answered(400, "User memory limit exceeded.")

    with pytest.raises(ServiceError, match="image at row 0: User memory limit exceeded: the computation needs more memory"):
        Backoff(sleep=waits.append).call(ask, "image at row 0")
    assert waits == []
    with pytest.raises(ZeroDivisionError, match="division"):
        Backoff().call(lambda: 1 / 0, "a bug stays a bug")
