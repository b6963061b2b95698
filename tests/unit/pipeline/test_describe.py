"""Studies and stores as JSON values and as text."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cropcam.pipeline.describe import as_text, of_store, of_study
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.patches.build import from_rasters
from cropcam.pipeline.store.patch_store import open_store
from cropcam.pipeline.study.study import load_study, parse_study
from support.builds import build_study, write_inputs
from support.stores import make_store


def test_a_study_has_the_grid_and_the_patches_of_the_contract() -> None:
    facts = of_study("corn-belt-2016")
    assert json.loads(json.dumps(facts)) == facts
    assert (facts["grid"]["width"], facts["grid"]["height"], facts["grid"]["crs"]) == (29_685, 16_697, "EPSG:4326")
    assert facts["patches"] == {"size_px": 50, "columns": 593, "rows": 333, "count": 197_469}
    assert facts["bytes"] == {"image": 29_685 * 16_697 * 14, "labels": 29_685 * 16_697, "store": 197_469 * 2500 * 15}
    assert facts["digest"] == load_study("corn-belt-2016").digest


def test_labels_of_another_size_and_weights_are_told(tmp_path: Path) -> None:
    path, demo = tmp_path / "s.toml", load_study("demo").to_dict()

    def facts(**labels: object) -> dict[str, object]:
        path.write_text(parse_study({**demo, "labels": labels}).to_toml())
        return of_study(str(path))

    assert facts(asset="USDA/NASS/CDL/2016")["resampling"] == {}
    fine = facts(asset="USDA/NASS/CDL/2024", weight="confidence")
    assert fine["resampling"] == {"the commonest of 10 m pixels in each of 30 m": ["labels"]}
    assert "         the commonest of 10 m pixels in each of 30 m: labels" in as_text(fine).splitlines()
    assert facts(asset="X", scale_m=500)["resampling"] == {"the nearest of 500 m pixels in each of 30 m": ["labels"]}
    plain = facts(asset="USDA/NASS/CDL/2024")["bytes"]
    assert isinstance(plain, dict)
    width, height, patches = (load_study("demo").grid.width, load_study("demo").grid.height, load_study("demo").patch_grid)
    assert fine["bytes"] == {
        "image": plain["image"], "labels": 2 * width * height, "store": plain["store"] + patches.count * patches.size_px**2,
    }  # fmt: skip


def test_a_study_as_text_is_a_line_per_fact() -> None:
    assert as_text(of_study("corn-belt-2016")).splitlines() == [
        "study    corn-belt-2016",
        "grid     29,685 x 16,697 px of 0.000269494585 (EPSG:4326), 495.7 M pixels",
        "patches  593 x 333 = 197,469 of 50 x 50 px",
        "bands    SR_B1, SR_B2, SR_B3, SR_B4, SR_B5, SR_B6, SR_B7",
        "classes  background, corn, soybean, forest, grassland",
        "sensor   Landsat Collection 2 Level 2; masked: fill, dilated_cloud, cirrus, cloud, shadow",
        "bytes    image 6.94 GB, labels 0.50 GB, store 7.41 GB before compression",
    ]


def test_a_study_of_another_sensor_tells_how_bands_come_onto_its_grid() -> None:
    assert as_text(of_study("corn-belt-2018-sentinel-2")).splitlines()[5:] == [
        "sensor   Sentinel-2 MSI Level 2A, harmonised; masked: cloud_score",
        "         masked, then the mean of 10 m pixels in each of 30 m: blue, green, red, nir",
        "         masked, then the mean of 20 m pixels in each of 30 m: red_edge1, red_edge2, red_edge3, nir_narrow, swir1, swir2",
        "bytes    image 9.91 GB, labels 0.50 GB, store 10.37 GB before compression",
    ]
    facts = of_study("corn-belt-2017-embedding")
    assert as_text(facts).splitlines()[3] == "bands    A00, A01, ... A63 (64)"
    assert facts["bytes"]["image"] == 29_685 * 16_697 * 4 * 64


def test_a_crs_without_a_code_is_cut_to_its_name() -> None:
    facts = of_study("demo")
    facts["grid"]["crs"] = 'PROJCRS["WGS 84 / UTM zone 16N",BASEGEOGCRS["WGS 84"]]'
    assert "(WGS 84 / UTM zone 16N)" in as_text(facts)


def test_a_store_has_its_counts_shares_and_statistics(tmp_path: Path) -> None:
    info = make_store(tmp_path / "s.zarr", count=30, size_px=12)
    facts = of_store(tmp_path / "s.zarr")
    assert json.loads(json.dumps(facts)) == facts
    store = open_store(tmp_path / "s.zarr")
    labels, split = info.classes.index(store.labels(np.arange(30))), store.split_N
    assert facts["patches"]["kept"] == 30
    assert facts["patches"]["splits"] == {name: (split == i).sum() for i, name in enumerate(("train", "validation", "test"))}
    for index, name in enumerate(info.classes.names):
        shares = (labels == index).mean(axis=(1, 2))
        assert facts["class_share"][name] == pytest.approx(shares.mean(), abs=1e-6)
        assert facts["present_in"][name] == pytest.approx((shares > 0).mean(), abs=1e-6)
    assert "percentiles" not in facts
    text = as_text(facts)
    assert "kept     30: 18 train, 6 validation, 6 test" in text
    for name, share in facts["class_share"].items():
        (line,) = [line for line in text.splitlines() if line.startswith(f"{name} ")]
        assert line.split()[1:] == [f"{share:.1%}", f"{facts['present_in'][name]:.1%}"]
    for band, mean in zip(facts["bands"], facts["statistics"]["mean"], strict=True):
        assert f"{band:<14}{mean:>8.4f}" in text


def test_percentiles_stand_where_the_store_has_histograms(tmp_path: Path) -> None:
    image, labels, _, _ = write_inputs(tmp_path)
    from_rasters(build_study(), image, labels, tmp_path / "s.zarr")
    facts = of_store(tmp_path / "s.zarr")
    assert json.loads(json.dumps(facts)) == facts
    for low, middle, high in facts["percentiles"]:  # reflectance of DN between 7,300 and 30,000
        assert (low, middle, high) == pytest.approx((0.013, 0.313, 0.613), abs=0.01)
    assert facts["values"] == {"dtype": "uint16", "scale": [0.0000275] * 2, "offset": [-0.2] * 2, "nodata": [0.0] * 2}
    text = as_text(facts)
    assert "dropped  7 image, 3 label" in text
    assert text.splitlines()[-1].split()[-3:] == [f"{value:.3f}" for value in facts["percentiles"][-1]]


def test_a_store_without_labels_says_so(tmp_path: Path) -> None:
    image, _, _, _ = write_inputs(tmp_path)
    from_rasters(build_study(), image, [], tmp_path / "s.zarr")
    facts = of_store(tmp_path / "s.zarr")
    assert not {"class_share", "present_in"} & set(facts)
    assert "\nno labels\n" in as_text(facts)


def test_a_folder_without_a_store_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none: no such store"):
        of_store(tmp_path / "none")
