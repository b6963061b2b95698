"""Names of maps and thumbnails, kept until their tiles are requested."""

from __future__ import annotations

import pytest

from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.map_ids import MapIds, picture_format


def test_the_same_request_has_the_same_name() -> None:
    pictures = MapIds()
    first = pictures.keep("projects/p/maps", {"a": 1, "b": 2})
    assert first.startswith("projects/p/maps/")
    assert pictures.keep("projects/p/maps", {"b": 2, "a": 1}) == first
    assert pictures.keep("projects/p/maps", {"a": 1, "b": 3}) != first
    assert pictures.find(first) == {"a": 1, "b": 2}


def test_only_the_last_256_requests_are_kept() -> None:
    pictures = MapIds()
    names = [pictures.keep("projects/p/maps", {"number": number}) for number in range(256)]
    pictures.keep("projects/p/maps", {"number": 0})  # now the youngest
    pictures.keep("projects/p/maps", {"number": 256})
    assert pictures.find(names[0]) == {"number": 0}
    with pytest.raises(EngineError, match="was not found: ask for it again") as refused:
        pictures.find(names[1])
    assert refused.value.status == "NOT_FOUND"
    assert pictures.find(names[2]) == {"number": 2}


@pytest.mark.parametrize(
    ("body", "expected"), [({"fileFormat": "PNG"}, "PNG"), ({"fileFormat": "JPEG"}, "JPEG"), ({"fileFormat": "NPY"}, "AUTO_JPEG_PNG"), ({}, "AUTO_JPEG_PNG")]
)  # fmt: skip
def test_other_formats_than_png_and_jpeg_are_chosen_automatically(body: dict[str, str], expected: str) -> None:
    assert picture_format(body) == expected
