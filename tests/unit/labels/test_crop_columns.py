"""Where the crop of a feature stands: a named column, `class`, columns of fiboa and EuroCrops, or a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import shapely

from cropcam.model.labels.crop_columns import classes_of
from cropcam.model.labels.weak_labels import LabelSpec
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.vectors import VectorFile, open_vectors
from support.vectors import write_vectors

LEGEND = Legend.from_codes({"corn": (1,), "wheat": (24,)})
SHAPES = [shapely.box(x, 0, x + 1, 1) for x in range(3)]
HCAT_CODES = ["3301010100", "3301060000", "3302000000"]


def fields(folder: Path, **columns: list[Any]) -> VectorFile:
    named = {name.replace("__", ":"): values for name, values in columns.items()}
    return open_vectors(write_vectors(folder / "f.parquet", SHAPES, named, "EPSG:4326"))


def indices(file: VectorFile, **settings: str) -> list[int]:
    return classes_of(file, LabelSpec(labels="pixels", fields=file.path, **settings), LEGEND)[1].class_P.tolist()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "columns",
    [
        {"class": ["corn", 24, "Soybeans"]},
        {"crop__code": ["5-1", "4-1", "1-1"], "crop__name": ["Mais", "Weizen", "?"], "crop__name_en": ["Corn", "Winter wheat", "soybeans"]},
        {"crop__name": ["corn", "winter wheat", "Soybeans"], "hcat__name": ["maize", "wheat", "soy"]},
        {"EC_hcat_c": HCAT_CODES, "EC_hcat_n": ["corn", "winter_wheat", "soybeans"], "EC_trans_n": ["Körnermais", "Weizen", "Soja"]},
        {"hcat__code": HCAT_CODES, "hcat__name": ["corn", "winter_wheat", "soybeans"]},
    ],
)
def test_known_columns_are_found_and_the_first_with_a_known_class_counts(tmp_path: Path, columns: dict[str, list[Any]]) -> None:
    columns = {name: [str(value) for value in values] for name, values in columns.items()}
    assert indices(fields(tmp_path, **columns)) == [1, 2, 0]


def test_codes_are_read_as_those_of_the_legend_only_where_the_column_is_named(tmp_path: Path) -> None:
    file = fields(tmp_path, crop__code=["1", "24", "5"])
    with pytest.raises(DataError, match=r"no column 'class' among crop:code; crop:code has codes that are not the legend's: --label-table"):
        indices(file)
    assert indices(file, label_column="crop:code") == [1, 2, 0]
    (tmp_path / "t.csv").write_text("crop:code,class\n1,wheat\n24,corn\n")
    assert indices(file, label_table=str(tmp_path / "t.csv")) == [2, 1, 255]


def test_a_table_of_hcat_codes(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("EC_hcat_c,class\n3301010100,wheat\n3301060000,Corn\n3302000000,background\n")
    assert indices(fields(tmp_path, EC_hcat_c=HCAT_CODES, EC_hcat_n=["a", "b", "c"]), label_table=str(tmp_path / "t.csv")) == [2, 1, 0]


def test_unknown_crops_are_counted_with_the_nearest(tmp_path: Path) -> None:
    file = fields(tmp_path, crop=["corn", "com", "com"])
    notes = classes_of(file, LabelSpec(labels="pixels", fields=file.path, label_column="crop"), LEGEND)[1].notes
    assert notes == ("2 of its features have a class that is not known and give no label: 'com' (2, nearest 'corn')",)


def test_a_file_without_such_a_column_is_refused(tmp_path: Path) -> None:
    file = fields(tmp_path, ID_PARCEL=["1", "2", "3"], CODE_CLASS=["x", "y", "z"])
    with pytest.raises(
        DataError, match=r"f\.parquet: no column 'class' among CODE_CLASS, ID_PARCEL; name the column of the crop with --label-col"
    ):
        indices(file)
    with pytest.raises(DataError, match=r"no column 'crop'; its columns are "):
        indices(file, label_column="crop")
