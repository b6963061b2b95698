"""The column of the class: named by the user, of a known name, or absent. Features and tables of crops: labels/test_crop_columns."""

from __future__ import annotations

from pathlib import Path

import pytest
import shapely

from cropcam.pipeline.class_columns import class_columns, read_classes
from cropcam.pipeline.class_names import NO_CLASS
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.vectors import VectorFile, open_vectors
from support.memory_source import LEGEND
from support.vectors import write_vectors


def file_of(folder: Path, **columns: list[str]) -> VectorFile:
    named = {name.replace("__", ":"): values for name, values in columns.items()}
    return open_vectors(write_vectors(folder / "f.parquet", [shapely.Point(1, 2), shapely.Point(3, 4)], named, "EPSG:4326"))


def test_the_named_column_stands_before_the_known_ones(tmp_path: Path) -> None:
    file = file_of(tmp_path, own=["corn", "corn"], crop__name=["a", "b"], **{"class": ["corn", "soybean"]})
    assert class_columns(file, "own", LEGEND, "") == ["own"]
    assert class_columns(file, "", LEGEND, "") == ["class", "crop:name"]


def test_a_file_without_one_gets_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no column 'class' among hcat:code; hcat:code has codes that are not the legend's: draw again"):
        class_columns(file_of(tmp_path, hcat__code=["1", "2"]), "", LEGEND, "draw again")
    with pytest.raises(
        DataError, match=r"no column 'class' among kind; name the column of the crop with --label-column NAME; its values are one"
    ):
        class_columns(file_of(tmp_path, kind=["1", "2"]), "", LEGEND, "draw again")


def test_the_first_column_with_a_known_class_counts(tmp_path: Path) -> None:
    file = file_of(tmp_path, **{"class": ["?", "!"]}, crop__name=["corn", "maze"], more=["x", "y"])
    read = read_classes(file, ["class", "crop:name"], LEGEND, more=["more"])
    assert (read.class_P.tolist(), read.unknown, read.cells.tolist()) == ([1, NO_CLASS], ["maze"], ["corn", "maze"])
    assert read.frame["more"].tolist() == ["x", "y"]
    by_key = read_classes(file, ["class"], LEGEND, table={"?": 2})
    assert by_key.class_P.tolist() == [2, NO_CLASS]
