"""Errors of the embedded engine: the service's status, message and HTTP code."""

from __future__ import annotations

HTTP_CODES = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNIMPLEMENTED": 501,
}


class EngineError(Exception):
    """A refused request, with the service's message.

    Source: google.rpc.Code, the statuses of Earth Engine's REST errors.
    """

    def __init__(self, message: str, status: str = "INVALID_ARGUMENT") -> None:
        super().__init__(message)
        self.message = message
        self.status = status

    @property
    def code(self) -> int:
        """The HTTP code of the status."""
        return HTTP_CODES[self.status]


def not_found(kind: str, asset_id: str) -> EngineError:
    """The refusal of an asset that does not exist; `kind` is "Image", "ImageCollection" or "Asset"."""
    where = f"{kind}.load: {kind} asset" if kind != "Asset" else "Asset"
    return EngineError(f"{where} '{asset_id}' not found (does not exist or caller does not have access).", "NOT_FOUND")


def unimplemented(feature: str) -> EngineError:
    """The refusal of something the service has and the embedded engine has not."""
    return EngineError(f"{feature} is not implemented by the embedded engine.", "UNIMPLEMENTED")
