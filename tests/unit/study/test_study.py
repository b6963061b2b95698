"""The study file: presets are the contract's, every key is validated, nothing is ignored."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest

from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.study.study import Study, differences, load_study, parse_study, presets

MINIMAL = """
[study]
name = "mine"
[area]
bounds = [-90.2, 40.8, -89.8, 41.2]
[image]
seasons = [["2016-05-01", "2016-10-01"]]
[labels]
asset = "USDA/NASS/CDL/2016"
"""


def changed(key: str, value: Any, remove: bool = False) -> dict[str, Any]:
    """The minimal study with one dotted key set (or removed)."""
    values = tomllib.loads(MINIMAL)
    section, _, name = key.partition(".")
    if not name:
        values[section] = value
    elif remove:
        del values[section][name]
    else:
        values.setdefault(section, {})[name] = value
    return values


def test_the_presets_of_the_design() -> None:
    landsat = {"corn-belt-2016", "corn-belt-2016-albers", "corn-belt-2017", "demo", "demo-seasons"}
    assert set(presets()) == {*landsat, "corn-belt-2017-embedding", "corn-belt-2018-sentinel-2"}
    for name in presets():
        assert load_study(name).name == name


def test_a_minimal_file_has_the_designs_defaults(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(MINIMAL)
    study = load_study(str(path))
    assert study.area.crs == "EPSG:4326"
    assert study.area.scale_m == 30.0
    assert study.image.collections == ("LANDSAT/LC08/C02/T1_L2",)
    assert study.image.layers == ("SR_B1", "SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B6", "SR_B7")
    assert study.image.mask == ("fill", "dilated_cloud", "cirrus", "cloud", "shadow")
    assert study.legend.names == ("background", "corn", "soybean", "forest", "grassland")
    assert (study.patches.size_px, study.patches.valid_min_share) == (50, 1.0)
    assert (study.splits.block_patches, study.splits.fractions) == ((5, 5), (0.7, 0.1, 0.2))


@pytest.mark.parametrize("name", presets())
def test_toml_out_and_in_is_the_same_study(name: str) -> None:
    study = load_study(name)
    again = parse_study(tomllib.loads(study.to_toml()))
    assert again == study
    assert again.digest == study.digest
    assert parse_study(study.to_dict()) == study


def test_an_epsg_code_in_lower_case_is_the_same_grid() -> None:
    study = parse_study(changed("area.crs", "epsg:5070"))
    assert study.area.crs == "EPSG:5070"
    assert study.grid == parse_study(changed("area.crs", "EPSG:5070")).grid


def test_seasons_stack_bands() -> None:
    assert load_study("demo-seasons").image.layers[6:9] == ("1_SR_B7", "2_SR_B1", "2_SR_B2")


def test_class_order_is_part_of_the_study() -> None:
    one = parse_study(changed("classes", {"corn": [1], "soybean": [5]}))
    two = parse_study(changed("classes", {"soybean": [5], "corn": [1]}))
    assert one.digest != two.digest
    assert differences(one.to_dict(), two.to_dict()) == ["classes: order ['corn', 'soybean'] against ['soybean', 'corn']"]


def test_differences_name_the_field() -> None:
    one, two = load_study("corn-belt-2016"), load_study("corn-belt-2016-albers")
    assert differences(one.to_dict(), two.to_dict()) == [
        "area.crs: 'EPSG:4326' against 'EPSG:5070'",
        "study.name: 'corn-belt-2016' against 'corn-belt-2016-albers'",
    ]


BAD: list[tuple[dict[str, Any], str]] = [
    (changed("area.bound", [0]), "unknown key area.bound; did you mean bounds?"),
    (changed("patchs", {}), "unknown key patchs; did you mean patches?"),
    (changed("area.zzz", 1), "unknown key area.zzz; known here: bounds, region, crs, scale_m"),
    (changed("study.name", None, remove=True), "study.name is missing"),
    (changed("study.name", "a b"), "study.name: "),
    (changed("area.bounds", [-86.0, 37.0, -94.0, 41.5]), "west -86.0 is not below east -94.0"),
    (changed("area.bounds", [-94.0, 41.5, -86.0, 37.0]), "south 41.5 is not below north 37.0"),
    (changed("area.bounds", [37.0, -94.0, 41.5, -86.0]), "are not degrees"),
    (changed("area.bounds", [1.0, 2.0, 3.0]), "area.bounds"),
    (changed("area.bounds", [float("nan"), 2.0, 3.0, 4.0]), "area.bounds"),
    (changed("area.crs", "EPSG:99999"), "area.crs: 'EPSG:99999' is not a coordinate reference system"),
    (changed("area.scale_m", 0), "area.scale_m: 0 is no pixel size in metres; it must lie between 0.001 and 1,000,000"),
    (changed("area.scale_m", 5e-324), "area.scale_m: 4.94066e-324 is no pixel size"),
    (changed("area.scale_m", 1e300), "area.scale_m: 1e+300 is no pixel size"),
    (changed("area.region", '{"type":"Point"}'), "area.region: the GeoJSON holds no polygon"),
    (changed("area.region", "nonsense"), "area.region: 'nonsense' is not GeoJSON with polygons"),
    (
        changed("area.region", '{"type":"Polygon","coordinates":[[[41,-94],[41,-93],[42,-93],[41,-94]]]}'),
        "area.region: the GeoJSON: coordinates are not degrees",
    ),
    (
        changed("splits.holdout", '{"type":"Polygon","coordinates":[[[5e5,0],[6e5,0],[6e5,1],[5e5,0]]]}'),
        "splits.holdout: the GeoJSON: coordinates are not degrees",
    ),
    (changed("classes", {"a b": [1]}), "a class is named by letters"),
    (changed("image.seasons", []), "image.seasons"),
    (changed("image.seasons", [["2016-02-30", "2016-05-01"]]), "day is out of range"),
    (changed("image.seasons", [["2016-05-01", "2016-05-01"]]), "is empty"),
    (changed("image.mask", ["rain"]), "image.mask"),
    (changed("image.bands", ["SR_B1", "SR_B1"]), "image.bands: 'SR_B1' is named twice; name each once"),
    (changed("image.cloud_cover_max_pct", 101), "image.cloud_cover_max_pct"),
    (changed("labels.presence_min_share", 1.0), "labels.presence_min_share"),
    (changed("classes", {}), "classes"),
    (changed("classes", {"background": [3]}), "classes.background: background is every labelled code that no other class names"),
    (changed("classes", {"corn": []}), "classes.corn: has no label code"),
    (changed("classes", {"corn": [1], "maize": [1]}), "already belongs to 'corn'"),
    (changed("classes", {"corn": ["x"]}), "classes.corn: 'x' is no code, range or name of the legend 'cdl'; did you mean"),
    (changed("classes", {"corn": ["Cron"]}), "classes.corn: 'Cron' is no code, range or name of the legend 'cdl'; did you mean 'Corn'?"),
    (changed("classes", {"corn": [1], "maize": ["CORN"]}), "classes.maize: code 1 already belongs to 'corn'"),
    (changed("classes", {"cloud": ["Clouds / no data"]}), "classes.cloud: code 81 means 'no label' in the legend 'cdl'"),
    (changed("classes", {"corn": [300]}), "classes.corn: 300 is outside the codes 0..255 of the legend 'cdl'"),
    (
        changed("labels.legend", "worldcovr"),
        "labels.legend: no legend 'worldcovr': neither packaged (aafc-aci, cdl, nlcd, worldcereal, worldcover) nor a CSV file; did you mean worldcover?",
    ),
    (
        changed("labels.legend", "worldcover"),
        "classes: are missing; without them a study has those of CDL, not of its own legend; write a table of classes",
    ),
    (changed("labels.legend", {"1": "A", "01": "B"}), "labels.legend: code 1 is there twice"),
    (changed("labels.legend", [[1]]), "labels.legend: [1] is no row of a legend"),
    (changed("labels.band", 0), "labels.band: 0: bands are counted from 1"),
    (changed("labels.nodata", "none"), "labels.nodata"),
    (changed("labels.legnd", "cdl"), "unknown key labels.legnd; did you mean legend?"),
    (changed("patches.size_px", 4), "patches.size_px"),
    (changed("patches.valid_min_share", 0.0), "patches.valid_min_share"),
    (changed("splits.block_patches", [0, 5]), "splits.block_patches"),
    (changed("splits.fractions", [0.7, 0.1, 0.1]), "add up to 1"),
    (changed("splits.fractions", [0.9, 0.0, 0.1]), "three shares above 0"),
]


@pytest.mark.parametrize(("values", "message"), BAD)
def test_bad_studies_get_one_clear_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_study(values, source="mine.toml")
    assert str(caught.value).startswith("mine.toml: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("section", "key"), [("area", "region"), ("splits", "holdout")])
def test_a_file_of_polygons_is_read_with_the_study_and_part_of_its_digest(tmp_path: Path, section: str, key: str) -> None:
    path, polygons = tmp_path / "mine.toml", tmp_path / "polygons.geojson"
    text = MINIMAL if f"[{section}]" in MINIMAL else f"{MINIMAL}\n[{section}]\n"
    path.write_text(text.replace(f"[{section}]", f'[{section}]\n{key} = "polygons.geojson"'))
    with pytest.raises(ConfigError, match=rf"mine\.toml, line (5|12): {section}\.{key}: .*polygons\.geojson: no such file; name a GeoJSON"):
        load_study(str(path))
    polygons.write_text("not GeoJSON")
    with pytest.raises(
        ConfigError, match=rf"mine\.toml, line (5|12): {section}\.{key}: .*polygons\.geojson, line 1, column 1: not JSON: expecting value"
    ):
        load_study(str(path))
    polygons.write_text('{"type": "Polygon", "coordinates": [[[-90, 41, 7], [-89.9, 41], [-89.9, 41.1], [-90, 41]]]}')
    first = load_study(str(path))
    assert json.loads(first.to_dict()[section][key])["coordinates"] == [[[[-90, 41], [-89.9, 41], [-89.9, 41.1], [-90, 41]]]]
    assert parse_study(tomllib.loads(first.to_toml())) == first
    polygons.write_text(polygons.read_text().replace("41.1", "41.2"))
    assert load_study(str(path)).digest != first.digest


def test_the_papers_rectangles_come_with_its_study() -> None:
    assert load_study("corn-belt-2017").splits.block_patches == (74, 41)  # columns, rows: about eight by eight blocks


def test_files_that_are_no_study(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no study 'corn-belt-2106'.*did you mean corn-belt-2016"):
        load_study("corn-belt-2106")
    broken = tmp_path / "broken.toml"
    broken.write_text("[study\n")
    with pytest.raises(ConfigError, match=r"broken\.toml, line 1, column 7: not TOML"):
        load_study(str(broken))
    broken.write_bytes(b'[study]\rname = "N\xf6rd"')
    with pytest.raises(ConfigError, match=r"broken\.toml, line 2, column 10: byte 0xf6 is not UTF-8; save a TOML study file as UTF-8$"):
        load_study(str(broken))


def test_the_studys_keys_are_the_contracts() -> None:
    sections = {name: (get_args(field.annotation) or (field.annotation,))[0] for name, field in Study.model_fields.items()}
    assert {name: list(section.model_fields) for name, section in sections.items() if hasattr(section, "model_fields")} == {
        "study": ["name"],
        "area": ["bounds", "region", "crs", "scale_m"],
        "image": ["sensor", "collections", "bands", "seasons", "mask", "score_min", "derived", "cloud_cover_max_pct", "count"],
        "labels": [
            "asset",
            "confidence_min_pct",
            "presence_min_share",
            "legend",
            "band",
            "nodata",
            "filter",
            "dates",
            "mosaic",
            "scale_m",
            "weight",
        ],
        "patches": ["size_px", "valid_min_share"],
        "splits": ["block_patches", "fractions", "gap_patches", "holdout", "method", "folds", "fold"],
    }


def test_the_presets_keep_the_digests_that_they_had_before_legends() -> None:
    old = [name for name in presets() if load_study(name).image.sensor == "landsat"]
    assert {name: load_study(name).digest for name in old} == {
        "corn-belt-2016": "61efe671a56dc18c8f85b38dc524145418d61058a656c817dd617cfde2a3d622",
        "corn-belt-2016-albers": "9e6512edad831445855aa722bf702254f54dbd6f2e51d6c396f7e749a810364e",
        "corn-belt-2017": "52304777d6c6fe11dafa875aadd4fe5edd4d51c934610de2cd0895ffd9e648e5",
        "demo": "6409138f95f147e01d4ccdc1c5a5acb5abe76229fd08ece67dd3183e2883b157",
        "demo-seasons": "27af377db959533dcfb421799483a388a4fe99b572d39b6aed8bff988c156052",
    }
    assert parse_study(changed("labels.legend", "cdl")).digest == parse_study(tomllib.loads(MINIMAL)).digest


COVER = MINIMAL.replace('"USDA/NASS/CDL/2016"', '"ESA/WorldCover/v200/2021"')
CLASSES = '[classes]\ntrees = ["Tree cover"]\ncrop = ["cropland", 30]\n'


def test_classes_by_name_of_a_packaged_legend(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'{COVER}legend = "worldcover"\nband = "Map"\nnodata = 80\n{CLASSES}')
    study = load_study(str(path))
    assert study.labels_for("this").nodata == (80,)
    assert [item.codes for item in study.legend.classes] == [(), (10,), (40, 30)]
    assert study.table.unlabelled == (0, 80)
    assert study.to_dict()["labels"]["legend"] == "worldcover"
    assert parse_study(tomllib.loads(study.to_toml())) == parse_study(study.to_dict()) == study
    assert study.digest != parse_study({**study.to_dict(), "labels": {**study.to_dict()["labels"], "nodata": []}}).digest


def test_a_legend_file_and_a_table_of_one_content_are_one_study(tmp_path: Path) -> None:
    path, legend = tmp_path / "mine.toml", tmp_path / "codes.csv"
    path.write_text(f'{COVER}legend = "codes.csv"\n{CLASSES}')
    with pytest.raises(ConfigError, match=r"mine\.toml, line 10: labels\.legend: .*codes\.csv: no such file; give a CSV of code"):
        load_study(str(path))
    legend.write_text("code,name,color\n10,Tree cover,#006400\n30,Grassland,\n400,Cropland,\n10,Again,\n")
    with pytest.raises(ConfigError, match=r"mine\.toml, line 10: labels\.legend: .*codes\.csv, line 5: code 10 is there twice"):
        load_study(str(path))
    legend.write_bytes(b"\xff\xff")
    with pytest.raises(ConfigError, match=r"codes\.csv, line 1, column 1: byte 0xff is not UTF-8; give a CSV"):
        load_study(str(path))
    legend.write_text("code,name,color\n10,Tree cover,#006400\n30,Grassland,\n400,Cropland,\n")
    study = load_study(str(path))
    assert study.legend.classes[2].codes == (400, 30)
    assert study.table.dtype == "uint16"
    path.write_text(f'{COVER}[labels.legend]\n400 = "Cropland"\n10 = ["Tree cover", "#006400"]\n30 = "Grassland"\n{CLASSES}')
    assert load_study(str(path)) == study
    assert parse_study(tomllib.loads(study.to_toml())) == study
    legend.write_text(legend.read_text().replace("Grassland", "Grass"))
    path.write_text(f'{COVER}legend = "codes.csv"\n{CLASSES}')
    assert load_study(str(path)).digest != study.digest


def test_a_study_without_labels(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(MINIMAL.partition("[labels]")[0])
    study = load_study(str(path))
    assert study.labels is None
    assert "labels" not in study.to_dict()
    assert parse_study(tomllib.loads(study.to_toml())) == study
    assert study.legend.names == ("background", "corn", "soybean", "forest", "grassland")
    with pytest.raises(ConfigError, match=r"^simulate needs labels, and the study mine has none; add \[labels\]"):
        study.labels_for("simulate")
    assert "labels.asset: None against 'USDA/NASS/CDL/2016'" in differences(study.to_dict(), parse_study(tomllib.loads(MINIMAL)).to_dict())


def test_colours_of_classes_are_part_of_a_study_that_has_any(tmp_path: Path) -> None:
    plain, coloured = (parse_study(tomllib.loads(MINIMAL + more)) for more in ("", '[colours]\nforest = "#112233"\n'))
    assert "colours" not in plain.to_dict()
    assert coloured.legend.classes[3].color_hex == "#112233"
    (tmp_path / "again.toml").write_text(coloured.to_toml())
    assert load_study(str(tmp_path / "again.toml")) == coloured
    assert differences(plain.to_dict(), coloured.to_dict()) == ["colours.forest: None against '#112233'"]
    with pytest.raises(ConfigError, match=r"colours\.forrest: the study has no such class; did you mean forest\?$"):
        parse_study(changed("colours", {"forrest": "#112233"}))


def test_a_long_value_is_cut_in_a_message() -> None:
    legend = {str(code): f"name {code}" for code in range(1, 300)}
    one, two = (parse_study({**changed("labels.legend", table), "classes": {"a": [1]}}) for table in (legend, {"1": "x"}))
    assert all(len(line) < 400 for line in differences(one.to_dict(), two.to_dict()))
