"""Request ids; the rest of a submission is tested through exports."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.earthengine.submission import request_id

BODIES = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=3), max_size=4)


@given(BODIES, BODIES)
def test_ids_are_equal_for_equal_bodies_alone_and_of_the_service_s_alphabet(first: dict[str, object], second: dict[str, object]) -> None:
    assert re.fullmatch(r"[A-Za-z0-9-]{1,60}", request_id(first))
    assert (request_id(first) == request_id(second)) == (first == second)
    assert request_id(dict(reversed(first.items()))) == request_id(first)
