from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import shapely

from cropcam.model.data.dataset import read_labels, read_split
from cropcam.model.labels.weak_labels import LabelSpec
from cropcam.model.runs.checkpoint import BEST
from cropcam.model.runs.config import load_config
from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.legend import UNLABELLED
from cropcam.pipeline.runtime.hashing import sha256
from cropcam.pipeline.store.patch_store import open_store
from cropcam.pipeline.store.schema import StoreInfo
from support.runs import train
from support.store_parts import all_labels, blind
from support.stores import make_store
from support.vectors import pixel_box, write_vectors


def centre(info: StoreInfo, row: int, col: int, dy: float, dx: float) -> tuple[float, float]:
    """A place in pixel units of patch (row, col), in the store's CRS."""
    a, _, c, _, e, f = info.transform
    return c + a * (col * info.patch_size_px + dx), f + e * (row * info.patch_size_px + dy)


def table(path: Path, lines: list[Any], head: str = "lon,lat,class") -> str:
    path.write_text("\n".join([head, *(",".join(map(str, line)) for line in lines)]) + "\n", "utf-8")
    return str(path)


def true_table(path: Path, store: Path, per_patch: int = 3) -> str:
    """Points at true pixels of every patch, and one far away."""
    opened = open_store(store)
    info = opened.info
    rng, lines = np.random.default_rng(0), []
    for patch, label in enumerate(all_labels(store)):
        for y, x in rng.choice(info.patch_size_px, (per_patch, 2)):
            place = centre(info, int(opened.row_N[patch]), int(opened.col_N[patch]), y + 0.5, x + 0.5)
            lon, lat = transform_points(info.crs, "EPSG:4326", *place)
            lines.append((repr(float(lon)), repr(float(lat)), label[y, x]))
    return table(path, [*lines, (10.0, 50.0, "corn")])


def first_place(store: Path) -> tuple[int, int, int]:
    opened = open_store(store)
    patch = int(opened.split_indices("train")[0])
    return patch, int(opened.row_N[patch]), int(opened.col_N[patch])


@pytest.mark.parametrize(("dy", "dx", "pixel"), [(0.5, 0.5, (0, 0)), (3.5, 7.25, (3, 7)), (11.99, 11.99, (11, 11)), (0.01, 11.5, (0, 11))])
def test_a_point_labels_the_pixel_it_lies_in(
    store: Path, info: StoreInfo, tmp_path: Path, dy: float, dx: float, pixel: tuple[int, int]
) -> None:
    _, row, col = first_place(store)
    x, y = centre(info, row, col, dy, dx)
    file = table(tmp_path / "p.csv", [(repr(x), repr(y), "soybean"), (repr(x), repr(y), 5)], "x,y,class")
    opened = blind(store)
    labels = read_labels(opened, opened.split_indices("train"), LabelSpec(labels="points", points=file), info.classes)
    assert labels.pixel_NHW is not None
    assert labels.image_NK is None
    assert np.argwhere(labels.pixel_NHW != UNLABELLED).tolist() == [[0, *pixel]]
    assert labels.pixel_NHW[0][pixel] == info.classes.names.index("soybean")
    assert labels.n_unmatched == 0


def test_the_far_edge_of_a_patch_belongs_to_the_next(store: Path, info: StoreInfo, tmp_path: Path) -> None:
    opened = blind(store)
    place = np.stack([opened.row_N, opened.col_N], axis=1)
    x, y = centre(info, int(place[0, 0]), int(place[0, 1]), 0.5, info.patch_size_px + 1e-6)
    file = table(tmp_path / "p.csv", [(repr(x), repr(y), "forest")], "x,y,class")
    pixel = read_labels(opened, np.arange(len(place)), LabelSpec(labels="points", points=file), info.classes).pixel_NHW
    assert pixel is not None
    (found,) = np.argwhere(pixel != UNLABELLED).tolist()
    assert place[found[0]].tolist() == [place[0, 0], place[0, 1] + 1]
    assert found[1:] == [0, 0]


def test_points_in_degrees_have_the_class_of_their_pixel(store: Path, info: StoreInfo, tmp_path: Path) -> None:
    file = true_table(tmp_path / "p.csv", store)
    opened = open_store(store)
    index = opened.split_indices("validation")
    labels = read_labels(opened, index, LabelSpec(labels="points", points=file), info.classes)
    assert labels.pixel_NHW is not None
    known = labels.pixel_NHW != UNLABELLED
    truth = info.classes.index(opened.labels(index))
    np.testing.assert_array_equal(labels.pixel_NHW[known], truth[known])
    assert labels.n_unmatched == 30 * 3 + 1 - len(index) * 3


