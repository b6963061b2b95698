"""Field boundaries as labels of pixels, of points, or as shares; whatever is left out is counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from cropcam.model.data.dataset import read_labels
from cropcam.model.labels.fields import read_fields
from cropcam.model.labels.weak_labels import LabelSpec, WeakLabels
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.grid import PatchGrid, PixelGrid
from cropcam.pipeline.legend import UNLABELLED, Legend
from cropcam.pipeline.store.patch_store import open_store
from cropcam.pipeline.store.schema import StoreInfo
from support.runs import train
from support.store_parts import blind
from support.vectors import pixel_box, write_vectors

CROPS = ["corn", "soybean", "corn"]


def shapes_of(info: StoreInfo) -> list[shapely.Polygon]:
    """Patch 0 holds a field of 10 x 10 px, patch 1 one of 6 x 4 px, and one lies across patches 3 and 4."""
    return [pixel_box(info, 1, 1, 11, 11), pixel_box(info, 2, 14, 8, 18), pixel_box(info, 0, 44, 12, 52)]


def labels_of(store: Path, info: StoreInfo, file: str, kind: str = "pixels", **settings: Any) -> WeakLabels:
    opened = blind(store)
    return read_labels(opened, np.arange(len(opened)), LabelSpec(labels=kind, fields=file, **settings), info.classes)


def test_pixels_inside_have_the_class_of_their_field(store: Path, info: StoreInfo, tmp_path: Path) -> None:
    found = labels_of(store, info, write_vectors(tmp_path / "f.gpkg", shapes_of(info), {"class": CROPS}, info.crs))
    assert found.pixel_NHW is not None
    corn, soybean = info.classes.names.index("corn"), info.classes.names.index("soybean")
    expected = np.full((12, 12 * 5), UNLABELLED)
    expected[1:11, 1:11], expected[2:8, 14:18], expected[:, 44:52] = corn, soybean, corn
    np.testing.assert_array_equal(found.pixel_NHW[:5].swapaxes(0, 1).reshape(12, 60), expected)
    assert (found.n_unmatched, found.notes) == (26, ())


@pytest.mark.parametrize("name", ["f.gpkg", "f.parquet", "f.geojson"])
@pytest.mark.parametrize("crs", ["EPSG:32615", "EPSG:5070", "EPSG:3857"])
@pytest.mark.parametrize("kind", ["pixels", "points", "shares"])
def test_another_crs_gives_the_same_labels_away_from_edges(
    store: Path, info: StoreInfo, tmp_path: Path, name: str, crs: str, kind: str
) -> None:
    shapes = [pixel_box(info, 1.1, 1.1, 9.8, 10.1), pixel_box(info, 2.2, 14.4, 8.7, 17.3), pixel_box(info, 0.3, 43.9, 11.6, 52.2)]
    here = labels_of(store, info, write_vectors(tmp_path / "here.gpkg", shapes, {"class": CROPS}, info.crs), kind)
    there = labels_of(store, info, write_vectors(tmp_path / name, shapes, {"class": CROPS}, info.crs, to_crs=crs), kind)
    if kind == "shares":
        np.testing.assert_allclose(there.image_NK, here.image_NK, atol=1e-4)
    else:
        np.testing.assert_array_equal(there.pixel_NHW, here.pixel_NHW)


def test_shares_are_of_the_part_in_fields_and_add_up_to_1(store: Path, info: StoreInfo, tmp_path: Path) -> None:
    shapes = [pixel_box(info, 0, 0, 6, 12), pixel_box(info, 6, 0, 8.5, 12), pixel_box(info, 3, 12, 4, 13.5)]
    found = labels_of(store, info, write_vectors(tmp_path / "f.gpkg", shapes, {"class": CROPS}, info.crs), "shares")
    assert found.image_NK is not None
    corn, soybean = info.classes.names.index("corn"), info.classes.names.index("soybean")
    assert found.image_NK[0, [corn, soybean]] == pytest.approx([6 / 8.5, 2.5 / 8.5], abs=1e-5)
    assert found.image_NK[1, corn] == 1
    np.testing.assert_allclose(found.image_NK[:2].sum(axis=1), 1, rtol=1e-6)
    assert np.isnan(found.image_NK[2:]).all()
    assert found.notes == ("less than half of 1 of the 2 patches with shares lies in fields",)
    assert found.bag_N is None


def test_one_point_a_field(store: Path, info: StoreInfo, tmp_path: Path) -> None:
    shapes = [*shapes_of(info), pixel_box(info, 8.1, 20.1, 8.4, 20.4), pixel_box(info, 8.6, 20.6, 8.9, 20.9)]
    file = write_vectors(tmp_path / "f.gpkg", shapes, {"class": [*CROPS, "forest", "corn"]}, info.crs)
    found = labels_of(store, info, file, "points")
    assert found.pixel_NHW is not None
    assert (found.pixel_NHW != UNLABELLED).sum() == 3
    whole = labels_of(store, info, file, "pixels").pixel_NHW
    labelled = found.pixel_NHW != UNLABELLED
    assert whole is not None
    np.testing.assert_array_equal(whole[labelled], found.pixel_NHW[labelled])
    assert found.notes == ("1 pixels hold the points of fields of several classes and have no label",)


def test_the_inner_buffer_keeps_pixels_off_the_edge(store: Path, info: StoreInfo, tmp_path: Path) -> None:
    """Patches of 30 m: 35 m take one pixel from each side and, of two pixels tall and wide fields, everything."""
    shapes = [pixel_box(info, 0, 0, 12, 12), pixel_box(info, 0, 12, 2, 14)]
    file = write_vectors(tmp_path / "f.gpkg", shapes, {"class": ["corn", "corn"]}, info.crs, to_crs="EPSG:3857")
    found = labels_of(store, info, file, fields_buffer=35.0)
    assert found.pixel_NHW is not None
    lost_y, lost_x = 1, round(35 / (30 * np.cos(np.radians(41))))  # a pixel is 30 m tall and 23 m wide
    expected = np.full((12, 12), UNLABELLED)
    expected[lost_y:-lost_y, lost_x:-lost_x] = info.classes.names.index("corn")
    np.testing.assert_array_equal(found.pixel_NHW[0], expected)
    assert found.notes == ("1 of its 2 fields are too small for the inner buffer of 35 m",)


def test_whatever_is_left_out_is_counted_in_a_line_each(store: Path, info: StoreInfo, tmp_path: Path) -> None:
    field, other = shapes_of(info)[:2]
    a, b = pixel_box(info, 0, 24, 12, 30), pixel_box(info, 0, 28, 12, 34)
    bow_tie = shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])
    bow_tie = shapely.transform(bow_tie, lambda xy: xy * 1e-4 + np.array(other.centroid.coords))
    far = shapely.box(10, 50, 10.1, 50.1)
    shapes = [field, field, other, a, b, bow_tie, far, None]
    crops = ["corn", "corn", "wheet", "corn", "soybean", "corn", "corn", "corn"]
    found = labels_of(store, info, write_vectors(tmp_path / "f.gpkg", shapes, {"class": crops}, info.crs))
    assert found.notes == (
        "1 of its features have a class that is not known and give no label: 'wheet' (1, nearest 'Buckwheat')",
        "1 of its 8 fields are not valid polygons (their edges cross)",
        "1 of its 8 fields are there twice and count once",
        "2 of its 8 fields lie outside the store or have no geometry",
        "2 of its fields overlap a field of another class; what lies in both has no label",
    )
    assert found.pixel_NHW is not None
    corn, soybean = info.classes.names.index("corn"), info.classes.names.index("soybean")
    assert found.pixel_NHW[2, 0].tolist() == [corn] * 4 + [UNLABELLED] * 2 + [soybean] * 4 + [UNLABELLED] * 2


def test_a_field_that_does_not_project_lies_outside(tmp_path: Path) -> None:
    """A corner on the equator, 90 degrees from the middle of the UTM zone."""
    grid = PatchGrid(PixelGrid("EPSG:32615", (30.0, 0.0, 500_000.0, 0.0, -30.0, 4_540_000.0), 40, 40), 20)
    polar = shapely.Polygon([(-93, 41), (-3, 0), (-92, 41)])
    near = shapely.box(-93, 41, -92.999, 41.001)
    rule = LabelSpec(labels="pixels", fields=write_vectors(tmp_path / "f.gpkg", [polar, near], {"class": ["soybean", "corn"]}, "EPSG:4326"))
    legend = Legend.from_codes({"corn": (1,), "soybean": (5,)})
    fields = read_fields(rule, legend, grid)
    assert (len(fields.shape_F), fields.notes) == (1, ("1 of its 2 fields lie outside the store or have no geometry",))


def test_points_empty_files_and_unknown_crops_are_refused(store: Path, info: StoreInfo, tmp_path: Path) -> None:
    field = shapes_of(info)[0]
    points = write_vectors(tmp_path / "p.gpkg", [field.centroid], {"class": ["corn"]}, info.crs)
    with pytest.raises(DataError, match=r"p\.gpkg: 1 of its features are no polygons, the first is a Point; points go with --points FILE"):
        labels_of(store, info, points)
    unknown = write_vectors(tmp_path / "u.gpkg", [field], {"class": ["BTH"]}, info.crs)
    with pytest.raises(
        DataError, match=r"u\.gpkg: no field can be used: 1 of its features .* 'BTH' \(1, nearest .*--label-table FILE\.csv says"
    ):
        labels_of(store, info, unknown)
    far = write_vectors(tmp_path / "far.gpkg", [shapely.box(10, 50, 11, 51)], {"class": ["corn"]}, info.crs)
    with pytest.raises(DataError, match=r"far\.gpkg: no field can be used: 1 of its 1 fields lie outside the store"):
        labels_of(store, info, far)


def test_a_training_tells_the_counts_and_goes_on_only_with_the_same_files(store: Path, info: StoreInfo, tmp_path: Path) -> None:
    shapes = [pixel_box(info, 1, 12 * patch + 1, 11, 12 * patch + 11) for patch in range(30)]
    file = write_vectors(tmp_path / "f.gpkg", [*shapes, shapes[0]], {"crop": ["A", "B", "C"] * 10 + ["A"]}, info.crs)
    table, lines = tmp_path / "t.csv", list[str]()
    table.write_text("crop,class\nA,corn\nB,soybean\n")
    settings: dict[str, Any] = {"labels": "pixels", "device": "cpu", "batch_size": 6, "log": lines.append}
    train(store, tmp_path / "run", fields=file, label_table=str(table), fields_buffer=5.0, epochs=1, **settings)
    told = [line.removeprefix(f"{file}: ") for line in lines if line.startswith(file)]
    assert told[:2] == [
        "10 of its features (crops that t.csv does not have) have a class that is not known and give no label: 'C' (10, nearest 'A')",
        "1 of its 31 fields are there twice and count once",
    ]
    assert told[2].endswith(" of 6 patches of validation")
    table.write_text("crop,class\nA,corn\nB,forest\n")
    with pytest.raises(DataError, match=r"t\.csv: changed since the run began"):
        train(store, tmp_path / "run", resume=True, epochs=2, **settings)
    with pytest.raises(ConfigError, match=r"trained with --label-table .* which differs"):
        train(store, tmp_path / "run", resume=True, epochs=2, fields=file, label_table=str(table), **settings)


def test_fields_beside_the_split_are_refused(store: Path, info: StoreInfo, tmp_path: Path) -> None:
    test = int(open_store(store).split_indices("test")[0])
    file = write_vectors(tmp_path / "f.gpkg", [pixel_box(info, 1, 12 * test + 1, 11, 12 * test + 11)], {"class": ["corn"]}, info.crs)
    with pytest.raises(DataError, match=r"f\.gpkg: none of its fields gives a label to a patch of the train split"):
        train(store, tmp_path / "run", fields=file, labels="pixels", epochs=1, device="cpu")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"labels": "presence", "fields": "f.gpkg"}, r"--fields goes with --labels shares or points or pixels, not with presence"),
        ({"labels": "points", "fields": "f.gpkg", "points": "p.csv"}, r"--points and --fields do not go together"),
        ({"labels": "pixels", "fields_buffer": 5.0}, r"--fields-buffer goes with --fields"),
        ({"labels": "pixels", "fields": "f.gpkg", "fields_buffer": -5.0}, r"--fields-buffer -5.0 is not possible"),
        ({"labels": "points", "points": "p.csv", "label_table": "t.csv"}, r"--label-table goes with --fields or --areas"),
        ({"labels": "shares", "areas": "a.gpkg", "label_column": "x"}, r"--label-column goes with --points, --fields, or --areas and"),
        ({"labels": "pixels", "fields": "f.gpkg", "label_noise": 0.1}, r"--label-noise derives labels from the store's truth"),
    ],
)
def test_settings_that_do_not_go_together(store: Path, tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    named = {name: str(tmp_path / value) if isinstance(value, str) and "." in value else value for name, value in settings.items()}
    for value in named.values():
        if isinstance(value, str) and "." in value:
            Path(value).write_text("")
    with pytest.raises(ConfigError, match=message):
        train(store, tmp_path / "run", device="cpu", **named)
