"""Errors of the embedded engine: the service's status, message and HTTP code."""

from __future__ import annotations

HTTP_CODES = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
}


class EngineError(Exception):
    """A refused request, with the service's message.

    Args:
        message: in the words of the service.
        status: a google.rpc.Code.
        reason: the word by which Google's clients distinguish errors of one code, such as "rateLimitExceeded"; "" for none.

    Source: google.rpc.Code, the statuses of Earth Engine's REST errors.
    """

    def __init__(self, message: str, status: str = "INVALID_ARGUMENT", reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.reason = reason

    @property
    def code(self) -> int:
        """The HTTP code of the status."""
        return HTTP_CODES[self.status]


def unwritable(error: OSError, where: str) -> EngineError:
    """The refusal of something that the engine's own disk does not take: its client gives up."""
    path, reason = error.filename or where, error.strerror or str(error)
    return EngineError(f"The embedded engine cannot write {path}: {reason}.", "FAILED_PRECONDITION")


def not_found(kind: str, asset_id: str) -> EngineError:
    """The refusal of an asset that does not exist: of an expression ("Image", "ImageCollection"), or of an asset's method ("Asset").

    Source: the messages as users quote them.
    """
    if kind == "Asset":
        return EngineError(f"Asset '{asset_id}' does not exist or doesn't allow this operation.", "NOT_FOUND")
    return EngineError(f"{kind}.load: {kind} asset '{asset_id}' not found (does not exist or caller does not have access).", "NOT_FOUND")


def unimplemented(feature: str) -> EngineError:
    """The refusal of something the service has and the embedded engine has not."""
    return EngineError(f"{feature} is not implemented by the embedded engine.", "UNIMPLEMENTED")
