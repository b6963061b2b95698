"""The column `split` of points: who is read when, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cropcam.model.data.dataset import labels_of_splits
from cropcam.model.labels.point_splits import NONE, splits_of
from cropcam.model.labels.weak_labels import LabelSpec
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.legend import UNLABELLED
from cropcam.pipeline.store.joined import join
from cropcam.pipeline.store.patch_store import PatchStore, open_store
from support.points import write_split_points
from support.stores import make_store
from support.vectors import write_vectors

WORDS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PatchStore:
    """18 patches train, 6 validation, 6 test."""
    path = tmp_path_factory.mktemp("splits") / "patches.zarr"
    make_store(path, count=30, size_px=12)
    return open_store(path)


ROWS = [
    (0, 1, 2, "corn", "train"), (0, 3, 4, "forest", "test"), (20, 5, 6, "soybean", " Train "), (7, 0, 0, "corn", "VALIDATION"),
    (7, 1, 1, "corn", "test"), (29, 11, 11, "grassland", "test"), (3, 3, 3, "corn", ""),
]  # fmt: skip


@pytest.mark.parametrize("format_", ["csv", "gpkg"])
def test_points_are_read_by_their_own_split_wherever_they_lie(store: PatchStore, tmp_path: Path, format_: str) -> None:
    path = write_split_points(tmp_path / "p.csv", store, ROWS)
    if format_ == "gpkg":
        import shapely

        table = pd.read_csv(path, keep_default_na=False)
        points = shapely.points(table.lon, table.lat)
        path = Path(write_vectors(tmp_path / "p.gpkg", points, {"class": table["class"], "split": table["split"]}, "EPSG:4326"))
    spec, legend = LabelSpec(labels="points", points=str(path)), store.info.classes
    for splits in ((word,) for word in WORDS):
        index_N, labels = labels_of_splits(store, splits, spec, legend)
        wanted = [row for row in ROWS if row[4].strip().casefold() in splits]
        assert index_N.tolist() == sorted({row[0] for row in wanted})
        expected = np.full((len(index_N), 12, 12), UNLABELLED)
        for patch, y, x, name, _ in wanted:
            expected[index_N.tolist().index(patch), y, x] = legend.names.index(name)
        np.testing.assert_array_equal(labels.pixel_NHW, expected)
    both, labels = labels_of_splits(store, ("train", "validation"), spec, legend)
    assert (both.tolist(), labels.count) == ([0, 7, 20], 3)
    assert labels.notes == ("1 of its points have no split and are left out",)


def test_without_the_column_the_stores_splits_count(store: PatchStore, tmp_path: Path) -> None:
    path = write_split_points(tmp_path / "p.csv", store, ROWS)
    path.write_text("\n".join(line.rsplit(",", 1)[0] for line in path.read_text().splitlines()))
    spec = LabelSpec(labels="points", points=str(path))
    for split in WORDS:
        index_N, labels = labels_of_splits(store, (split,), spec, store.info.classes)
        np.testing.assert_array_equal(index_N, store.split_indices(split))
        assert labels.count == sum(row[0] in index_N for row in ROWS)


def test_patches_of_several_stores_are_numbered_through(store: PatchStore, tmp_path: Path) -> None:
    make_store(tmp_path / "other.zarr", count=30, size_px=12, seed=1)
    both = join([store, open_store(tmp_path / "other.zarr")], [], ["one", "two"])
    spec = LabelSpec(labels="points", points=str(write_split_points(tmp_path / "p.csv", store, ROWS)))
    index_N, labels = labels_of_splits(both, ("test",), spec, store.info.classes)
    assert index_N.tolist() == [0, 7, 29, 30, 37, 59]  # both stores lie at the same place
    assert labels.count == 6


def test_another_word_is_refused_with_its_line() -> None:
    cells, line_P = pd.Series(["train", "hold-out", ""]), np.array([2, 3, 4])
    with pytest.raises(DataError, match=r"^p\.csv, line 3: split is 'hold-out'; it must be train, validation or test, or blank$"):
        splits_of(cells, "p.csv", "lines", line_P)
    assert splits_of(pd.Series(["Test", None, " validation"]), "p", "lines", line_P).tolist() == [2, NONE, 1]
