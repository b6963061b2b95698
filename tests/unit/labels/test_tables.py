"""Tables joined to a vector file by a key."""

from __future__ import annotations

from pathlib import Path

import pytest
import shapely

from cropcam.model.labels.tables import crop_classes, joined_table
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.vectors import VectorFile, open_vectors
from support.vectors import write_vectors

LEGEND = Legend.from_codes({"corn": (1,), "wheat": (24,)})


@pytest.fixture
def file(tmp_path: Path) -> VectorFile:
    columns = {"ID": ["1", "2"], "CODE_CULTU": ["MIS", "BTH"], "class": ["a", "b"]}
    return open_vectors(write_vectors(tmp_path / "f.gpkg", [shapely.Point(1, 2)] * 2, columns, "EPSG:4326"))


def csv(folder: Path, text: str) -> str:
    (folder / "t.csv").write_text(text, "utf-8")
    return str(folder / "t.csv")


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("CODE_CULTU,class\nMIS,corn\nBTH,Winter Wheat\nJ6S,\n", ""),
        ("class,CODE_CULTU\ncorn,MIS\n24,BTH\n", ""),
        ("code,libelle,class\nMIS,Maïs,1\nBTH,Blé,wheat\n", "CODE_CULTU"),
        ("CODE_CULTU,classe\nMIS,1.0\nBTH,24\n", "CODE_CULTU"),
    ],
)
def test_a_table_of_crops(tmp_path: Path, file: VectorFile, text: str, column: str) -> None:
    assert crop_classes(csv(tmp_path, text), file, column, LEGEND) == ({"MIS": 1, "BTH": 2}, "CODE_CULTU")


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", "", r"t\.csv: no CSV table"),
        (
            "crop,class\nMIS,corn\n",
            "",
            r"by which column is it joined to .*f\.gpkg\? it has crop, class, the file .*; say which with --label-column",
        ),
        ("ID,CODE_CULTU,class\n1,MIS,corn\n", "", r"both have the columns ID, CODE_CULTU"),
        ("crop,class\nMIS,corn\n", "CODE_CULT", r"f\.gpkg: no column 'CODE_CULT'; its columns are CODE_CULTU"),
        ("CODE_CULTU,a,b\nMIS,corn,1\n", "", r"t\.csv, line 1: no column 'class' among "),
        ("CODE_CULTU,class,class\nMIS,corn,1\n", "", r"line 1: the column 'class' is there twice"),
        ("CODE_CULTU,class\nMIS,corn\nBTH,corn\nMIS,corn\n", "", r"t\.csv, lines 2 and 4: CODE_CULTU 'MIS' is there twice"),
        ("CODE_CULTU,class\nMIS,maize\n", "", r"crop 'MIS' has the class 'maize', which is not known; it must be one of background, corn"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path: Path, file: VectorFile, text: str, column: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        crop_classes(csv(tmp_path, text), file, column, LEGEND)


def test_keys_are_joined_as_numbers(tmp_path: Path, file: VectorFile) -> None:
    table, column = joined_table(csv(tmp_path, "ID,area\n01,5\n2.0,6\n"), file, "")
    assert (column, table.index.tolist(), table.area.tolist()) == ("ID", ["1", "2"], ["5", "6"])
