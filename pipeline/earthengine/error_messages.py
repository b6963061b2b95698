"""Classification of Earth Engine's errors: transient or final, the cause and the next step in one line.

Source: Earth Engine guides "Debugging guide", "Earth Engine quotas", "Processing environments"; error texts that users
report of the service.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import random
from typing import TypeVar

import ee
from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError
from googleapiclient.errors import Error, HttpError  # type: ignore[import-untyped]

from cropcam.pipeline.errors import EarthEngineError

Result = TypeVar("Result")
_TRANSIENT_STATUS = {429, 500, 502, 503, 504}
# kind, pattern of the service's message, cause and next step; the first match counts
_FINAL: tuple[tuple[str, str, str], ...] = (
    ("queue", r"too many tasks", "3,000 tasks wait already; run the same command again when some have ended"),
    ("duplicate", r"already (exists|been|started)|duplicate request|request ?id.*(used|taken)", "the same task was submitted before"),
    ("memory", r"user memory limit|out of memory", "the computation needs more memory than Earth Engine gives one request; use smaller cells or windows (--cell-px, --window-px)"),
    ("timeout", r"computation timed out|execution timed out", "the computation took longer than Earth Engine allows; use smaller cells or windows, or fewer scenes (image.cloud_cover_max_pct)"),
    ("request_size", r"total request size|grid dimensions .* must be less", "one request asks for more than 48 MB or 32,768 px a side; use smaller windows (--window-px)"),
    ("pixels", r"too many pixels|maxpixels|export too large", "one task holds more pixels than its maxPixels; use smaller cells (--cell-px)"),
    ("registration", r"not registered|has not been used in project|is not signed up|serviceusage|it is disabled", "the project is not registered for Earth Engine; register it at https://console.cloud.google.com/earth-engine, or give another --project"),
    ("quota", r"eecu|noncommercial|non-commercial|monthly quota|billing", "the project's compute quota is used up; wait for the next month, or use a project of another tier"),
    ("storage", r"storage quota|drive.*full|insufficient.*storage", "the destination has no room left; free space there and run the same command again"),
    ("credentials", r"invalid_grant|reauth|invalid authentication credentials|unauthenticated|token has been expired", "the credentials are not valid (any more); run: earthengine authenticate, or set GOOGLE_APPLICATION_CREDENTIALS"),
    ("project", r"permission to use project|project .* (not found|has been deleted)|invalid project|consumer_invalid", "the credentials may not use this project; check --project, or ask its owner for the role Service Usage Consumer"),
    ("bucket", r"bucket.*(does not exist|not found)|specified bucket|storage\.(objects|buckets)", "the bucket does not exist or may not be written to; check gs://BUCKET and the role Storage Object Admin"),
    ("asset", r"(asset|collection|image)[^.]*(not found|does not exist)|does not exist or caller", "check image.collections and labels.asset of the study (the labels of a year appear after it: CDL early in the next)"),
    ("bands", r"did not match any bands|no bands|band pattern", "no scene was left, or the collection has other bands; check image.collections, image.bands and image.seasons, or labels.band and labels.weight"),
    ("permission", r"permission|forbidden|access denied|not authorized", "the credentials may not do this; check --project and its roles (Earth Engine Resource Writer)"),
)  # fmt: skip
_TRANSIENT_TEXT = re.compile(
    r"internal error|backend error|deadline exceeded|try again|temporarily|unavailable|too many (concurrent|requests)|rate ?limit|connection reset",
    re.IGNORECASE,
)
_SECRETS = re.compile(
    r"ya29\.[\w.~+/=-]+|1//[\w-]{10,}|AIza[\w-]{20,}|eyJ[\w-]{10,}(\.[\w-]+)*|-----BEGIN[^-]*-----.*?(-----END[^-]*-----|$)|GOCSPX-[\w-]+"
    r"|(?<=bearer )\S+|(?<=bearer%20)\S+|(?<=key=)[\w-]+|(?<=token=)[^\s&\"']+",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class Fault:
    """A classified error of the service: its kind, whether a later try can succeed, one line for the user."""

    kind: str
    is_transient: bool
    text: str


class ServiceError(EarthEngineError):
    """Earth Engine refused or failed; `kind` as in `Fault`."""

    def __init__(self, text: str, kind: str) -> None:
        super().__init__(text)
        self.kind = kind


def redacted(text: str) -> str:
    """The text on one line, with tokens, keys and other secrets replaced."""
    return " ".join(_SECRETS.sub("[secret]", text).split())


def classify_error(error: BaseException | str, status: int | None = None) -> Fault:
    """Classify an exception of the client or the message of a failed task."""
    message = redacted(str(error)).rstrip(". ")[:400]
    status = _status(error) if status is None and isinstance(error, BaseException) else status
    if isinstance(error, (OSError, TransportError)) and not isinstance(error, RefreshError):
        return Fault("connection", True, f"no connection to Earth Engine: {message or type(error).__name__}")
    for kind, pattern, advice in _FINAL:
        if re.search(pattern, message, re.IGNORECASE) and not (kind == "permission" and status in _TRANSIENT_STATUS):
            return Fault(kind, False, f"{message}: {advice}")
    if status == 401 or isinstance(error, GoogleAuthError):
        return Fault("credentials", False, f"{message}: run: earthengine authenticate, or set GOOGLE_APPLICATION_CREDENTIALS")
    if status in _TRANSIENT_STATUS or (status is None and _TRANSIENT_TEXT.search(message)):
        return Fault(
            "busy" if status == 429 else "service", True, f"Earth Engine is not answering properly ({status or 'failed'}: {message})"
        )
    if status in (403, 404):
        kind = "permission" if status == 403 else "absent"
        return Fault(kind, False, f"{message or status}: check --project, --api-url and the roles of the credentials")
    return Fault("refused", False, message or type(error).__name__)


def _status(error: BaseException) -> int | None:
    """The HTTP status of a client's exception: EEException drops it, its context holds it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, HttpError):
            return int(cause.resp.status)
        cause = cause.__cause__ or cause.__context__
    return None


@dataclass(frozen=True)
class Backoff:
    """Exponential backoff for a busy service, on top of the client's five retries of each request.

    Delays double from `first_s` to `longest_s`. Attempts are counted, so a clock that jumps changes nothing.
    """

    attempts: int = 12
    first_s: float = 1.0
    longest_s: float = 60.0
    sleep: Callable[[float], object] = time.sleep
    spread: Callable[[], float] = random

    def call(self, request: Callable[[], Result], request_name: str, classify: Callable[[BaseException], Fault] = classify_error) -> Result:
        """The request's result; transient faults are retried.

        Args:
            request: sends one request; must be idempotent, because it may be called again.
            request_name: name of the request in the message.
            classify: of the service's errors; Earth Engine's by default.

        Raises:
            ServiceError: the fault is final, or transient for too long.
        """
        for attempt in range(1, self.attempts + 1):
            try:
                return request()
            except (ee.EEException, GoogleAuthError, Error, OSError) as error:
                fault = classify(error)
                if not fault.is_transient:
                    raise ServiceError(f"{request_name}: {fault.text}", fault.kind) from error
                if attempt == self.attempts:
                    raise ServiceError(
                        f"{request_name}: {fault.text}; tried {attempt} times; run the same command again later", fault.kind
                    ) from error
            self.sleep(min(self.first_s * 2 ** (attempt - 1), self.longest_s) * (0.5 + self.spread() / 2))
        raise AssertionError("unreachable: the last attempt returns or raises")
