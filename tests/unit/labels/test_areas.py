from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cropcam.model.data.dataset import read_labels
from cropcam.model.labels.areas import read_areas
from cropcam.model.labels.weak_labels import LabelSpec
from cropcam.model.runs.checkpoint import LAST
from cropcam.model.runs.config import load_config
from cropcam.model.segmentation.methods import SEGMENT
from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.runtime.hashing import sha256
from cropcam.pipeline.store.patch_store import open_store
from cropcam.pipeline.store.schema import StoreInfo
from support.runs import train
from support.store_parts import all_labels, blind, replace_values
from support.stores import make_store
from support.vectors import pixel_box, write_vectors

AREAS = {"corn": 30, "soybean": 20.0, "forest": 0, "grassland": 10}


def box(info: StoreInfo, first: float, last: float) -> dict[str, Any]:
    """The polygon, in degrees, of patches `first` up to `last` of the first row of the patch grid."""
    a, _, c, _, e, f = info.transform
    x = [c + a * info.patch_size_px * col for col in (first, last, last, first, first)]
    y = [f + e * info.patch_size_px * row for row in (0, 0, 1, 1, 0)]
    lon, lat = transform_points(info.crs, "EPSG:4326", x, y)
    return {"type": "Polygon", "coordinates": [np.stack([lon, lat], axis=1).tolist()]}


def collection(*features: tuple[dict[str, Any] | None, dict[str, Any]]) -> str:
    return json.dumps(
        {
            "type": "FeatureCollection",
            "features": [{"type": "Feature", "geometry": geometry, "properties": properties} for geometry, properties in features],
        }
    )


def written(path: Path, text: str) -> str:
    path.write_text(text, "utf-8")
    return str(path)


def halves(path: Path, info: StoreInfo) -> str:
    """Two counties: patches 0 to 13 and 14 to 27 of the 30; the last two lie in none."""
    return written(
        path,
        collection(
            (box(info, 0, 14), {"name": "west", **AREAS, "background": 40}), (box(info, 14, 28), {"name": "east", **AREAS, "total": 120})
        ),
    )


def test_patches_get_the_shares_of_the_polygon_their_centre_lies_in(store: Path, info: StoreInfo, tmp_path: Path) -> None:
    opened = blind(store)
    assert (opened.row_N == 0).all()
    assert opened.col_N.tolist() == list(range(30)), "the fixture lies in one row"
    labels = read_labels(opened, np.arange(30), LabelSpec(labels="shares", areas=halves(tmp_path / "a.geojson", info)), info.classes)
    assert labels.image_NK is not None
    assert labels.bag_N is not None
    assert labels.pixel_NHW is None
    np.testing.assert_allclose(labels.image_NK[:14], np.tile([0.4, 0.3, 0.2, 0, 0.1], (14, 1)), rtol=1e-6)
    np.testing.assert_allclose(labels.image_NK[14:28], np.tile([0.5, 0.25, 1 / 6, 0, 1 / 12], (14, 1)), rtol=1e-6)
    assert np.isnan(labels.image_NK[28:]).all()
    assert labels.bag_N.tolist()[:28] == [0] * 14 + [1] * 14
    assert len(set(labels.bag_N.tolist())) == 4
    assert labels.n_unmatched == 2


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"corn": 1, "soybean": 1, "background": 3}, r"feature 1: no area of forest, grassland; every class but background"),
        (AREAS, r"feature 1: neither background nor total"),
        ({**AREAS, "total": 59, "name": "Story"}, r"feature 1 \(Story\): the areas add up to 60, more than the total of 59"),
        ({**AREAS, "background": 40, "total": 120}, r"add up to 100, less than the total of 120"),
        ({**AREAS, "background": -1}, r"background is -1; an area must be a number of at least 0"),
        ({**AREAS, "corn": "many", "total": 100}, r"corn is 'many'"),
        ({**AREAS, "corn": True, "total": 100}, r"corn is True"),
        ({**AREAS, "corn": float("nan"), "total": 100}, r"no area of corn"),
        ({**AREAS, "corn": float("inf"), "total": 100}, r"corn is inf"),
        (dict.fromkeys((*AREAS, "background"), 0), r"every area is 0"),
    ],
)
def test_impossible_areas_are_refused_with_their_feature(info: StoreInfo, tmp_path: Path, properties: dict[str, Any], message: str) -> None:
    file = written(tmp_path / "a.geojson", collection((box(info, 0, 3), properties)))
    with pytest.raises(DataError, match=message):
        read_areas(LabelSpec(labels="shares", areas=file), info.classes)


COUNTY_CSV = "GEOID,county,1,5,Winter Wheat,141,176,111,81\n0{},West,30,20,3,0,10,37,5\n2,East,30,20,20,0,10,40,0\n7,Else,1,1,1,1,1,1,1\n"


