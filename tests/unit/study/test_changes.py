"""KEY=VALUE: any key of a study, any value of TOML, a bare word is a text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.study.changes import as_changes, changed_name, parse_changes
from cropcam.pipeline.study.forms import FORMS
from cropcam.pipeline.study.study import load_study, presets


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("area.scale_m=10", ("area", "scale_m"), 10),
        ("area.bounds=[-94.0, 37, -86, 41.5]", ("area", "bounds"), [-94.0, 37, -86, 41.5]),
        ("labels.asset=USDA/NASS/CDL/2017", ("labels", "asset"), "USDA/NASS/CDL/2017"),
        ("area.crs = EPSG:5070", ("area", "crs"), "EPSG:5070"),
        ('area.crs="EPSG:5070"', ("area", "crs"), "EPSG:5070"),
        ("study.name=2017", ("study", "name"), "2017"),
        ("study.name=2017-01-01", ("study", "name"), "2017-01-01"),
        ("labels.band=2", ("labels", "band"), 2),
        ("image.count=true", ("image", "count"), True),
        ("labels.asset=a=b", ("labels", "asset"), "a=b"),
        ("labels.filter={a = 1}", ("labels", "filter"), {"a": 1}),
        ('classes."corn"=[1, "5-7"]', ("classes", "corn"), [1, "5-7"]),
        ("labels.asset=1\nother = 2", ("labels", "asset"), "1\nother = 2"),
        ("study.name=", ("study", "name"), ""),
    ],
)
def test_a_text_is_a_key_and_a_value(text: str, key: tuple[str, ...], value: object) -> None:
    assert parse_changes([text]) == {key: value}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("area.scale_m", r"^--set 'area\.scale_m': write KEY=VALUE with a key of the study, such as area\.scale_m=10$"),
        ("=5", "^--set '=5': write KEY=VALUE"),
        ("a b=5", "write KEY=VALUE"),
        ("area={}", r"^--set area: is a section; set its keys, such as area\.bounds=\[-94\.0, 37\.0, -86\.0, 41\.5\]$"),
        ("area.bounds=[1,2", r"^--set area\.bounds: \[1,2 is not TOML; inside lists and tables texts need quotes, and the shell needs some around all: --set 'area\.bounds=\[-94\.0, 37\.0, -86\.0, 41\.5\]'$"),
        (f"area.bounds={'[' * 3000}", r"is not TOML; inside lists and tables texts need quotes"),
        ("image.seasons=[[2017-13-01]]", "is not TOML; inside lists and tables texts need quotes"),
    ],
)  # fmt: skip
def test_what_is_no_change_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse_changes([text])
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("name", presets())
def test_every_key_set_to_its_own_value_changes_nothing(name: str) -> None:
    study = load_study(name)
    keys = {f"{section}.{key}": value for section, keys in study.to_dict().items() for key, value in keys.items()}
    texts = [f"{key}={_toml(value)}" for key, value in keys.items() if value is not None]
    assert load_study(name, texts) == study
    assert load_study(name, keys).digest == study.digest
    for text in texts:
        assert load_study(name, [text]) == study


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    return json.dumps(value)


def test_the_last_of_equal_keys_counts_and_days_need_no_quotes() -> None:
    study = load_study("demo", ["study.name=a", "image.seasons=[[2017-05-01, 2017-10-01]]", "study.name=b"])
    assert (study.name, study.image.seasons) == ("b", (("2017-05-01", "2017-10-01"),))
    assert changed_name(["study.name=a", "study.name=b"]) == "b"
    assert changed_name(["area.scale_m=10"]) == ""
    assert as_changes({"study.name": "a"}) == {("study", "name"): "a"}


def test_files_in_changes_are_relative_to_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "codes.csv").write_text("code,name\n1,Corn\n2,Wheat\n")
    study = load_study("demo", ["labels.legend=codes.csv", "classes={corn = ['Corn']}"])
    assert study.legend.names == ("background", "corn")
    with pytest.raises(ConfigError, match=r"^--set: labels\.legend: none\.csv: no such file; give a CSV"):
        load_study("demo", ["labels.legend=none.csv"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("area.bound=5", "^--set: unknown key area.bound; did you mean bounds\\?$"),
        ("name=x", "^--set: unknown key name; did you mean study.name\\?$"),
        ("year=2017", "^--set: unknown key year; known here: study, area, image, labels, classes, colours, patches, splits, extends$"),
        ("area.bounds=5", "^--set: area.bounds: 5 does not fit; it takes four numbers in degrees: west, south, east, north, such as "),
        ("image.seasons=2017", "^--set: image.seasons: 2017 does not fit; it takes a list of seasons, each the first day and the day after"),
        ("splits.method=block", "^--set: splits.method: 'block' does not fit; it takes one of \"blocks\", \"folds\" and \"random\""),
        ("image.sensor=Sentinel2", "^--set: image.sensor: no sensor 'Sentinel2': .*; did you mean sentinel-2\\?$"),
        ("classes.corn=Cron", "^--set: classes.corn: 'Cron' does not fit; it takes a list of codes, ranges and names of the legend"),
        ("classes.corn=['Cron']", "^--set: classes.corn: 'Cron' is no code, range or name of the legend 'cdl'; did you mean 'Corn'\\?"),
        ("study.extends=demo", "^--set: unknown key study.extends; known here: name$"),
    ],
)  # fmt: skip
def test_a_wrong_change_is_told_with_what_the_key_takes(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_study("demo", [text])


def test_examples_of_forms_are_read() -> None:
    for key, form in FORMS.items():
        parse_changes([f"{key}={form.example}"])


VALUES = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["[", "[[]]", "{}", "{a = 1}", "nan", "inf", "-1", "1e400", "0x1F", "true", "07:00:00", "2016-01-01T00:00:00Z", "''", "[1, 'a', {}]", '"\\ud800"']),
)  # fmt: skip


@given(
    st.one_of(
        st.sampled_from([*FORMS, "classes.corn", "image.derived.a", "labels.filter.b", "colours.corn", "labels.legend.7"]),
        st.text(max_size=8),
    ),
    VALUES,
)
def test_any_key_and_value_is_a_study_or_a_message(key: str, value: str) -> None:
    try:
        study = load_study("demo", [f"{key}={value}"])
    except ConfigError as error:
        lines = error.lines
    else:
        lines = study.to_toml().splitlines()[:1]
    assert all(0 < len(line) < 400 for line in lines)
