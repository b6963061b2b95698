"""Files that a study names: content in place of names, and one clear line where there is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.study.files import put_in_files, read_legend, read_sensor

SENSOR = 'title = "Mine"\ndtype = "uint8"\nnodata = 0\n[bands]\nred = {}\n[[collections]]\nid = "a/b"\nbands = { red = "b1" }\n'


def test_content_takes_the_place_of_names(tmp_path: Path) -> None:
    (tmp_path / "crops.csv").write_text("code,name\n1,Wheat\n")
    (tmp_path / "mine.toml").write_text(SENSOR)
    (tmp_path / "area.geojson").write_text('{"type": "Polygon", "coordinates": [[[5, 45], [6, 45], [6, 46], [5, 45]]]}')
    values: dict[str, Any] = {"area": {"region": "area.geojson"}, "image": {"sensor": "mine.toml"}, "labels": {"legend": "crops.csv"}}
    assert put_in_files(values, lambda _: tmp_path) == []
    assert values["image"]["sensor"]["title"] == "Mine"
    assert values["labels"]["legend"][0][:2] == [1, "Wheat"]
    assert json.loads(values["area"]["region"])["coordinates"][0][0][0] == [5, 45]


def test_packaged_names_and_wrong_types_stay_for_the_study_to_judge(tmp_path: Path) -> None:
    values: dict[str, Any] = {"image": {"sensor": "sentinel-2"}, "labels": {"legend": 3}, "area": "nowhere", "splits": {"holdout": ""}}
    assert put_in_files(values, lambda _: tmp_path) == []
    assert values == {"image": {"sensor": "sentinel-2"}, "labels": {"legend": 3}, "area": "nowhere", "splits": {"holdout": ""}}


def test_every_file_that_is_not_there_is_a_problem_and_its_name_stays(tmp_path: Path) -> None:
    values: dict[str, Any] = {"area": {"region": "a.geojson"}, "image": {"sensor": "b.toml"}, "labels": {"legend": "c.csv"}}
    found = put_in_files(values, lambda key: tmp_path / key[0])
    assert [problem.key for problem in found] == [("area", "region"), ("image", "sensor"), ("labels", "legend")]
    for problem, name in zip(found, ("area/a.geojson", "image/b.toml", "labels/c.csv"), strict=True):
        assert problem.text.startswith(f"{'.'.join(problem.key)}: {tmp_path / name}: no such file; ")
    assert values == {"area": {"region": "a.geojson"}, "image": {"sensor": "b.toml"}, "labels": {"legend": "c.csv"}}


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"labels\.legend: .*none\.csv: no such file; give a CSV of code, name and color in UTF-8, or one of aafc-aci"
    ):
        read_legend(tmp_path / "none.csv", "labels.legend")
    with pytest.raises(
        ConfigError, match=r"image\.sensor: .*none\.toml: no such file; give the table of a sensor \(TOML, UTF-8\), or one of hls"
    ):
        read_sensor(tmp_path / "none.toml", "image.sensor")
    (tmp_path / "bad.toml").write_text(SENSOR.replace('"uint8"', '"text"'))
    with pytest.raises(ConfigError, match=r"image\.sensor: .*bad\.toml: dtype: "):
        read_sensor(tmp_path / "bad.toml", "image.sensor")
