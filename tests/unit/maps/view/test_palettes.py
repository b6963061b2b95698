"""Colours of values."""

from __future__ import annotations

import numpy as np
import pytest

from cropcam.pipeline.code_table import hex_color
from cropcam.pipeline.maps.quantised import STEPS
from cropcam.pipeline.maps.view import palettes
from support.memory_source import LEGEND


def test_classes_have_the_colours_of_the_legend_and_all_other_values_none() -> None:
    palette = palettes.of_legend(LEGEND)
    assert [tuple(color) for color in palette[: len(LEGEND), :3].tolist()] == [c.color for c in LEGEND.classes]
    assert (palette[: len(LEGEND), 3] == 255).all()
    assert not palette[len(LEGEND) :].any()


@pytest.mark.parametrize("kind", sorted(palettes.RAMPS))
def test_a_ramp_gets_lighter_from_0_to_250_and_ends_there(kind: str) -> None:
    palette = palettes.of_ramp(kind).astype(float)
    luminance = palette[: STEPS + 1, :3] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) > -1.5).all()
    assert luminance[-1] - luminance[0] > 150
    assert (palette[: STEPS + 1, 3] == 255).all()
    assert not palette[STEPS + 1 :].any()


@pytest.mark.parametrize("kind", sorted(palettes.RAMPS))
def test_the_stops_of_a_ramp_are_its_own_colours(kind: str) -> None:
    stops, palette = palettes.ramp_stops(kind), palettes.of_ramp(kind)
    assert stops[0] == hex_color(palette[0, :3])
    assert stops[-1] == hex_color(palette[STEPS, :3])
    assert len(set(stops)) == len(stops)
