from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cropcam.model.inference.wall_to_wall import fitting_block


@given(st.integers(1, 5000), st.integers(1, 100))
def test_a_fitting_block_lies_on_the_lattice_and_near_what_was_asked(block_px: int, stride_px: int) -> None:
    fitting = fitting_block(block_px, stride_px)
    assert fitting % stride_px == 0
    assert fitting <= max(1.5 * block_px, block_px + stride_px)
    assert fitting >= 0.6 * block_px
