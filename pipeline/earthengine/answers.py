"""Answers of the service, read with distrust: another program may be at the URL, or a proxy between here and there.

Source: Earth Engine REST reference, "projects.operations" and "OperationMetadata".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, TypeVar

import ee
from google.auth.exceptions import GoogleAuthError
from googleapiclient.errors import Error  # type: ignore[import-untyped]
from pydantic import BaseModel, ConfigDict, TypeAdapter

from cropcam.pipeline.earthengine.error_messages import ServiceError
from cropcam.pipeline.errors import CropcamError

Answer = TypeVar("Answer")
_LONGEST = 120  # characters of a reason
_URL = re.compile(r"https?://[^\s\"'<>\\`]+")


class _Error(BaseModel):
    message: str = ""


class _Metadata(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)
    state: str = ""
    description: str = ""
    startTime: str = ""
    endTime: str = ""
    updateTime: str = ""
    progress: float = 0.0
    batchEecuUsageSeconds: float = 0.0
    destinationUris: list[str] = []


class _Operation(BaseModel):
    name: str
    metadata: _Metadata = _Metadata()
    done: bool | None = None
    error: _Error | None = None


_OPERATION, _OPERATIONS = TypeAdapter(_Operation), TypeAdapter(list[_Operation])


def understood(ask: Callable[[], Answer], request_name: str) -> Callable[[], Answer]:
    """A request whose answer may have any form: what its reader stumbles over is one line.

    Args:
        ask: sends the request and reads the answer.
        request_name: of the request, for the message.

    Raises:
        EarthEngineError: when it is called, and the answer has another form than the service's.
    """

    def asked() -> Answer:
        try:
            return ask()
        except (ee.EEException, GoogleAuthError, Error, OSError, CropcamError):  # the service's, the login's, the connection's
            raise
        except (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError) as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST]
            raise ServiceError(
                f"{request_name}: an answer of another form than Earth Engine's ({reason}); check --api-url, and what lies between here and there",
                "refused",
            ) from error

    return asked


def operation(answer: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """The answer, if it is an operation.

    Raises:
        ValueError: it is none.
    """
    _OPERATION.validate_python(answer, strict=True)
    return dict(answer)


def operations(answer: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - any JSON
    """The answer, if it is a list of operations.

    Raises:
        ValueError: it is none.
    """
    _OPERATIONS.validate_python(answer, strict=True)
    return list(answer)


def count(answer: Any) -> int:  # noqa: ANN401 - any JSON
    """The answer, if it is a number of things.

    Raises:
        ValueError: it is none.
    """
    if isinstance(answer, bool) or not isinstance(answer, int | float) or not math.isfinite(answer) or answer < 0:
        raise ValueError(f"{answer!r:.40} is no count")
    return int(answer)


def sizes(answer: Any) -> dict[str, float]:  # noqa: ANN401 - any JSON
    """The answer, if it is an object of positive numbers.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(answer, dict) or not all(isinstance(one, int | float) and math.isfinite(one) and one > 0 for one in answer.values()):
        raise ValueError(f"{answer!r:.80} has no sizes")
    return answer


def tile_url(text: object) -> str:
    """The answer, if it is an address of tiles: it goes into a page.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(text, str) or not _URL.fullmatch(text):
        raise ValueError(f"{text!r:.40} is no address of tiles")
    return text
