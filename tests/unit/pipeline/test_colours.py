"""Colours: the published difference of two, three ways to see, and the presets' classes apart in each of them."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.colours import ANOTHER, ENOUGH, VISIONS, Palette, ciede2000, contrast, distances, lab
from cropcam.pipeline.legend import BACKGROUND_COLOR, CLASS_COLORS, Legend
from cropcam.pipeline.legend_sources import cdl, packaged
from cropcam.pipeline.study.study import load_study, presets

COLORS = st.tuples(*[st.integers(0, 255)] * 3)
NODATA = (232, 234, 231)
# pairs of CIE Lab and their difference: Sharma, Wu and Dalal 2005, table 1
PUBLISHED = (
    ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
    ((50, -1, 2), (50, 0, 0), 2.3669),
    ((50, 2.49, -0.001), (50, -2.49, 0.0009), 7.1792),
    ((50, 2.49, -0.001), (50, -2.49, 0.0011), 7.2195),
    ((50, 2.5, 0), (50, 0, -2.5), 4.3065),
    ((50, 2.5, 0), (73, 25, -18), 27.1492),
    ((50, 2.5, 0), (50, 3.2592, 0.3350), 1.0000),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
    ((90.8027, -2.0831, 1.4410), (91.1528, -1.6435, 0.0447), 1.4441),
    ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
)


@pytest.mark.parametrize(("one", "other", "expected"), PUBLISHED)
def test_the_published_differences(one: tuple[float, ...], other: tuple[float, ...], expected: float) -> None:
    assert float(ciede2000(one, other)) == pytest.approx(expected, abs=5e-5)
    assert float(ciede2000(other, one)) == pytest.approx(expected, abs=5e-5)


def test_lab_of_known_colours() -> None:
    assert lab([(255, 255, 255), (0, 0, 0), (255, 0, 0)]).round(1).tolist() == [[100, 0, 0], [0, 0, 0], [53.2, 80.1, 67.2]]
    for vision in VISIONS:  # greys stay grey
        np.testing.assert_allclose(lab((128, 128, 128), vision)[1:], 0, atol=0.5)


def test_red_and_green_that_most_people_tell_apart_are_alike_without_red_cones() -> None:
    cover = packaged("worldcover").by_code
    red, green = cover[50].color, cover[10].color
    assert red is not None
    assert green is not None
    assert float(ciede2000(lab(red), lab(green))) > 60
    assert float(distances(red, green)) < 2


@given(COLORS, COLORS)
def test_no_difference_is_above_that_of_most_people(one: tuple[int, int, int], other: tuple[int, int, int]) -> None:
    assert 0 <= float(distances(one, other)) <= float(ciede2000(lab(one), lab(other)))
    assert float(distances(one, one)) == 0


def test_contrast_of_black_on_white_and_of_equal_colours() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.01)
    assert contrast((9, 9, 9), (9, 9, 9)) == 1


def test_a_palette_hands_out_what_is_apart_and_else_the_farthest() -> None:
    palette = Palette([(10, 10, 10), (200, 0, 0), (205, 0, 0)], [(0, 0, 0)])
    assert palette.spare() == (200, 0, 0)  # the first is as good as black
    assert palette.fits((0, 0, 255))
    assert not palette.fits((201, 3, 0))
    palette.add((250, 0, 0))
    assert palette.fits((0, 100, 0), published=True)
    assert not palette.fits((0, 100, 0))
    assert palette.spare() == (10, 10, 10)


@pytest.mark.parametrize("name", presets())
def test_the_classes_of_every_preset_are_apart_also_without_red_or_green_cones(name: str) -> None:
    colors = [item.color for item in load_study(name).legend.classes]
    assert min(float(distances(one, other)) for one, other in combinations([*colors, NODATA], 2)) >= ENOUGH


def test_the_colours_of_named_classes_are_apart_from_each_other() -> None:
    colors = [BACKGROUND_COLOR, *(color for name, color in CLASS_COLORS.items() if name != "crop"), cdl().by_code[1].color, NODATA]
    assert min(float(distances(one, other)) for one, other in combinations(colors, 2)) >= ENOUGH


def test_twelve_classes_of_cdl_are_apart_developed_from_background_too() -> None:
    codes = {name: cdl().named(text) for name, text in {"corn": "Corn", "cotton": "Cotton", "rice": "Rice", "soybean": "Soybeans"}.items()}
    codes |= {"wheat": cdl().named("Winter Wheat"), "alfalfa": cdl().named("Alfalfa"), "forest": (141, 142, 143), "grassland": (176,)}
    codes |= {"developed": (121, 122, 123, 124), "water": (111,), "wetland": (190, 195), "barren": (131,)}
    legend = Legend.from_codes(codes)
    least = min(float(distances(one.color, other.color)) for one, other in combinations(legend.classes, 2))
    assert least >= 10
    by_name = {item.name: item.color for item in legend.classes}
    assert float(distances(by_name["developed"], by_name["background"])) >= ENOUGH


def test_published_colours_stay_unless_two_look_alike_to_everybody() -> None:
    cover = packaged("worldcover")
    legend = Legend.from_codes({"tree": (10,), "town": (50,), "bare": (60,)}, cover)
    tree, town, bare = (item.color for item in legend.classes[1:])
    assert (tree, town) == ((0, 100, 0), (250, 0, 0))
    assert bare != (180, 180, 180)  # background's grey but for 4
    assert float(ciede2000(lab((180, 180, 180)), lab(BACKGROUND_COLOR))) < ANOTHER
