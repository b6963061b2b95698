"""The service's words."""

from __future__ import annotations

import pytest

from cropcam.pipeline.emulator.errors import HTTP_CODES
from cropcam.pipeline.emulator.service_texts import BY_HTTP_CODE, TEXTS

REPORTED = {  # quoted by users or by the guides
    "project": "Caller does not have required permission to use project my-project. Grant the caller the roles/serviceusage.serviceUsageConsumer role",
    "scopes": "Request had insufficient authentication scopes.",
    "output_size": "Output of image computation is too large (20 bands for 851968 pixels = 126.8 MiB > 80.0 MiB).",
    "value_size": "Computed value is too large.",
    "capacity": "Earth Engine memory capacity exceeded.",
    "daily_quota": "Your usage exceeded the custom quota for 'earthengine.googleapis.com/daily_eecu_usage_time', which is adjustable by your administrator in the Google Cloud console: https://console.cloud.google.com/quotas/?project=_.",
    "no_drive_space": "Service Accounts do not have storage quota",
    "other_operation": "A different Operation was already started with the given request_id.",
}


@pytest.mark.parametrize(("name", "words"), REPORTED.items())
def test_reported_words_are_kept_exactly(name: str, words: str) -> None:
    assert TEXTS[name].error().message.startswith(words)


@pytest.mark.parametrize("name", TEXTS)
def test_every_text_is_an_error_of_a_request_and_of_a_task(name: str) -> None:
    for error in (TEXTS[name].error(project="p", name="n", waiting=3), TEXTS[name].failure(project="p")):
        assert error.status in HTTP_CODES
        assert error.message
        assert not {"{", "}"} & set(error.message)


def test_a_task_may_fail_with_another_status_than_a_request() -> None:
    assert (TEXTS["memory"].error().status, TEXTS["memory"].failure().status) == ("INVALID_ARGUMENT", "RESOURCE_EXHAUSTED")
    assert TEXTS["scopes"].failure().status == TEXTS["scopes"].error().status


def test_a_status_has_a_text_of_that_status() -> None:
    assert all(TEXTS[name].error().code == code for code, name in BY_HTTP_CODE.items())
