"""Responses: bytes, JSON, errors in the words of Google's APIs, injected faults."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from cropcam.pipeline.emulator.byte_ranges import FileSlice
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.fault_injection import AFTER_ANSWER, IN_HANDLER, Fault
from cropcam.pipeline.emulator.service_texts import BY_HTTP_CODE, TEXTS

JSON_TYPE = "application/json; charset=UTF-8"


@dataclass(frozen=True)
class Response:
    """A response: the parts of its body in order."""

    parts: tuple[bytes | memoryview | FileSlice, ...]
    media_type: str = JSON_TYPE
    code: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def as_json(value: object, code: int = 200) -> Response:
    """A JSON response."""
    return Response((json.dumps(value).encode(),), code=code)


def as_error(error: EngineError) -> Response:
    """An error in the words of Google's APIs. UNIMPLEMENTED is sent as 400: the client would retry 501 for half a minute.

    A reason in capitals is one of google.rpc.ErrorInfo and goes into "details"; any other is one of the older JSON APIs
    and goes into "errors", where googleapiclient looks for "rateLimitExceeded".
    """
    code = 400 if error.status == "UNIMPLEMENTED" else error.code
    body: dict[str, object] = {"code": code, "message": error.message, "status": error.status}
    if error.reason.isupper():
        body["details"] = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": error.reason, "domain": "googleapis.com"}]
    elif error.reason:
        body["errors"] = [{"message": error.message, "domain": "global", "reason": error.reason}]
    return as_json({"error": body}, code)


def inject(fault: Fault | None, *, project: str = "", name: str = "") -> Response | None:
    """The response of a fault; None for faults that respond later, after a delay for a slow one.

    Args:
        fault: of the request.
        project: that the request names, for the text.
        name: of the operation that it names.

    Raises:
        EngineError: that of a fault named after a text of the service.
    """
    if fault is None or fault.kind in AFTER_ANSWER | IN_HANDLER:
        return None
    if fault.kind == "slow":
        time.sleep(fault.seconds)
        return None
    if fault.kind in TEXTS:
        raise TEXTS[fault.kind].error(project=project, name=name)
    error = TEXTS[BY_HTTP_CODE[fault.status]].error() if fault.status in BY_HTTP_CODE else None
    message, status = (error.message, error.status) if error else (f"Injected status {fault.status}.", "UNKNOWN")
    return as_json({"error": {"code": fault.status, "message": message, "status": status}}, fault.status)
