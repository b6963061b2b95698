"""Answers of the service as the client raises them."""

from __future__ import annotations

import json

import ee
import httplib2
from googleapiclient.errors import HttpError


def http_error(status: int, text: str, *, reason: str = "", **headers: str) -> HttpError:
    """googleapiclient's exception for an error in the service's JSON; `reason` as in Drive's "errors" list."""
    body = {"error": {"code": status, "message": text, "errors": [{"message": text, "reason": reason}]}}
    return HttpError(httplib2.Response({"status": status, **headers}), json.dumps(body).encode(), uri="https://x.test/v1?alt=json")


def answered(status: int, text: str, *, reason: str = "", **headers: str) -> ee.EEException:
    """The Earth Engine client's exception for an HTTP answer: the status is only in its context."""
    try:
        try:
            raise http_error(status, text, reason=reason, **headers)
        except HttpError:
            raise ee.EEException(text)  # noqa: B904 - as the client does
    except ee.EEException as error:
        return error
