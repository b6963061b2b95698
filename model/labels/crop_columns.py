"""The class of each feature of a vector file: from a column named by the user, `class`, those of fiboa and EuroCrops, or a table of crops."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from cropcam.model.labels.derive import Classes
from cropcam.model.labels.files import check_label_file
from cropcam.model.labels.tables import CLASS, crop_classes
from cropcam.model.labels.weak_labels import LabelSpec
from cropcam.pipeline.class_names import NO_CLASS, allowed, class_indices, known_names, texts, unknown_line
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.vectors import VectorFile, names

if TYPE_CHECKING:
    import geopandas

# Names of crops: fiboa's crop and HCAT extensions (https://fiboa.org), EuroCrops (https://github.com/maja601/EuroCrops).
# Codes of crops are another country's numbers in each file; they are read as codes of the legend only where the user names the column.
NAME_COLUMNS = (CLASS, "crop:name_en", "crop:name", "hcat:name", "hcat:name_en", "EC_trans_n", "EC_hcat_n")
CODE_COLUMNS = ("crop:code", "hcat:code", "EC_hcat_c")


class FeatureClasses(NamedTuple):
    """The classes of the features of a file."""

    class_P: Classes  # class index, 255 where it is not known
    notes: tuple[str, ...]  # how many are not known


def classes_of(
    file: VectorFile, spec: LabelSpec, legend: Legend, grid: PixelGrid | None = None
) -> tuple[geopandas.GeoDataFrame, FeatureClasses]:
    """The features of a file, near `grid` if it is given, and their classes.

    Of several columns of names the first counts in which a class is known.

    Raises:
        DataError: there is no column of classes, or the table of crops is not valid.
    """
    table = None
    if spec.label_table:
        check_label_file(spec.label_table, spec.digests.get("label_table", ""))
        table, column = crop_classes(spec.label_table, file, spec.label_column, legend)
        columns = [column]
    elif spec.label_column:
        columns = [file.column(spec.label_column)]
    else:
        columns = [name for name in NAME_COLUMNS if name in file.columns]
    if not columns:
        coded = next((name for name in CODE_COLUMNS if name in file.columns), "")
        step = "write a column of classes" if spec.points else "--label-table FILE.csv says which class a crop is"
        hint = (
            f"{coded} has codes that are not the legend's: {step}"
            if coded
            else f"name the column of the crop with --label-column NAME; its values are {allowed(legend)}"
        )
        raise DataError(f"{file.path}: no column {CLASS!r} among {names(file.columns, CLASS)}; {hint}")
    frame = file.read(columns, grid)
    found: list[tuple[pd.Series[str], Classes, list[str]]] = []
    for column in columns:
        cells = texts(frame[column])
        found.append((cells, *class_indices(cells, legend, table)))
    cells, class_P, unknown = next((each for each in found if (each[1] != NO_CLASS).any()), found[0])
    known = list(table) if table is not None else known_names(legend)
    what = "features" if table is None else f"features (crops that {Path(spec.label_table).name} does not have)"
    return frame, FeatureClasses(class_P, (unknown_line(f"of its {what}", cells, unknown, known),) if unknown else ())