@pytest.mark.parametrize("name", ["a.gpkg", "a.parquet", "a.geojson"])
def test_a_table_joined_by_key_in_any_format_and_crs(store: Path, info: StoreInfo, tmp_path: Path, name: str) -> None:
    """Columns are codes and names of the legend; leading zeros of a key do not count; a county of two outlines is one bag."""
    boxes = [pixel_box(info, 0, 12 * first, 12, 12 * last) for first, last in ((0, 7), (7, 14), (14, 28), (28, 29))]
    crs = None if name == "a.geojson" else "EPSG:5070"
    outlines = write_vectors(tmp_path / name, boxes, {"GEOID": [1, 1, 2, 9], "pop": [5, 5, 6, 7]}, info.crs, to_crs=crs)
    table = written(tmp_path / "stats.csv", COUNTY_CSV.format(1))
    rule = LabelSpec(labels="shares", areas=outlines, label_table=table)
    labels = read_labels(blind(store), np.arange(30), rule, info.classes)
    assert labels.image_NK is not None
    assert labels.bag_N is not None
    np.testing.assert_allclose(labels.image_NK[:14], np.tile([0.4, 0.3, 0.2, 0, 0.1], (14, 1)), rtol=1e-6)
    np.testing.assert_allclose(labels.image_NK[14:28], np.tile([0.5, 0.25, 1 / 6, 0, 1 / 12], (14, 1)), rtol=1e-6)
    assert np.isnan(labels.image_NK[28:]).all()
    assert labels.bag_N.tolist()[:28] == [0] * 14 + [1] * 14
    assert labels.notes == (
        "1 of the 3 lines of stats.csv have no polygon",
        "1 of its 4 polygons have no line in stats.csv",
        "columns of stats.csv that are no class and are not used: county, 81",
    )


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        (
            "FIPS,corn\n1,2\n",
            {},
            r"by which column is it joined to .*a\.gpkg\? it has FIPS, corn, the file GEOID; say which with --label-column",
        ),
        (
            "FIPS,corn\n8,2\n",
            {"label_column": "GEOID"},
            r"stats\.csv: no line has a GEOID of .*a\.gpkg: 8 against 1, 2; join them by another",
        ),
        ("GEOID,corn,soybean\n1,2,3\n", {}, r"stats\.csv, feature 1: no area of forest, grassland"),
        ("GEOID,1,5,141,176,total\n1,2,x,1,1,5\n", {}, r"stats\.csv, feature 1: 5 is 'x'; an area must be a number"),
        ("GEOID,1,5,141,176\n1,2,3,1,1\n", {}, r"stats\.csv, feature 1: neither background nor total"),
        ("GEOID,1,5,141,176,total\n1,2,,1,1,5\n", {}, r"stats\.csv, feature 1: no area of soybean"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(info: StoreInfo, tmp_path: Path, text: str, settings: dict[str, Any], message: str) -> None:
    boxes = [pixel_box(info, 0, 0, 12, 12), pixel_box(info, 0, 12, 12, 24)]
    outlines = write_vectors(tmp_path / "a.gpkg", boxes, {"GEOID": ["1", "2"]}, info.crs)
    rule = LabelSpec(labels="shares", areas=outlines, label_table=written(tmp_path / "stats.csv", text), **settings)
    with pytest.raises(DataError, match=message):
        read_areas(rule, info.classes)


def test_rounded_areas_may_exceed_their_total_a_little(info: StoreInfo, tmp_path: Path) -> None:
    file = written(tmp_path / "a.geojson", collection((box(info, 0, 3), {**AREAS, "total": 59.5})))
    np.testing.assert_allclose(
        read_areas(LabelSpec(labels="shares", areas=file), info.classes).share_FK, [[0, 0.5, 1 / 3, 0, 1 / 6]], rtol=1e-6
    )


FINE = {**AREAS, "total": 100}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"a\.geojson: cannot be read as \.geojson \(.*not recognized"),
        ("[]", r"a\.geojson: cannot be read as \.geojson"),
        ('{"type": "FeatureCollection", "features": []}', r"a\.geojson: holds no feature"),
        (collection((None, FINE)), r"a\.geojson: 1 of its 1 polygons have no geometry; give polygons with areas$"),
        (collection(({"type": "Point", "coordinates": [1, 2]}, FINE)), r"its geometry is a Point"),
        (collection(({"type": "Polygon", "coordinates": [[1, 2]]}, FINE)), r"have no geometry"),
        (collection(({"type": "Polygon", "coordinates": []}, FINE)), r"have no geometry"),
        (collection(({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}, FINE)), r"not valid \(Self-inter"),
        (collection(({"type": "Polygon", "coordinates": [[[0, 0], [900, 0], [900, 9], [0, 0]]]}, FINE)), r"are not degrees"),
    ],
)
def test_an_invalid_polygon_is_refused(info: StoreInfo, tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_areas(LabelSpec(labels="shares", areas=written(tmp_path / "a.geojson", text)), info.classes)


def test_features_without_a_geometry_are_left_out_and_counted(info: StoreInfo, tmp_path: Path) -> None:
    features = collection((None, FINE), (box(info, 0, 5), {**FINE, "name": "B"}), (None, FINE))
    areas = read_areas(LabelSpec(labels="shares", areas=written(tmp_path / "a.geojson", features)), info.classes)
    assert (areas.names, areas.row_F.tolist(), len(areas.share_FK)) == (["feature 2 (B)"], [1], 1)
    assert areas.notes == ("2 of its 3 polygons have no geometry",)


def test_overlapping_polygons_are_refused(store: Path, info: StoreInfo, tmp_path: Path) -> None:
    file = written(tmp_path / "a.geojson", collection((box(info, 0, 5), FINE), (box(info, 4, 9), {**FINE, "name": "B"})))
    with pytest.raises(DataError, match=r"feature 1 and feature 2 \(B\) overlap: patch \(0, 4\) lies in both"):
        read_labels(open_store(store), np.arange(30), LabelSpec(labels="shares", areas=file), info.classes)


def test_a_training_learns_from_the_areas_and_not_from_the_stores_shares(store: Path, info: StoreInfo, tmp_path: Path) -> None:
    """Other shares and labels in the store lead to the same bits; a changed file is refused."""
    file, lines = halves(tmp_path / "a.geojson", info), []
    settings: dict[str, Any] = {
        "labels": "shares",
        "areas": file,
        "device": "cpu",
        "precision": "fp32",
        "batch_size": 6,
        "log": lines.append,
    }
    train(store, tmp_path / "run", epochs=2, **settings)
    other = shutil.copytree(store, tmp_path / "other.zarr")
    share = np.zeros_like(open_store(store).share_NK)
    share[:, 1] = 1
    replace_values(other, share=share, label=np.full_like(all_labels(store), 1))
    train(other, tmp_path / "blind", epochs=2, **settings)
    assert (tmp_path / "run" / LAST).read_bytes() == (tmp_path / "blind" / LAST).read_bytes()
    config = load_config(tmp_path / "run")
    assert (config.labels.areas, config.digests["areas"], config.data.data_loading) == (file, sha256(Path(file).read_bytes()), "memory")
    split = {name: open_store(store).split_indices(name) for name in ("train", "validation")}
    none = [int((split[name] >= 28).sum()) for name in ("train", "validation")]
    (summary, *_) = (line for line in lines if line.startswith(file))  # of the first of several trainings
    assert summary == f"{file}: no label in {sum(none)} of 24 patches of train and validation", "two polygons select no epoch"
    assert any("shares of 2 bags of patches" in line for line in lines)
    written(Path(file), Path(file).read_text("utf-8").replace("30", "31"))
    with pytest.raises(ConfigError, match=r"trained with --areas .* which differs"):
        train(store, tmp_path / "run", epochs=3, resume=True, **settings)
    with pytest.raises(DataError, match=r"a\.geojson: changed since the run began"):
        train(store, tmp_path / "run", epochs=3, resume=True, device="cpu")


def test_a_store_without_labels_learns_from_areas(tmp_path: Path) -> None:
    info = make_store(tmp_path / "bare.zarr", count=30, size_px=12, labels=False)
    settings: dict[str, Any] = {"labels": "shares", "epochs": 1, "batch_size": 6, "device": "cpu"}
    with pytest.raises(DataError, match=r"bare\.zarr: has no labels; build a store with them"):
        train(tmp_path / "bare.zarr", tmp_path / "run", **settings)
    train(tmp_path / "bare.zarr", tmp_path / "run", areas=halves(tmp_path / "a.geojson", info), **settings)
    assert (tmp_path / "run" / SEGMENT).is_file()


def test_polygons_outside_the_store_are_refused(store: Path, tmp_path: Path) -> None:
    square = {"type": "Polygon", "coordinates": [[[10, 50], [11, 50], [11, 51], [10, 50]]]}
    file = written(tmp_path / "a.geojson", collection((square, FINE)))
    with pytest.raises(DataError, match=r"a\.geojson: no patch of the train split has its centre in one of the polygons"):
        train(store, tmp_path / "run", areas=file, labels="shares", epochs=1, device="cpu")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"labels": "points"}, r"--areas goes with --labels shares, not with points"),
        ({"labels": "shares", "bag_size": 4}, r"--bag-size derives labels from the store's truth"),
        ({"labels": "shares", "share_step": 0.1}, r"--share-step derives labels from the store's truth"),
    ],
)
def test_settings_that_do_not_go_together(store: Path, info: StoreInfo, tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        train(store, tmp_path / "run", areas=halves(tmp_path / "a.geojson", info), device="cpu", **settings)
