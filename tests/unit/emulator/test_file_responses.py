"""Errors, bytes and faults of the file services."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.emulator.access import Account
from cropcam.pipeline.emulator.byte_ranges import FileSlice
from cropcam.pipeline.emulator.catalogue import Catalogue, Entry
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.fault_injection import Fault
from cropcam.pipeline.emulator.file_responses import (
    FileError,
    as_file_error,
    file_fault,
    media,
    page_of,
    page_size,
    page_token,
    seen_by,
)
from cropcam.pipeline.emulator.responses import Response
from cropcam.pipeline.emulator.routing import Request

DATA = bytes(range(100)) * 50


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[tuple[BinaryIO, Entry]]:
    (tmp_path / "temp").write_bytes(DATA)
    catalogue = Catalogue(tmp_path)
    entry = catalogue.publish(catalogue.reserve("drive/x.tif", "x.tif"), tmp_path / "temp")
    with (tmp_path / entry.path).open("rb") as file:
        yield file, entry


def request(fault: str = "", **headers: str) -> Request:
    return Request("http://x/", {}, {}, {}, headers=headers, fault=Fault("*", fault) if fault else None)  # type: ignore[arg-type]


def error_of(response: Response) -> dict[str, Any]:
    (body,) = response.parts
    assert isinstance(body, bytes)
    found: dict[str, Any] = json.loads(body)["error"]
    assert (found["code"], found["errors"][0]["message"]) == (response.code, found["message"])
    return found


def test_an_error_names_its_reason_as_the_older_apis_do() -> None:
    found = error_of(FileError(404, "notFound", "File not found: X.", "fileId").response())
    assert found["errors"] == [
        {"message": "File not found: X.", "domain": "global", "reason": "notFound", "locationType": "parameter", "location": "fileId"}
    ]
    assert FileError(304, "notModified", "Not Modified").response().parts == ()


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (EngineError("No token.", "UNAUTHENTICATED"), 401, "authError"),
        (EngineError("Project.", "PERMISSION_DENIED"), 403, "forbidden"),
        (EngineError("Slow.", "RESOURCE_EXHAUSTED"), 429, "rateLimitExceeded"),
        (EngineError("Bad."), 400, "badRequest"),
        (EngineError("New.", "UNIMPLEMENTED"), 400, "badRequest"),
        (FileError(412, "conditionNotMet", "No."), 412, "conditionNotMet"),
    ],
)
def test_any_refusal_is_written_so(error: EngineError, code: int, reason: str) -> None:
    found = error_of(as_file_error(error))
    assert (found["code"], found["errors"][0]["reason"]) == (code, reason)


def test_a_token_without_the_scope_is_refused_by_the_reason_that_clients_look_for() -> None:
    with pytest.raises(EngineError, match="insufficient authentication scopes") as caught:
        Account(scopes=()).require(["https://www.googleapis.com/auth/drive"])
    found = error_of(as_file_error(caught.value))
    assert (found["code"], found["errors"][0]["reason"]) == (403, "insufficientPermissions")
    assert found["message"] == "Request had insufficient authentication scopes."


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault(status=403), "userRateLimitExceeded"),
        (Fault(status=403, reason="rateLimitExceeded"), "rateLimitExceeded"),
        (Fault(status=429), "rateLimitExceeded"),
        (Fault(status=401), "authError"),
        (Fault(status=500), "internalError"),
        (Fault(status=503), "backendError"),
        (Fault(status=418), "unknown"),
    ],
)
def test_an_injected_status_has_its_usual_reason(fault: Fault, reason: str) -> None:
    response = file_fault(fault)
    assert (response.code, error_of(response)["errors"][0]["reason"]) == (fault.status, reason)
    assert ("WWW-Authenticate" in response.headers) == (fault.status == 401)


def body_of(response: Response) -> FileSlice:
    (body,) = response.parts
    assert isinstance(body, FileSlice)
    return body


def test_the_whole_file_is_sent_without_a_range(opened: tuple[BinaryIO, Entry]) -> None:
    response = media(request(), *opened, "image/tiff", {"ETag": "e"})
    assert (response.code, response.media_type, response.headers) == (200, "image/tiff", {"Accept-Ranges": "bytes", "ETag": "e"})
    assert (body_of(response).start, len(body_of(response)), body_of(response).change) == (0, len(DATA), "")


def test_a_range_is_sent_as_partial_content(opened: tuple[BinaryIO, Entry]) -> None:
    response = media(request(range="bytes=10-19"), *opened, "image/tiff", {})
    assert (response.code, response.headers["Content-Range"]) == (206, f"bytes 10-19/{len(DATA)}")
    assert (body_of(response).start, len(body_of(response))) == (10, 10)


def test_a_range_behind_the_end_names_the_size(opened: tuple[BinaryIO, Entry]) -> None:
    response = media(request(range=f"bytes={len(DATA)}-"), *opened, "image/tiff", {})
    assert (response.code, response.headers["Content-Range"]) == (416, f"bytes */{len(DATA)}")
    assert error_of(response)["errors"][0]["reason"] == "requestedRangeNotSatisfiable"


@pytest.mark.parametrize(
    ("kind", "code", "size", "change"),
    [("no_range", 200, len(DATA), ""), ("corrupt", 206, 10, "flipped"), ("replace", 206, 10, "inverted")],
)
def test_faults_change_what_is_sent(opened: tuple[BinaryIO, Entry], kind: str, code: int, size: int, change: str) -> None:
    response = media(request(kind, range="bytes=10-19"), *opened, "image/tiff", {})
    assert (response.code, len(body_of(response)), body_of(response).change) == (code, size, change)


def test_before_it_grew_or_was_replaced_a_file_was_another(opened: tuple[BinaryIO, Entry]) -> None:
    entry = opened[1]
    for kind, size in (("grow", len(DATA) - 1000), ("replace", len(DATA))):
        before = seen_by(Fault(kind=kind), entry)  # type: ignore[arg-type]
        assert (before.id, before.size) == (entry.id, size)
        assert before.generation < entry.generation
        assert before.modified_ns < entry.modified_ns
        assert before.created_ns <= before.modified_ns
        assert before.md5 != entry.md5
        assert before.crc32c != entry.crc32c
        assert (len(before.md5), len(before.crc32c)) == (32, 8)
    assert seen_by(Fault(kind="slow"), entry) is seen_by(None, entry) is entry


@given(st.text())
def test_a_page_token_gives_its_text_again(text: str) -> None:
    assert page_of(page_token(text)) == text


@pytest.mark.parametrize("token", ["x", "====", "MQ==", "é", "W10="])
def test_a_foreign_page_token_is_refused(token: str) -> None:
    with pytest.raises(FileError, match="Invalid Value") as caught:
        page_of(token)
    assert caught.value.location == "pageToken"


def test_a_page_has_at_least_one_row_and_at_most_the_limit() -> None:
    assert [page_size(text, 100, 1000, "pageSize") for text in ("", "1", "5000")] == [100, 1, 1000]
    for text in ("0", "-1", "x"):
        with pytest.raises(FileError, match=r"Invalid value '.*'\. Values must be within the range: \[1, 1000\]"):
            page_size(text, 100, 1000, "pageSize")
