"""What the service's errors mean: transient or final, one line with what to do, and never a secret."""

from __future__ import annotations

import re

import ee
import pytest
from google.api_core.exceptions import NotFound, ServiceUnavailable, TooManyRequests
from google.auth.exceptions import RefreshError, TransportError

from cropcam.pipeline.earthengine.error_messages import TOO_MUCH, Backoff, ServiceError, classify_error, raw_text
from cropcam.pipeline.errors import DataError, EarthEngineError
from support.answers import answered, http_error


def test_an_unknown_refusal_stays_in_the_services_words() -> None:
    fault = classify_error(answered(400, "Something new.\nOn two lines."))
    assert (fault.kind, fault.is_transient, fault.text) == ("refused", False, "Something new. On two lines")
    assert len(classify_error(answered(400, "long " * 200)).text) <= 400


def test_an_unknown_text_is_sorted_by_its_status() -> None:
    assert classify_error(answered(403, "No.")).kind == "permission"
    assert classify_error(answered(404, "Nothing here.")).kind == "absent"
    assert classify_error(answered(409, "Conflict.")).kind == "duplicate"
    assert classify_error(answered(401, "No.")).kind == "credentials"


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


def test_the_reason_that_the_client_leaves_out_is_read_from_the_answer() -> None:
    for reason in ("rateLimitExceeded", "userRateLimitExceeded"):
        fault = classify_error(answered(403, "Quota.", reason=reason))
        assert (fault.kind, fault.is_transient) == ("busy", True)
        assert "more requests than the service takes at once" in fault.text
    assert classify_error(answered(403, "Quota.", reason="dailyLimitExceeded")).kind == "daily_quota"
    assert classify_error(answered(403, "Denied.", reason="ACCESS_TOKEN_SCOPE_INSUFFICIENT")).kind == "scopes"
    assert classify_error(http_error(403, "User Rate Limit Exceeded", reason="userRateLimitExceeded")).is_transient
    assert classify_error(http_error(403, "Go away.")).text.startswith("Go away: check --project")


def test_cloud_storages_own_exceptions_are_sorted_by_their_status() -> None:
    assert classify_error(ServiceUnavailable("down")).is_transient
    assert classify_error(TooManyRequests("slow down")).kind == "busy"
    fault = classify_error(NotFound("GET https://storage.googleapis.com/b/x: The specified bucket does not exist."))
    assert (fault.kind, fault.is_transient) == ("bucket", False)


def test_a_login_that_cannot_be_renewed_for_want_of_a_connection_is_not_invalid() -> None:
    def chained(cause: Exception) -> RefreshError:
        try:
            try:
                raise cause
            except Exception as inner:
                raise RefreshError("token endpoint: no answer") from inner
        except RefreshError as error:
            return error

    for cause in (TransportError("no route to oauth2.googleapis.com"), ConnectionResetError("reset")):
        fault = classify_error(chained(cause))
        assert (fault.kind, fault.is_transient) == ("connection", True)
    assert classify_error(RefreshError("Internal failure", retryable=True)).is_transient
    late = "invalid_grant: Invalid JWT: Token must be a short-lived token (60 minutes) ... Check your iat and exp values in the JWT claim."
    fault = classify_error(RefreshError(late, {"error": "invalid_grant"}))
    assert (fault.kind, fault.is_transient) == ("clock", False)
    assert fault.text.startswith("invalid_grant: Invalid JWT")
    fault = classify_error(ConnectionError("certificate verify failed: certificate is not yet valid (_ssl.c:1006)"))
    assert (fault.kind, fault.is_transient) == ("clock", False)


def test_an_earlier_broken_connection_does_not_colour_a_later_answer() -> None:
    try:
        raise ConnectionResetError("reset")
    except ConnectionResetError:
        fault = classify_error(answered(404, "Operation 'projects/p/operations/X' not found."))
    assert (fault.kind, fault.is_transient) == ("absent", False)


def test_the_whole_answer_is_kept_with_status_and_request_but_without_secrets() -> None:
    text = "word " * 200 + f"Bearer {'ya29.' + 'x' * 30}"
    raw = raw_text(answered(400, text, **{"x-request-id": "abc-1", "content-type": "application/json"}))
    assert raw.startswith("HTTP 400\nx-request-id: abc-1\n")
    assert "word " * 200 in raw
    assert "ya29" not in raw
    assert "content-type" not in raw
    assert raw_text(NotFound("no bucket")).startswith("HTTP 404: NotFound: ")
    assert raw_text(ConnectionError("reset")) == "ConnectionError: reset"

    def refuse() -> None:
        raise answered(400, text)

    with pytest.raises(ServiceError, match="submitting x: word") as caught:
        Backoff().call(refuse, "submitting x")
    assert caught.value.raw.startswith("submitting x: HTTP 400\n")
    assert len(str(caught.value)) < 450


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


def test_each_further_try_but_the_first_is_named() -> None:
    lines: list[str] = []
    answers = iter([ee.EEException("Internal error."), ee.EEException("Internal error."), None])

    def ask() -> str:
        if (error := next(answers)) is not None:
            raise error
        return "done"

    assert Backoff(sleep=lambda _: None, spread=lambda: 1.0, log=lines.append).call(ask, "listing tasks") == "done"
    assert len(lines) == 1
    assert re.fullmatch(r"listing tasks: .*Internal error.*; failed 2 times, trying again in 2 s", lines[0])


@pytest.mark.parametrize(
    ("text", "is_smaller_better"),
    [
        ("User memory limit exceeded.", True),
        ("Computation timed out.", True),
        ("Execution timed out.", True),
        ("Total request size (100663296 bytes) must be less than or equal to 50331648 bytes.", True),
        ("Computed value is too large.", True),
        ("Image.load: Image asset 'X' not found.", False),
        ("Too many tasks already in the queue (3000). Please wait for some of them to complete.", False),
    ],
)
def test_only_what_a_smaller_request_avoids_is_asked_for_in_parts(text: str, is_smaller_better: bool) -> None:
    assert (classify_error(answered(400, text)).kind in TOO_MUCH) is is_smaller_better


def test_a_full_disk_of_the_engine_is_an_error_of_this_machine() -> None:
    text = "The embedded engine cannot write /data/out: No space left on device."

    def refuse() -> None:
        raise answered(400, text)

    with pytest.raises(DataError, match=r"^submitting x: The embedded engine cannot write /data/out: No space .*; free space there"):
        Backoff().call(refuse, "submitting x")
