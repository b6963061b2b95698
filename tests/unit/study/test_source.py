"""A study from what it extends and from changes: merged, each key with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.study.source import CHANGED, merge, read_source
from cropcam.pipeline.study.study import load_study, presets

LEAVES = st.one_of(st.integers(0, 9), st.lists(st.integers(0, 9), max_size=2))
TABLES = st.dictionaries(st.sampled_from("abc"), st.dictionaries(st.sampled_from("xyz"), LEAVES, max_size=3), max_size=3)  # as sections are


@given(TABLES, TABLES, TABLES)
def test_a_chain_merges_in_any_order_of_steps(base: dict[str, Any], middle: dict[str, Any], top: dict[str, Any]) -> None:
    assert merge(merge(base, middle), top) == merge(base, merge(middle, top))
    assert merge(base, {}) == merge({}, base) == merge(base, base) == base


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / f"{name}.toml").write_text(text)


def test_a_preset_is_extended_key_by_key_and_lists_are_replaced(tmp_path: Path) -> None:
    write(tmp_path, mine='extends = "corn-belt-2016"\n[study]\nname = "mine"\n[image]\nseasons = [["2017-01-01", "2018-01-01"]]\n')
    mine, base = load_study(str(tmp_path / "mine.toml")), load_study("corn-belt-2016")
    expected = base.to_dict()
    expected["study"]["name"], expected["image"]["seasons"] = "mine", [["2017-01-01", "2018-01-01"]]
    assert mine.to_dict() == expected


def test_files_extend_files_of_other_folders_and_names_in_them_are_relative_to_where_they_stand(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "area.geojson").write_text(
        '{"type": "Polygon", "coordinates": [[[-90, 41], [-89.9, 41], [-89.9, 41.1], [-90, 41]]]}'
    )
    write(tmp_path / "base", base='extends = "demo"\n[area]\nregion = "area.geojson"\n[classes]\ncorn = []\nwheat = [24]\n')
    write(tmp_path, middle='extends = "base/base.toml"\n[patches]\nsize_px = 20\n', top='extends = "middle.toml"\n[study]\nname = "top"\n')
    top = load_study(str(tmp_path / "top.toml"))
    assert (top.name, top.patches.size_px, top.splits.block_patches) == ("top", 20, (3, 3))
    assert "-89.9" in top.area.region
    assert list(top.classes) == ["soybean", "forest", "grassland", "wheat"]  # corn = [] leaves it out
    source = read_source(str(tmp_path / "top.toml"))
    assert source.place(("patches", "size_px")) == (str(tmp_path / "middle.toml"), 3)
    assert source.place(("area", "region")) == (str(tmp_path / "base" / "base.toml"), 3)
    assert source.place(("labels", "zzz"))[0] == "demo"
    assert source.place(("nowhere",)) == (str(tmp_path / "top.toml"), 0)


def test_a_problem_is_told_with_the_file_in_which_its_key_stands(tmp_path: Path) -> None:
    write(tmp_path, base='extends = "demo"\n\n[area]\nscale_m = "x"\n', top='extends = "base.toml"\n[patches]\nsise_px = 20\n')
    with pytest.raises(ConfigError) as caught:
        load_study(str(tmp_path / "top.toml"), ["splits.folds=1"])
    assert caught.value.lines == (
        f"{tmp_path}/top.toml: 3 problems",
        "line 3: unknown key patches.sise_px; did you mean size_px?",
        "--set: splits.folds: 1 does not fit; it takes a whole number from 3, such as 5",
        f"{tmp_path}/base.toml, line 4: area.scale_m: 'x' does not fit; it takes a pixel size in metres, such as 30.0",
    )


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"a": 'extends = "b.toml"', "b": 'extends = "c.toml"', "c": 'extends = "b.toml"'}, r"^(.*)b\.toml, which extends \1c\.toml, which extends \1b\.toml: a circle; leave out one extends$"),
        ({"a": 'extends = "a.toml"'}, r"^(.*)a\.toml, which extends \1a\.toml: a circle; leave out one extends$"),
        ({"a": '\nextends = "corn-belt-2061"'}, r"a\.toml, line 2: extends: no study 'corn-belt-2061': neither the TOML file .*/corn-belt-2061 nor a preset \(corn-belt-2016, .*\); did you mean corn-belt-201\d\?$"),
        ({"a": "extends = 5"}, r"a\.toml, line 1: extends: '5' is no study; name a preset or a TOML file, in quotes$"),
        ({"a": 'extends = ""'}, r"a\.toml, line 1: extends: '' is no study; name a preset"),
        ({"a": 'extends = "b.toml"', "b": "x = ["}, r"b\.toml, line 1, column 6: not TOML"),
    ],
)  # fmt: skip
def test_what_cannot_be_extended(tmp_path: Path, texts: dict[str, str], message: str) -> None:
    write(tmp_path, **texts)
    with pytest.raises(ConfigError, match=message):
        read_source(str(tmp_path / "a.toml"))


def test_a_link_that_closes_a_circle_is_seen(tmp_path: Path) -> None:
    write(tmp_path, a='extends = "link.toml"')
    (tmp_path / "link.toml").symlink_to("a.toml")
    with pytest.raises(ConfigError, match=r"a\.toml, which extends .*link\.toml: a circle"):
        read_source(str(tmp_path / "a.toml"))


def test_changes_count_most_and_replace_tables() -> None:
    source = read_source("corn-belt-2016", {("classes",): {"wheat": [24]}, ("area", "scale_m"): 10})
    assert source.merged()["classes"] == {"wheat": [24]}
    assert source.place(("area", "scale_m")) == (CHANGED, 0)
    assert source.place(("area", "bounds"))[0] == "corn-belt-2016"
    with pytest.raises(ConfigError, match=r"^--set labels\.asset\.year: asset is 'USDA/NASS/CDL/2016', no table; set it whole$"):
        read_source("demo", {("labels", "asset", "year"): 2017}).merged()


def test_every_preset_is_one_layer() -> None:
    assert all(len(read_source(name).layers) == 1 for name in presets())
