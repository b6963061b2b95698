"""Answers: JSON, errors in the form of Google's APIs, injected faults."""

from __future__ import annotations

import json
import re

import pytest

from cropcam.pipeline.emulator import responses
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.fault_injection import AFTER_ANSWER, IN_HANDLER, Fault
from cropcam.pipeline.emulator.service_texts import TEXTS


def error_of(answer: responses.Answer) -> dict[str, object]:
    (body,) = answer.parts
    found: dict[str, object] = json.loads(bytes(body))["error"]
    return found


@pytest.mark.parametrize(("status", "code"), [("NOT_FOUND", 404), ("RESOURCE_EXHAUSTED", 429), ("UNIMPLEMENTED", 400)])
def test_an_error_has_the_form_of_google_and_is_never_a_501(status: str, code: int) -> None:
    answer = responses.as_error(EngineError("No such thing.", status))
    assert answer.code == code
    assert error_of(answer) == {"code": code, "message": "No such thing.", "status": status}


def test_a_reason_stands_where_googles_clients_look_for_it() -> None:
    older = error_of(responses.as_error(EngineError("Rate Limit Exceeded", "PERMISSION_DENIED", "rateLimitExceeded")))
    assert older["errors"] == [{"message": "Rate Limit Exceeded", "domain": "global", "reason": "rateLimitExceeded"}]
    newer = error_of(responses.as_error(EngineError("No.", "PERMISSION_DENIED", "USER_PROJECT_DENIED")))
    assert newer["details"] == [
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "USER_PROJECT_DENIED", "domain": "googleapis.com"}
    ]


def test_a_value_is_json_with_status_200() -> None:
    answer = responses.as_json({"result": [1, None]})
    assert (answer.code, answer.media_type) == (200, "application/json; charset=UTF-8")
    assert json.loads(bytes(answer.parts[0])) == {"result": [1, None]}


@pytest.mark.parametrize(
    ("code", "status", "message"),
    [
        (401, "UNAUTHENTICATED", TEXTS["bad_token"].message),
        (403, "PERMISSION_DENIED", "Permission denied."),
        (429, "RESOURCE_EXHAUSTED", TEXTS["busy"].message),
        (503, "UNAVAILABLE", "The service is currently unavailable."),
        (418, "UNKNOWN", "Injected status 418."),
    ],
)
def test_a_fault_of_a_status_answers_with_that_status(code: int, status: str, message: str) -> None:
    answer = responses.inject(Fault(status=code))
    assert answer is not None
    assert answer.code == code
    assert error_of(answer) == {"code": code, "message": message, "status": status}


@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [
        ("memory", 400, "User memory limit exceeded."),
        ("timeout", 400, "Computation timed out."),
        ("output_size", 400, "Output of image computation is too large (20 bands for 851968 pixels = 126.8 MiB > 80.0 MiB)."),
        ("value_size", 400, "Computed value is too large."),
        ("capacity", 400, "Earth Engine memory capacity exceeded."),
        ("daily_quota", 429, "'earthengine.googleapis.com/daily_eecu_usage_time', which is adjustable"),
        ("monthly_quota", 429, "'earthengine.googleapis.com/monthly_eecu_usage_time'"),
        ("scopes", 403, "Request had insufficient authentication scopes."),
        ("project", 403, "permission to use project my-own. Grant the caller the roles/serviceusage.serviceUsageConsumer role"),
        ("rate", 403, "Rate Limit Exceeded"),
        ("no_operation", 404, "Operation 'projects/my-own/operations/X' not found."),
        ("same_request", 409, "already exists"),
    ],
)
def test_a_fault_by_name_has_the_services_words(kind: str, code: int, words: str) -> None:
    with pytest.raises(EngineError, match=re.escape(words)) as struck:
        responses.inject(Fault(kind=kind), project="my-own", name="projects/my-own/operations/X")
    assert struck.value.code == code


def test_the_client_of_google_retries_a_rate_limit_that_is_a_403() -> None:
    from googleapiclient.http import _should_retry_response

    answer = responses.as_error(TEXTS["rate"].error())
    assert _should_retry_response(answer.code, bytes(answer.parts[0]))
    permission = responses.as_error(TEXTS["scopes"].error())
    assert not _should_retry_response(permission.code, bytes(permission.parts[0]))


def test_faults_of_the_connection_leave_the_answer_alone() -> None:
    assert responses.inject(None) is None
    assert not any(responses.inject(Fault(kind=kind)) for kind in AFTER_ANSWER | IN_HANDLER)


def test_a_slow_answer_waits_first(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    assert responses.inject(Fault(kind="slow", seconds=7.5)) is None
    assert waits == [7.5]