@pytest.mark.parametrize("name", ["p.gpkg", "p.parquet", "p.geojson"])
def test_every_format_gives_the_labels_of_the_table(store: Path, info: StoreInfo, tmp_path: Path, name: str) -> None:
    csv = true_table(tmp_path / "p.csv", store)
    rows = pd.read_csv(csv)
    points, crs = shapely.points(rows.lon, rows.lat), {"p.gpkg": "EPSG:5070", "p.parquet": "EPSG:32615"}.get(name)
    file = write_vectors(tmp_path / name, list(points), {"class": rows["class"].astype(str)}, "EPSG:4326", to_crs=crs)
    opened = open_store(store)
    index = opened.split_indices("train")
    expected, found = (read_labels(opened, index, LabelSpec(labels="points", points=each), info.classes) for each in (csv, file))
    np.testing.assert_array_equal(found.pixel_NHW, expected.pixel_NHW)
    assert (found.n_unmatched, found.notes) == (expected.n_unmatched, expected.notes)


def test_features_that_are_no_label_are_counted(store: Path, info: StoreInfo, tmp_path: Path) -> None:
    field = pixel_box(info, 1, 1, 2, 2)
    points = [field.centroid, field.centroid, field.centroid, shapely.Point(), None]
    columns = {"crop": ["corn", "1", "Corm", "corn", "corn"]}
    opened = blind(store)
    rule = LabelSpec(labels="points", points=write_vectors(tmp_path / "p.gpkg", points, columns, info.crs), label_column="crop")
    found = read_labels(opened, np.arange(len(opened)), rule, info.classes)
    assert found.pixel_NHW is not None
    assert np.argwhere(found.pixel_NHW != UNLABELLED).tolist() == [[0, 1, 1]]
    assert found.notes == (
        "2 of its points have no geometry",
        "1 of its features have a class that is not known and give no label: 'Corm' (1, nearest 'corn')",
        "1 of its points lie in a pixel of another one of the same class and count once",
    )


@pytest.mark.parametrize(
    ("kind", "columns", "message"),
    [
        (
            "polygon",
            {"class": ["corn"]},
            r"p\.gpkg: 1 of its 1 features are no points, the first is a Polygon; field boundaries go with train --fields",
        ),
        ("line", {"class": ["corn"]}, r"the first is a LineString; split it"),
        ("point", {"crop": ["corn"]}, r"p\.gpkg: no column 'class' among crop; name the column of the crop with --label-column NAME"),
        (
            "point",
            {"class": ["corm"]},
            r"p\.gpkg: no point can be used: 1 of its features .* 'corm' \(1, nearest 'corn'\); a class must be one of",
        ),
    ],
)
def test_features_that_cannot_be_used_are_refused(
    store: Path, info: StoreInfo, tmp_path: Path, kind: str, columns: dict[str, list[str]], message: str
) -> None:
    field = pixel_box(info, 1, 1, 2, 2)
    shape = {"polygon": field, "line": shapely.LineString(field.exterior), "point": field.centroid}[kind]
    file = write_vectors(tmp_path / "p.gpkg", [shape], columns, info.crs)
    with pytest.raises(DataError, match=message):
        read_labels(blind(store), np.arange(3), LabelSpec(labels="points", points=file), info.classes)


def test_two_classes_on_one_pixel_are_refused_by_both_lines(store: Path, info: StoreInfo, tmp_path: Path) -> None:
    _, row, col = first_place(store)
    places = [centre(info, row, col, 1.2, 1.2), centre(info, row, col, 5, 5), centre(info, row, col, 1.8, 1.7)]
    lines = [(repr(x), repr(y), kind) for (x, y), kind in zip(places, ("corn", "corn", "forest"), strict=True)]
    opened = blind(store)
    rule = LabelSpec(labels="points", points=table(tmp_path / "p.csv", lines, "x,y,class"))
    with pytest.raises(DataError, match=r"p\.csv, lines 2 and 4: the same pixel has the classes corn and forest"):
        read_labels(opened, opened.split_indices("train"), rule, info.classes)


