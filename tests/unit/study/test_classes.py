"""What may be wrong with the classes of a study: all of it, class by class."""

from __future__ import annotations

import pytest

from cropcam.pipeline.legend_sources import packaged
from cropcam.pipeline.study.classes import class_problems, colour_problems

CDL = packaged("cdl")


@pytest.mark.parametrize(
    ("classes", "found"),
    [
        ({"corn": (1,), "soy": ("Soybeans",)}, []),
        ({"a b": (1,)}, [("a b", "a class is named by letters, digits, - and _, and begins with a letter")]),
        ({"BackGround": (1,)}, [("BackGround", "background is every labelled code that no other class names; leave it out")]),
        ({"corn": (1,), "Corn": (5,)}, [("Corn", "there is a class corn already; names of classes are compared without case")]),
        ({"corn": ()}, [("corn", "has no label code; give it one, or leave it out")]),
        ({"a": (1,), "b": (1,), "c": (5, 81), "d": (1, 5)}, [("b", "code 1 already belongs to 'a'; a code has one class"), ("c", "code 81 means 'no label' in the legend 'cdl'; leave it out (split a range around it)"), ("d", "code 1 already belongs to 'a'; a code has one class")]),
    ],
)  # fmt: skip
def test_every_wrong_class_is_told(classes: dict[str, tuple[int | str, ...]], found: list[tuple[str, str]]) -> None:
    assert class_problems(classes, CDL) == found


def test_without_a_table_the_names_alone_are_looked_at() -> None:
    assert class_problems({"a": ("nonsense",), "b": (1,), "c": (1,)}, None) == []
    assert [name for name, _ in class_problems({"a": (), "x y": (1,)}, None)] == ["a", "x y"]


def test_every_wrong_colour_is_told() -> None:
    names = ("background", "corn", "soy", "forest")
    assert colour_problems({"corn": "#ffd300", "background": "#000000"}, names) == []
    found = dict(colour_problems({"corn": "#ffd300", "soy": "#FFD300", "forest": "green", "forst": "#000001"}, names))
    assert list(found) == ["soy", "forest", "forst"]
    assert found["soy"] == "#FFD300 is the colour of corn too; give each class its own"
    assert found["forst"] == "the study has no such class; did you mean forest?"
