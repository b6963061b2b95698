from __future__ import annotations

import dataclasses

import pytest
from googleapiclient.errors import HttpError
from hypothesis import given, settings
from hypothesis import strategies as st

from cropcam.pipeline.fetch.media import ChangedError, read_range
from support.cutting_server import Place, served

CONTENT = bytes(range(256)) * 40


def read(place: Place, start: int, end: int) -> bytes:
    found = bytearray(b"." * len(place.content))

    def write(content: bytes, offset: int) -> None:
        found[offset : offset + len(content)] = content

    read_range(place, place.file(), start, end, write)
    assert bytes(found[:start]).strip(b".") == b""
    return bytes(found[start:end])


@settings(max_examples=20, deadline=None)
@given(st.data(), st.booleans())
def test_a_range_comes_as_it_is_whether_or_not_ranges_are_served(data: st.DataObject, ranges: bool) -> None:
    start = data.draw(st.integers(0, len(CONTENT) - 1))
    end = data.draw(st.integers(start + 1, len(CONTENT)))
    with served(Place(CONTENT, ranges=ranges)) as place:
        assert read(place, start, end) == CONTENT[start:end]
        assert place.seen == [f"bytes={start}-{end - 1}"]


def test_a_connection_that_ends_keeps_what_came() -> None:
    came = bytearray()
    with served(Place(CONTENT, [1000])) as place, pytest.raises(ConnectionError, match=r"ended after|IncompleteRead"):
        read_range(place, place.file(), 0, len(CONTENT), lambda content, _: came.extend(content))
    assert bytes(came) == CONTENT[:1000]


def test_an_error_has_its_status() -> None:
    with served(Place(CONTENT)) as place:
        place.status = 503
        with pytest.raises(HttpError, match="503"):
            read(place, 0, 10)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_of_another_size_is_another_file(ranges: bool) -> None:
    with served(Place(CONTENT, ranges=ranges)) as place:
        listed = dataclasses.replace(place.file(), size=len(CONTENT) - 5)
        with pytest.raises(ChangedError, match=r"f\.tif: 10,240 bytes, 10,235 were listed"):
            read_range(place, listed, 0, 100, lambda *_: None)
