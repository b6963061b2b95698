"""Partial responses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.emulator.field_masks import Mask, MaskError, check_mask, masked, parse_mask, resource_fields

VALUE = {"kind": "k", "files": [{"id": "1", "name": "a", "owner": {"me": True, "mail": "m"}}, {"id": "2"}], "next": "t"}


@pytest.mark.parametrize(
    ("text", "mask", "part"),
    [
        ("kind", {"kind": {}}, {"kind": "k"}),
        ("*", {"*": {}}, VALUE),
        ("next,files(id)", {"next": {}, "files": {"id": {}}}, {"next": "t", "files": [{"id": "1"}, {"id": "2"}]}),
        ("files/id", {"files": {"id": {}}}, {"files": [{"id": "1"}, {"id": "2"}]}),
        ("files/id, files/name", {"files": {"id": {}, "name": {}}}, {"files": [{"id": "1", "name": "a"}, {"id": "2"}]}),
        (
            "files( name , owner/me )",
            {"files": {"name": {}, "owner": {"me": {}}}},
            {"files": [{"name": "a", "owner": {"me": True}}, {}]},
        ),
        ("files(owner(mail))", {"files": {"owner": {"mail": {}}}}, {"files": [{"owner": {"mail": "m"}}, {}]}),
        ("files(*)", {"files": {"*": {}}}, {"files": VALUE["files"]}),
        ("absent", {"absent": {}}, {}),
    ],
)
def test_a_mask_names_the_parts_of_a_response(text: str, mask: Mask, part: object) -> None:
    assert parse_mask(text) == mask
    assert masked(VALUE, parse_mask(text)) == part


@pytest.mark.parametrize("text", ["", " ", ",", "a,", "a(", "a(b", "a()", "a)", "a//b", "(a)", "a b", "a;b", "a(b))"])
def test_a_malformed_mask_is_refused(text: str) -> None:
    with pytest.raises(MaskError, match=r"\S"):
        parse_mask(text)


MASKS = st.recursive(
    st.just({}), lambda inner: st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, min_size=1, max_size=3), max_leaves=8
)


@given(MASKS.filter(bool))
def test_a_written_mask_is_parsed_again(mask: Mask) -> None:
    def write(part: Mask) -> str:
        return ",".join(f"{name}({write(inner)})" if inner else name for name, inner in part.items())

    assert parse_mask(write(mask)) == mask


def test_names_that_a_resource_lacks_are_refused() -> None:
    known = resource_fields("drive.v3", "File")
    assert {"id", "name", "md5Checksum", "size", "trashed"} <= known
    assert {"name", "generation", "crc32c", "md5Hash"} <= resource_fields("storage.v1", "Object")
    check_mask({"id": {}, "*": {}}, known)
    with pytest.raises(MaskError, match=r"^md5$"):
        check_mask({"id": {}, "md5": {}}, known)
