"""The engine's table of the service's words, against the client's table of what to do about them."""

from __future__ import annotations

import pytest

from cropcam.pipeline.earthengine.error_messages import classify_error
from cropcam.pipeline.emulator.errors import HTTP_CODES
from cropcam.pipeline.emulator.service_texts import TEXTS
from support.answers import answered

PASSES = {"busy", "rate", "internal", "unavailable", "retry"}


@pytest.mark.parametrize("name", TEXTS)
def test_every_word_of_the_service_is_known_as_a_request_and_as_a_task(name: str) -> None:
    error, failure = TEXTS[name].error(), TEXTS[name].failure()
    for fault in (
        classify_error(answered(HTTP_CODES[error.status], error.message, reason=TEXTS[name].reason)),
        classify_error(failure.message),
    ):
        assert fault.kind != "refused"
        assert fault.is_transient == (name in PASSES)
