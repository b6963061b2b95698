"""Classification of Earth Engine's errors: transient or final, the cause and the next step in one line.

The known texts with their sources are in `error_texts`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import random
from typing import TypeVar

import ee
from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError
from googleapiclient.errors import Error, HttpError  # type: ignore[import-untyped]

from cropcam.pipeline.earthengine.error_texts import DISK, LOG_IN, known_error, redacted, without_secrets
from cropcam.pipeline.errors import DataError, EarthEngineError

Result = TypeVar("Result")
TOO_MUCH = frozenset({"memory", "timeout", "request_size"})  # kinds of a request that a smaller one avoids
TRANSIENT_STATUS = frozenset({408, 429, 500, 502, 503, 504})
_ROLES = "check --project, --api-url and the roles of the credentials"
_BY_STATUS = {  # kind and next step of an unknown text, by its final status
    401: ("credentials", LOG_IN),
    403: ("permission", _ROLES),
    404: ("absent", _ROLES),
    409: ("duplicate", "it is there already; look at it with: cropcam tasks"),
}
_LONGEST = 400  # characters of the service's text in the one line; the whole is in `ServiceError.raw`


@dataclass(frozen=True)
class Fault:
    """A classified error of the service: its kind, whether a later try can succeed, one line for the user."""

    kind: str
    is_transient: bool
    text: str


class ServiceError(EarthEngineError):
    """Earth Engine refused or failed; `kind` as in `Fault`, `raw` the service's whole answer without secrets."""

    def __init__(self, text: str, kind: str, raw: str = "") -> None:
        super().__init__(text)
        self.kind = kind
        self.raw = raw


def classify_error(error: BaseException | str, status: int | None = None) -> Fault:
    """Classify an exception of the client or the message of a failed task."""
    chain = [] if isinstance(error, str) else list(_chain(error))
    message = redacted(_message(error)).rstrip(". ")[:_LONGEST]
    status = _status(chain) if status is None else status
    known = known_error(f"{error} {' '.join(_content(one) for one in chain)}")
    if _is_connection(error, chain) and not (known and known.kind == "clock"):
        return Fault("connection", True, f"no connection to Earth Engine: {message or type(error).__name__}")
    if isinstance(error, RefreshError) and error.retryable:
        return Fault("service", True, f"the login cannot be renewed at the moment ({message})")
    if known and not known.is_transient and not (known.kind == "permission" and status in TRANSIENT_STATUS):
        step = known.task_step if known.task_step and isinstance(error, str) else known.next_step
        return Fault(known.kind, False, f"{message}: {known.cause}; {step}")
    if isinstance(error, GoogleAuthError):
        status = 401
    if status in TRANSIENT_STATUS or (known and known.is_transient and status in (None, 403)):
        kind, cause = (known.kind, f": {known.cause}") if known and known.is_transient else ("busy" if status == 429 else "service", "")
        return Fault(kind, True, f"Earth Engine is not answering properly ({status or 'failed'}: {message}){cause}")
    kind, step = _BY_STATUS.get(status or 0, ("refused", ""))
    return Fault(kind, False, ": ".join(part for part in (message or type(error).__name__, step) if part))


def raw_text(error: BaseException) -> str:
    """The service's whole answer: HTTP status, headers that name the request, and the text, without secrets."""
    chain = list(_chain(error))
    answer = next((one for one in chain if isinstance(one, HttpError)), None)
    if answer is None:
        status = _status(chain)
        return without_secrets(f"{f'HTTP {status}: ' if status else ''}{type(error).__name__}: {error}")
    named = {key: value for key, value in answer.resp.items() if "request-id" in key.lower() or key.lower() == "x-guploader-uploadid"}
    names = "".join(f"{key}: {value}\n" for key, value in named.items())
    return without_secrets(f"HTTP {answer.resp.status}\n{names}{_content(answer) or error}")


def _message(error: BaseException | str) -> str:
    """The service's own words, without what the clients put around them."""
    if isinstance(error, HttpError) and error.reason:
        return str(error.reason)
    return str(error.args[0]) if isinstance(error, GoogleAuthError) and error.args else str(error)


def _content(error: BaseException) -> str:
    """The body of an HTTP error, which holds the reason that the client leaves out."""
    content = error.content if isinstance(error, HttpError) else b""
    return content.decode("utf-8", "replace") if isinstance(content, bytes) else str(content)


def _is_connection(error: BaseException | str, chain: list[BaseException]) -> bool:
    """Whether a connection failed; a login that cannot be renewed for want of one is no invalid login."""
    causes = chain if isinstance(error, RefreshError) else chain[:1]
    return any(isinstance(one, (OSError, TransportError)) for one in causes)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception, its cause, the cause's cause and so on."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _status(chain: list[BaseException]) -> int | None:
    """The HTTP status of a client's exception: EEException drops it, its context holds it."""
    for cause in chain:
        if isinstance(cause, HttpError):
            return int(cause.resp.status)
        if isinstance(code := getattr(cause, "code", None), int):  # google.api_core's exceptions, of the Cloud Storage client
            return int(code)
    return None


@dataclass(frozen=True)
class Backoff:
    """Exponential backoff for a busy service, on top of the client's five retries of each request.

    Delays double from `first_s` to `longest_s`. Attempts are counted, so a clock that jumps changes nothing. `log` is called with a
    line before each further try but the first: single failures are usual.
    """

    attempts: int = 12
    first_s: float = 1.0
    longest_s: float = 60.0
    sleep: Callable[[float], object] = time.sleep
    spread: Callable[[], float] = random
    log: Callable[[str], object] = lambda _: None

    def call(self, request: Callable[[], Result], request_name: str, classify: Callable[[BaseException], Fault] = classify_error) -> Result:
        """The request's result; transient faults are retried.

        Args:
            request: sends one request; must be idempotent, because it may be called again.
            request_name: name of the request in the message.
            classify: of the service's errors; Earth Engine's by default.

        Raises:
            ServiceError: the fault is final, or transient for too long.
            DataError: an engine on this machine cannot write to its disk.
        """
        for attempt in range(1, self.attempts + 1):
            try:
                return request()
            except (ee.EEException, GoogleAuthError, Error, OSError) as error:
                fault = classify(error)
                if not fault.is_transient or attempt == self.attempts:
                    if fault.kind == DISK:
                        raise DataError(f"{request_name}: {fault.text}") from error
                    later = f"; tried {attempt} times; run the same command again later" if fault.is_transient else ""
                    raise ServiceError(f"{request_name}: {fault.text}{later}", fault.kind, f"{request_name}: {raw_text(error)}") from error
            pause_s = min(self.first_s * 2 ** (attempt - 1), self.longest_s) * (0.5 + self.spread() / 2)
            if attempt > 1:
                self.log(f"{request_name}: {fault.text}; failed {attempt} times, trying again in {pause_s:.0f} s")
            self.sleep(pause_s)
        raise AssertionError("unreachable: the last attempt returns or raises")
