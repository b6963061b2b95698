"""JSON of a run folder with the digest of its own content: a file that was changed after it was written is noticed, whatever was changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.runtime.hashing import json_sha256
from cropcam.pipeline.text_files import read_json_object

KEY = "content_digest"


def sealed(values: Mapping[str, Any], within: str = "") -> dict[str, Any]:
    """The values with `content_digest`, sha256 (hex) of all others; `within` names the object that takes it.

    >>> sealed({"a": 1})["content_digest"][:8]
    '015abd7f'
    """
    digest = json_sha256(values)
    return {**values, within: {**values[within], KEY: digest}} if within else {**values, KEY: digest}


def read_sealed(path: Path, what: str, within: str = "", *, step: str) -> dict[str, Any]:
    """The values of a file that `sealed` made, without the digest; files of earlier versions have none.

    Args:
        path: of the file.
        what: it is to be, for messages.
        within: as of `sealed`.
        step: the next step, for messages.

    Raises:
        DataError: absent, not JSON, or changed after it was written.
    """
    values = read_json_object(path, what, step=step)
    holder = values.get(within) if within else values
    if not isinstance(holder, dict):
        raise DataError(f"{path}: {within} is no object; {step}")
    digest = holder.pop(KEY, None)
    if digest is not None and digest != json_sha256(values):
        raise DataError(f"{path}: was changed after it was written; {step}")
    return values
