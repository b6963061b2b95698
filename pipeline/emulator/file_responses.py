"""Responses of the file services: errors as Google's older APIs write them, the bytes of a file, injected faults.

Source: Drive API guide "Resolve errors"; Cloud Storage JSON API "HTTP status and error codes".
"""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import BinaryIO

from cropcam.pipeline.emulator.byte_ranges import FileSlice, RangeNotSatisfiableError, parse_range
from cropcam.pipeline.emulator.catalogue import Entry
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.fault_injection import Fault
from cropcam.pipeline.emulator.responses import Response, as_json, inject
from cropcam.pipeline.emulator.routing import Request
from cropcam.pipeline.emulator.service_texts import TEXTS

_GROWTH = 1000  # bytes that a file lacked before it grew, at most half of it
_REASONS = {
    400: ("badRequest", "Bad Request"),
    401: ("authError", "Invalid Credentials"),
    403: ("userRateLimitExceeded", "User Rate Limit Exceeded"),
    404: ("notFound", "Not Found"),
    408: ("requestTimeout", "Request Timeout"),
    412: ("conditionNotMet", "At least one of the pre-conditions you specified did not hold."),
    429: ("rateLimitExceeded", "Rate Limit Exceeded"),
    500: ("internalError", "Internal Error"),
    502: ("badGateway", "Bad Gateway"),
    503: ("backendError", "Backend Error"),
    504: ("gatewayTimeout", "Gateway Timeout"),
}
_MESSAGES = {
    "userRateLimitExceeded": "User Rate Limit Exceeded",
    "rateLimitExceeded": "Rate Limit Exceeded",
    "dailyLimitExceeded": "Daily Limit Exceeded",
    "insufficientPermissions": "Request had insufficient authentication scopes.",
    "backendError": "Backend Error",
}


class FileError(EngineError):
    """A refused request to a file service."""

    def __init__(self, http_code: int, reason: str, message: str, location: str = "") -> None:
        super().__init__(message, reason=reason)
        self.http_code, self.location = http_code, location

    @property
    def code(self) -> int:
        """The HTTP code."""
        return self.http_code

    def response(self) -> Response:
        """The error as JSON."""
        if self.code == 304:
            return Response((), code=304)
        detail = {"message": self.message, "domain": "global", "reason": self.reason}
        if self.location:
            detail |= {"locationType": "parameter", "location": self.location}
        headers = {"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/"'} if self.code == 401 else {}
        return replace(as_json({"error": {"code": self.code, "message": self.message, "errors": [detail]}}, self.code), headers=headers)


def as_file_error(error: EngineError) -> Response:
    """Any refusal, as the file services write it."""
    if isinstance(error, FileError):
        return error.response()
    if error.code == 401:
        return FileError(401, "authError", "Invalid Credentials").response()
    if error.reason == "ACCESS_TOKEN_SCOPE_INSUFFICIENT":
        return FileError(403, "insufficientPermissions", error.message).response()
    code = 400 if error.status == "UNIMPLEMENTED" else error.code
    own = "" if error.reason.isupper() else error.reason
    reason = own or ("forbidden" if code == 403 else _REASONS.get(code, ("unknown", ""))[0])
    return FileError(code, reason, error.message).response()


def invalid(location: str, message: str = "Invalid Value") -> FileError:
    """The refusal of a parameter's value."""
    return FileError(400, "invalid", message, location)


def file_fault(fault: Fault | None) -> Response | None:
    """The response of a fault on a route of a file service; None for faults that the handler or the sending carries out."""
    if fault is not None and fault.kind == "status":
        reason, message = _REASONS.get(fault.status, ("unknown", f"Injected status {fault.status}."))
        reason = fault.reason or reason
        return FileError(fault.status, reason, _MESSAGES.get(reason, message)).response()
    if fault is not None and fault.kind in TEXTS:
        return as_file_error(TEXTS[fault.kind].error())
    return inject(fault)


def seen_by(fault: Fault | None, entry: Entry) -> Entry:
    """The entry as a request sees it: with a fault "grow" or "replace" it is the one of an earlier content.

    Before it grew, a file was a little shorter; before it was replaced, all its bytes were others. Sizes and times differ as
    they would have; checksums are then those of no content that is served any more.
    """
    if fault is None or fault.kind not in {"grow", "replace"} or entry.is_folder:
        return entry
    size = entry.size - min(_GROWTH, entry.size // 2) if fault.kind == "grow" else entry.size
    other = base64.b64encode(bytes(255 - value for value in base64.b64decode(entry.crc32c))).decode()
    return replace(
        entry,
        size=size,
        generation=entry.generation - 1,
        modified_ns=entry.modified_ns - 10**9,
        created_ns=min(entry.created_ns, entry.modified_ns - 10**9),
        md5=bytes(255 - value for value in bytes.fromhex(entry.md5)).hex(),
        sha256=bytes(255 - value for value in bytes.fromhex(entry.sha256)).hex(),
        crc32c=other,
    )


def media(request: Request, file: BinaryIO, entry: Entry, media_type: str, headers: dict[str, str]) -> Response:
    """The bytes of a file, or of the range that the request names.

    Args:
        request: with its headers and its fault; "no_range" ignores the range, "corrupt" sends one byte wrong, "grow" and
            "replace" send the earlier content.
        file: open until the response is sent.
        entry: of this content.
        media_type: of the whole file.
        headers: sent besides.
    """
    kind = request.fault.kind if request.fault else ""
    whole = {"Accept-Ranges": "bytes"} | headers
    try:
        part = None if kind == "no_range" else parse_range(request.headers.get("range", ""), entry.size)
    except RangeNotSatisfiableError:
        error = FileError(416, "requestedRangeNotSatisfiable", "Request range not satisfiable")
        return replace(error.response(), headers={"Content-Range": f"bytes */{entry.size}"})
    start, stop = part or (0, entry.size)
    change = {"corrupt": "flipped", "replace": "inverted"}.get(kind, "")
    body = FileSlice(file, start, stop - start, change)  # type: ignore[arg-type]  # of the three names
    if part is None:
        return Response((body,), media_type, headers=whole)
    return Response((body,), media_type, 206, whole | {"Content-Range": f"bytes {start}-{stop - 1}/{entry.size}"})


def page_of(token: str, location: str = "pageToken") -> str:
    """The text inside a page token.

    Raises:
        FileError: it is no token of this server.
    """
    try:
        text = base64.urlsafe_b64decode(token.encode()).decode()
        found = json.loads(text)
    except ValueError:
        raise invalid(location) from None
    if not isinstance(found, str):
        raise invalid(location)
    return found


def page_token(text: str) -> str:
    """A token for the page that begins behind `text`."""
    return base64.urlsafe_b64encode(json.dumps(text).encode()).decode()


def page_size(text: str, default: int, most: int, location: str) -> int:
    """The size of a page.

    Raises:
        FileError: it is no number of at least 1.
    """
    if not text:
        return default
    if not text.isdigit() or int(text) < 1:
        raise invalid(location, f"Invalid value '{text}'. Values must be within the range: [1, {most}]")
    return min(int(text), most)
