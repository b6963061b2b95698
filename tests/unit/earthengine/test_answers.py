"""Answers of any form: those of the service, and all others in one line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.earthengine import answers, task_status
from cropcam.pipeline.earthengine.answers import understood
from cropcam.pipeline.earthengine.error_messages import ServiceError
from cropcam.pipeline.earthengine.manifest import Entry

NAME = "projects/p/operations/X"
METADATA = {
    "state": "RUNNING", "description": "d", "startTime": "2026-01-01T00:00:00Z", "updateTime": "2026-01-01T00:00:01Z", "progress": 0.5,
    "batchEecuUsageSeconds": 2, "destinationUris": ["https://drive.google.com/x"], "attempt": 1, "stages": [{}],
}  # fmt: skip


def test_an_operation_is_taken_as_it_is() -> None:
    found = {"name": NAME, "metadata": METADATA, "done": False, "odd": 1}
    assert answers.operation(found) == found
    assert answers.operations([found, {"name": NAME}]) == [found, {"name": NAME}]


@pytest.mark.parametrize(
    "answer",
    [
        None, [], "x", {}, {"error": {"code": 500}}, {"name": 3}, {"name": NAME, "metadata": []}, {"name": NAME, "error": "x"},
        {"name": NAME, "metadata": {"state": 3}}, {"name": NAME, "metadata": {"progress": "half"}},
        {"name": NAME, "metadata": {"batchEecuUsageSeconds": float("inf")}}, {"name": NAME, "metadata": {"destinationUris": "x"}},
        {"name": NAME, "done": "yes"},
    ],
)  # fmt: skip
def test_what_is_no_operation_is_one_line(answer: Any) -> None:
    with pytest.raises(ServiceError, match=r"^starting x: an answer of another form than Earth Engine's \(.*\); check --api-url") as error:
        understood(lambda: answers.operation(answer), "starting x")()
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 280
    with pytest.raises(ValueError, match="validation error"):
        answers.operations([answer])


@pytest.mark.parametrize("content", ["<html>log in</html>", "", '{"a": ', "[" * 100_000])
def test_an_answer_that_is_no_json_is_one_line(content: str) -> None:
    with pytest.raises(ServiceError, match="another form than Earth Engine's"):
        understood(lambda: json.loads(content), "x")()


def test_errors_of_the_connection_stay_as_they_are() -> None:
    def ask() -> None:
        raise ConnectionError("reset")

    with pytest.raises(ConnectionError, match="reset"):
        understood(ask, "x")()


@pytest.mark.parametrize(("answer", "expected"), [(0, 0), (5000, 5000), (3.0, 3)])
def test_counts(answer: float, expected: int) -> None:
    assert answers.count(answer) == expected


@pytest.mark.parametrize("answer", [None, True, "3", -1, float("inf"), float("nan"), [], {}])
def test_what_is_no_count(answer: Any) -> None:
    with pytest.raises(ValueError, match="is no count"):
        answers.count(answer)


@pytest.mark.parametrize("answer", [None, [], "x", {"a": "30"}, {"a": 0}, {"a": float("nan")}, {"a": None}])
def test_what_has_no_sizes(answer: Any) -> None:
    assert answers.sizes({"a": 30, "b": 0.5}) == {"a": 30, "b": 0.5}
    with pytest.raises(ValueError, match="has no sizes"):
        answers.sizes(answer)


def test_an_address_of_tiles_goes_into_a_page() -> None:
    url = "https://earthengine.googleapis.com/v1/projects/p/maps/a-b/tiles/{z}/{x}/{y}"
    assert answers.tile_url(url) == url
    for other in ('https://x/"><img src=x onerror=alert(1)>', "javascript:alert(1)", "https://x/\n", None, "https://x/' + x"):
        with pytest.raises(ValueError, match="no address of tiles"):
            answers.tile_url(other)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=2), max_leaves=3
)


@given(st.sampled_from(sorted(METADATA)), JSON)
def test_an_operation_that_is_taken_is_understood(field: str, value: Any) -> None:
    try:
        found = answers.operation({"name": NAME, "metadata": METADATA | {field: value}})
    except ValueError:
        return
    entry = Entry("k")
    task_status.update(entry, found)
    assert entry.operation == NAME
