"""Errors of Drive and Cloud Storage: transient or final, with the cause and the next step in one line.

Source: Drive API guide "Resolve errors"; Cloud Storage documentation, "HTTP status and error codes for JSON", "Retry strategy".
"""

from __future__ import annotations

import re
from typing import Any

import httplib2  # type: ignore[import-untyped]
from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError
from googleapiclient.errors import HttpError  # type: ignore[import-untyped]

from cropcam.pipeline.earthengine.error_messages import TRANSIENT_STATUS, Fault, classify_error
from cropcam.pipeline.earthengine.error_texts import redacted
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.text_files import parse_json

DRIVE, STORAGE = "Google Drive", "Cloud Storage"
_TRANSIENT_REASONS = {"rateLimitExceeded", "userRateLimitExceeded", "backendError", "internalError", "sharingRateLimitExceeded"}
LOG_IN_AGAIN = "log in again: earthengine authenticate --force"
# kind, statuses, pattern of reason and message, next step; the first match counts
_FINAL: tuple[tuple[str, frozenset[int], str, str], ...] = (
    ("scopes", frozenset({401, 403}), r"insufficient authentication scopes|insufficientScopes|ACCESS_TOKEN_SCOPE_INSUFFICIENT|insufficientPermissions",
     f"the login does not hold the scope for {{service}}; {LOG_IN_AGAIN}"),
    ("disabled", frozenset({403}), r"accessNotConfigured|SERVICE_DISABLED|has not been used in project|it is disabled",
     "the API of {service} is off in the project of the credentials; enable it at {url}, wait some minutes and run the same command again"),
    ("project", frozenset({400, 403}), r"serviceusage|USER_PROJECT_DENIED|userProject",
     "the credentials may not use this project; check --project, or ask its owner for the role Service Usage Consumer"),
    ("quota", frozenset({403}), r"downloadQuotaExceeded|dailyLimitExceeded|quotaExceeded", "a quota of {service} is used up; run the same command again tomorrow"),
    ("bucket", frozenset({404}), r"specified bucket|bucket (does not exist|not found)", "there is no such bucket; check gs://BUCKET"),
    ("absent", frozenset({404, 410}), r"", "it is not there (any more)"),
    ("changed", frozenset({304, 412, 416}), r"", "it was replaced meanwhile"),
    ("credentials", frozenset({401}), r"", f"the credentials are not valid (any more); {LOG_IN_AGAIN}, or set GOOGLE_APPLICATION_CREDENTIALS"),
    ("permission", frozenset({403}), r"", "the credentials may not read it; ask its owner for access (Cloud Storage: the role Storage Object Viewer on the bucket)"),
)  # fmt: skip


def http_error(status: int, content: bytes, url: str) -> HttpError:
    """An answer with an error status, as Google's client raises it."""
    return HttpError(httplib2.Response({"status": str(status)}), content, uri=url)


def explain(error: BaseException, service: str) -> Fault:
    """Classify an exception of Google's clients or of their transport."""
    if isinstance(error, HttpError):
        return _explain_answer(int(error.resp.status), error.content or b"", service)
    text = redacted(str(error)).rstrip(". ")[:300]
    if isinstance(error, RefreshError) and re.search("scope", text, re.IGNORECASE):
        return Fault("scopes", False, f"{text}: the login does not hold the scope for {service}; {LOG_IN_AGAIN}")
    if isinstance(error, (OSError, TransportError)):
        return Fault("connection", True, f"no connection to {service}: {text or type(error).__name__}")
    if isinstance(error, GoogleAuthError):
        return Fault("credentials", False, f"{text}: the credentials are not valid (any more); {LOG_IN_AGAIN}")
    return classify_error(error)


def _explain_answer(status: int, content: bytes, service: str) -> Fault:
    reason, message = _parts_of(content)
    text = redacted(message or reason or f"answer {status}").rstrip(". ")[:300]
    if status in TRANSIENT_STATUS or (status == 403 and reason in _TRANSIENT_REASONS):
        return Fault("busy" if status in (403, 429) else "service", True, f"{service} is not answering properly ({status}: {text})")
    for kind, statuses, pattern, advice in _FINAL:
        if status in statuses and re.search(pattern, f"{reason} {message}", re.IGNORECASE):
            found = re.search(r"https://[^\s\"']+", message)
            url = found.group() if found else "https://console.cloud.google.com/apis/library"
            return Fault(kind, False, f"{text}: {advice.format(service=service, url=url)}")
    return Fault("refused", False, f"{service} refused ({status}: {text})")


def _parts_of(content: bytes) -> tuple[str, str]:
    """Reason and message of an error's body: JSON as both services write it, or plain text."""
    try:
        error: Any = parse_json(content, "the answer")["error"]
        if isinstance(error, str):  # the token endpoint's form
            return error, error
        entries = [*error.get("errors", []), *(one for one in error.get("details", []) if "reason" in one), {}]
        return str(entries[0].get("reason") or error.get("status", "")), str(error.get("message", ""))
    except (DataError, ValueError, KeyError, TypeError, AttributeError):
        return "", content[:300].decode("utf-8", "replace").strip()
