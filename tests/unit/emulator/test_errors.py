"""Errors of the embedded engine: status, HTTP code, message."""

from __future__ import annotations

import pytest

from cropcam.pipeline.emulator.errors import EngineError, not_found, unimplemented, unwritable

GOOGLE_CODES = {  # google/rpc/code.proto, "HTTP Mapping"
    "INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403, "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409, "RESOURCE_EXHAUSTED": 429, "INTERNAL": 500,
    "UNIMPLEMENTED": 501, "UNAVAILABLE": 503,
}  # fmt: skip


@pytest.mark.parametrize(("status", "code"), GOOGLE_CODES.items())
def test_each_status_has_the_http_code_of_google(status: str, code: int) -> None:
    assert EngineError("x", status).code == code


def test_an_error_without_a_status_is_an_invalid_argument() -> None:
    error = EngineError("Bad band.")
    assert (error.status, error.code, error.message, str(error)) == ("INVALID_ARGUMENT", 400, "Bad band.", "Bad band.")


@pytest.mark.parametrize(
    ("kind", "start"),
    [
        ("Image", "Image.load: Image asset 'A/B' not found"),
        ("ImageCollection", "ImageCollection.load: ImageCollection asset 'A/B' not found"),
        ("Asset", "Asset 'A/B' does not exist or doesn't allow this operation."),
    ],
)
def test_a_missing_asset_is_named_by_kind_and_id(kind: str, start: str) -> None:
    error = not_found(kind, "A/B")
    assert error.message.startswith(start)
    assert error.status == "NOT_FOUND"


def test_a_missing_method_names_the_embedded_engine() -> None:
    error = unimplemented("Image.blur")
    assert (error.message, error.status) == ("Image.blur is not implemented by the embedded engine.", "UNIMPLEMENTED")


def test_a_disk_that_takes_nothing_is_no_fault_to_try_again() -> None:
    error = unwritable(OSError(28, "No space left on device", "/data/x.json"), "elsewhere")
    assert (str(error), error.code) == ("The embedded engine cannot write /data/x.json: No space left on device.", 400)
    assert str(unwritable(OSError("write failed"), "/data")) == "The embedded engine cannot write /data: write failed."