def test_a_training_learns_from_the_table_and_never_reads_the_truth(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels and shares cannot even be read; a changed table is refused, a moved one is not."""
    monkeypatch.setattr("cropcam.model.training.train.open_store", blind)
    file, run, lines = true_table(tmp_path / "p.csv", store), tmp_path / "run", []
    settings: dict[str, Any] = {"labels": "points", "device": "cpu", "precision": "fp32", "batch_size": 6, "log": lines.append}
    train(store, run, points=file, epochs=1, **settings)
    config = load_config(run)
    assert (config.labels.points, config.digests["points"]) == (file, sha256(Path(file).read_bytes()))
    assert (run / BEST).is_file()
    assert [line for line in lines if "of its points lie outside" in line] == [
        f"{file}: 19 of its points lie outside the patches of train and validation"
    ]
    moved = Path(file).rename(tmp_path / "moved.csv")
    with pytest.raises(DataError, match=r"p\.csv: No such file"):
        train(store, run, resume=True, epochs=2, **settings)
    train(store, run, points=str(moved), resume=True, epochs=2, **settings)
    assert load_config(run).labels.points == str(moved)
    moved.write_text(moved.read_text("utf-8").replace("corn", "forest"), "utf-8")
    with pytest.raises(DataError, match=r"moved\.csv: changed since the run began"):
        train(store, run, resume=True, epochs=3, **settings)
    with pytest.raises(ConfigError, match=r"trained with --points .* which differs"):
        train(store, run, points=str(moved), resume=True, epochs=3, **settings)


def test_the_truth_of_pixels_is_not_read(store: Path, info: StoreInfo, tmp_path: Path) -> None:
    file = true_table(tmp_path / "p.csv", store)
    found = read_split(blind(store), "train", LabelSpec(labels="points", points=file), info.classes)
    assert len(found) == 18


def test_points_where_there_is_no_image_are_counted_and_alone_refused(tmp_path: Path) -> None:
    make_store(tmp_path / "s.zarr", count=30, size_px=12, nodata_share=0.5)
    opened = open_store(tmp_path / "s.zarr")
    split_N, places = opened.split_N, {True: [], False: []}  # type: ignore[var-annotated]
    for patch in np.flatnonzero(split_N < 2):
        for dx in (4.5, 8.5):  # columns 0 to 5 of every fourth patch have no image
            x, y = centre(opened.info, int(opened.row_N[patch]), int(opened.col_N[patch]), 3.5, dx)
            places[patch % 4 == 0 and dx < 6].append((repr(x), repr(y), "corn", split_N[patch]))
    settings: dict[str, Any] = {"labels": "points", "device": "cpu", "epochs": 1, "batch_size": 6}
    lost = [sum(split == which for *_, split in places[True]) for which in (0, 1)]
    lines: list[str] = []
    file = table(tmp_path / "p.csv", [line[:3] for line in places[True] + places[False]], "x,y,class")
    train(tmp_path / "s.zarr", tmp_path / "run", points=file, log=lines.append, **settings)
    assert [line for line in lines if "no image data" in line] == [
        f"warning: {sum(lost)} of the 48 labelled pixels of the train or validation split lie where a band has no image data: no loss counts them"
    ]
    assert lost[0]
    alone = table(tmp_path / "q.csv", [line[:3] for line in places[True]], "x,y,class")
    with pytest.raises(
        DataError, match=r"q\.csv: all of the \d+ labelled pixels of the train or validation split lie where a band has no image data"
    ):
        train(tmp_path / "s.zarr", tmp_path / "other", points=alone, **settings)
    assert not (tmp_path / "other").exists()


def test_points_outside_the_store_are_refused(store: Path, tmp_path: Path) -> None:
    file = table(tmp_path / "p.csv", [(10.0, 50.0, "corn"), (11.0, 50.0, "corn")])
    with pytest.raises(DataError, match=r"p\.csv: none of its 2 points lies in a patch of the train split"):
        train(store, tmp_path / "run", points=file, labels="points", epochs=1, device="cpu")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"labels": "points", "points": "nowhere.csv"}, r"--points nowhere\.csv: No such file"),
        ({"labels": "presence", "points": "p.csv"}, r"--points goes with --labels points, not with presence"),
        ({"labels": "points", "points": "p.csv", "points_per_patch": 2}, r"--points-per-patch derives labels from the store's truth"),
        ({"labels": "points", "points": "p.csv", "label_noise": 0.1}, r"--label-noise derives labels from the store's truth"),
    ],
)
def test_settings_that_do_not_go_together(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    table(tmp_path / "p.csv", [(10.0, 50.0, "corn")])
    with pytest.raises(ConfigError, match=message):
        train(store, tmp_path / "run", device="cpu", **settings)
