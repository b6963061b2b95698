"""Answers: JSON, errors in the form of Google's APIs, injected faults."""

from __future__ import annotations

import json

import pytest

from cropcam.pipeline.emulator import responses
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.fault_injection import Fault, Kind


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
        (401, "UNAUTHENTICATED", "Request had invalid authentication credentials."),
        (429, "RESOURCE_EXHAUSTED", responses.TOO_MANY),
        (503, "UNAVAILABLE", "The service is currently unavailable."),
        (418, "UNKNOWN", "Injected status 418."),
    ],
)
def test_a_fault_of_a_status_answers_with_that_status(code: int, status: str, message: str) -> None:
    answer = responses.inject(Fault(status=code))
    assert answer is not None
    assert answer.code == code
    assert error_of(answer) == {"code": code, "message": message, "status": status}


@pytest.mark.parametrize(("kind", "message"), [("memory", "User memory limit exceeded."), ("timeout", "Computation timed out.")])
def test_an_exhausted_computation_is_a_bad_request(kind: Kind, message: str) -> None:
    answer = responses.inject(Fault(kind=kind))
    assert answer is not None
    assert (answer.code, error_of(answer)["message"]) == (400, message)


def test_faults_of_the_connection_leave_the_answer_alone() -> None:
    assert [responses.inject(fault) for fault in (None, Fault(kind="truncate"), Fault(kind="disconnect"))] == [None] * 3


def test_a_slow_answer_waits_first(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    assert responses.inject(Fault(kind="slow", seconds=7.5)) is None
    assert waits == [7.5]
