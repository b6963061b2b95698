"""What each key takes: every key has words, and an example that a study takes."""

from __future__ import annotations

import tomllib

import pytest

from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.study.forms import FORMS, form_of, sections
from cropcam.pipeline.study.study import Study, load_study, parse_study

KEYS = [f"{name}.{key}" for name, section in sections(Study).items() for key in section.model_fields]


def test_every_key_of_a_study_has_a_form_and_nothing_else_has() -> None:
    assert sorted(FORMS) == sorted([*KEYS, "classes", "colours"])
    assert list(sections(Study)) == ["study", "area", "image", "labels", "patches", "splits"]


@pytest.mark.parametrize("key", FORMS)
def test_the_example_is_one_that_the_key_takes(key: str) -> None:
    """A sensor, a legend or a file may still lack what an example names."""
    values = load_study("demo").to_dict()
    section, _, name = key.partition(".")
    (values[section] if name else values)[name or section] = tomllib.loads(f"value = {FORMS[key].example}")["value"]
    values["image"].pop("collections", None) if key == "image.sensor" else None
    if key not in ("area.region", "splits.holdout", "image.sensor", "labels.legend", "image.score_min"):
        parse_study(values)
        return
    with pytest.raises(ConfigError, match=r"^study: ") as caught:
        parse_study(values)
    assert "does not fit" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (("classes",), "a table of classes"),
        (("classes", "corn"), "a list of codes"),
        (("colours", "corn"), "a colour"),
        (("image", "derived", "ndvi"), "an expression"),
        (("labels", "filter", "season"), "a text or a number"),
        (("area", "bounds"), "four numbers"),
    ],
)
def test_a_key_below_a_table_has_the_form_of_its_items(key: tuple[str, ...], words: str) -> None:
    assert str(form_of(key)).startswith(words)
    assert form_of(("area",)) is None
    assert form_of(("nothing", "at all")) is None
