"""All problems of a study at once: a line each, with place, key and what the key takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.study.problems import MOST_SHOWN, Problem, refusal
from cropcam.pipeline.study.study import load_study, parse_study

WRONG = """[study]
name = "a b"
[area]
bound = [1]
bounds = [
  5,
]
[image]
sensor = "sentinel2"
seasons = [["2016-02-30", "2016-03-01"], ["2016-05-01", "2016-05-01"]]
cloud_cover_max_pct = 101
[labels]
legend = "Worldcovr"
band = { a = 1 }
[classes]
"x y" = [3]
corn = ["Cron"]
CORN = [5]
[patchs]
[splits]
fold = 9
block_patches = [1, 1]
"""


def test_all_problems_of_a_file_come_at_once_in_the_order_of_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(WRONG)
    with pytest.raises(ConfigError) as caught:
        load_study(str(path))
    head, *lines = caught.value.lines
    assert head == f"{path}: 15 problems"
    assert [line.partition(" does not fit")[0].partition("; ")[0] for line in lines] == [
        "line 2: study.name: 'a b'",
        "line 4: unknown key area.bound",
        "line 5: area.bounds: [5]",
        "line 9: image.sensor: no sensor 'sentinel2': neither packaged (hls, landsat, landsat-4-9, satellite-embedding, sentinel-2) nor a TOML file",
        "line 10: image.seasons: [2016-02-30, 2016-03-01]: day is out of range for month",
        "line 10: image.seasons: season [2016-05-01, 2016-05-01) is empty",
        "line 11: image.cloud_cover_max_pct: 101",
        "line 12: labels.asset is missing",
        "line 13: labels.legend: no legend 'Worldcovr': neither packaged (aafc-aci, cdl, nlcd, worldcereal, worldcover) nor a CSV file",
        "line 14: labels.band: {'a': 1}",
        "line 16: classes.x y: a class is named by letters, digits, - and _, and begins with a letter",
        "line 18: classes.CORN: there is a class corn already",
        "line 19: unknown key patchs",
        "line 20: splits.method: blocks of one patch are a random split over neighbours, whose figures flatter",
        "line 21: splits.fold: fold 9 of 5",
    ]
    assert all(len(line) < 200 for line in lines)
    assert "pydantic" not in str(caught.value)
    assert "Input should" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_sections_say_what_they_need() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_study({"patches": 3})
    assert caught.value.lines == (
        "study: 4 problems",
        'the section [study] is missing; it has name = "my-study"',
        "the section [area] is missing; it has bounds = [-94.0, 37.0, -86.0, 41.5]",
        'the section [image] is missing; it has seasons = [["2016-05-01", "2016-10-01"]]',
        "patches: 3 is no section; write [patches] and below it its keys",
    )


def test_at_most_twenty_are_shown_and_the_rest_counted() -> None:
    problems = [Problem(("classes", f"c{n}"), f"classes.c{n}: no") for n in range(27)]
    error = refusal(problems, "x.toml")
    assert len(error.lines) == 1 + MOST_SHOWN + 1
    assert error.lines[0] == "x.toml: 27 problems"
    assert error.lines[-1] == "and 7 more"
    assert refusal(problems[:1], "x.toml").lines == ("x.toml: classes.c0: no",)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"area": {"bounds": ["x" * 5000, 1, 2, 3]}}, "area.bounds"),
        ({"image": {"bands": ["b" * 5000], "sensor": "sentinel-2"}}, "image.bands"),
        ({"labels": {"asset": "a", "legend": "l" * 5000}}, "labels.legend"),
        ({"area": {"crs": "c" * 5000}}, "area.crs"),
        ({"image": {"sensor": "s" * 5000}}, "image.sensor"),
    ],
)
def test_no_value_is_dumped(values: dict[str, Any], line: str) -> None:
    study = load_study("demo").to_dict()
    for section, keys in values.items():
        study[section] = {**study[section], **keys}
        study[section].pop("collections", None)
    with pytest.raises(ConfigError) as caught:
        parse_study(study)
    assert f"{line}: " in str(caught.value)
    assert all(len(each) < 500 for each in caught.value.lines)
